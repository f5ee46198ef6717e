"""Macro distillation: what repeats in solved episodes becomes macros, and calling them becomes weights.

Mine, test in fresh worlds, accept; then the script plays with what was accepted, and its episodes, in which macros are
called, are rows that an adapter is trained on like any other.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import load_collect
from agent.logs.episodes import peek
from agent.logs.manifest import totals
from agent.logs.trajectory import distinct, logs_in, trajectories
from agent.rollout.collect import Collection
from agent.rollout.macro_trial import judge
from envs import make
from envs.splits import seeds_of, split_of
from memory import InvalidItemError, Memory

TRIES = 10
"""Instances that are looked at for each trial; not every mission asks for a macro."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """What a job came to.

    Attributes:
        episodes: Distinct episodes that were read.
        solved: Of them, those that macros were mined from.
        tested: Name, status, passes and trials of each macro.
        accepted: Names of those that are offered from now on.
        runs: Folder of the episodes in which they are called, if any were collected.
        collected: Totals of those.
        called: Share of them in which a macro was called.
    """

    episodes: int
    solved: int
    tested: list[dict[str, Any]]
    accepted: list[str]
    runs: Path | None
    collected: dict[str, Any] | None
    called: float | None


def distill(
    library: Path,
    runs: Sequence[Path],
    env: str,
    trials: int = 40,
    episodes: int = 0,
    out: Path = Path("runs"),
    say: Callable[[str], None] = lambda _words: None,
) -> Distilled:
    """Do the whole job; a macro that was accepted or rejected before is not tried again.

    Args:
        library: Folder of the memory that holds the macros; made if missing.
        runs: Logged episodes of one task.
        env: Where macros are tested and played: a choice of ``env=``.
        trials: Fresh worlds that each macro is run in; those of the validation split.
        episodes: How many train worlds the script plays with the accepted macros; 0 for none.
        out: Where they are logged.
        say: Takes a line of progress.

    Raises:
        InvalidItemError: No episode of the train split was solved; or no macro accepted, and episodes asked for.
    """
    logs = logs_in(runs)
    ours = [log for log in logs if (one := peek(log)) is None or split_of(one.start.seed or 0) == "train"]
    if not ours:
        raise InvalidItemError(
            f"all of {len(logs)} episodes are of another split than train: macros are not mined there"
        )
    found, _ = distinct(trajectories(ours))
    won = [episode for episode in found if episode.success]
    if not won:
        raise InvalidItemError(f"none of {len(found)} episodes was solved: macros are mined from success")
    choice = load_collect([f"env={env}"]).env
    with Memory.open(library) as memory:
        memory.macros.mine(won)
        tested = []
        with closing(make(choice.id, **choice.kwargs)) as world:
            first = seeds_of("validation").start
            for macro in memory.macros.all("candidate"):
                seeds = range(first, first + TRIES * trials)
                judged, done = judge(world, memory.macros, macro.signature, seeds, trials)
                passes = sum(trial.passed for trial in done)
                tested.append({"name": judged.name, "status": judged.status, "passes": passes, "trials": len(done)})
                say(f"{judged.name}: {judged.status}, {passes} of {len(done)} passed")
        accepted = [macro.name for macro in memory.macros.all("accepted")]
    played, figures, called = None, None, None
    if episodes:
        if not accepted:
            raise InvalidItemError("no macro was accepted: there is nothing to clone")
        played, figures, called = collect(library, env, episodes, out)
    return Distilled(len(found), len(won), tested, accepted, played, figures, called)


def collect(library: Path, env: str, episodes: int, out: Path) -> tuple[Path, dict[str, Any], float]:
    """Let the script play train worlds with a library's macros; the run, its totals, and how often one was called."""
    asked = [
        f"env={env}", "policy=model", "model=script", "model.macros=true", f"memory.macros={library}",
        "memory.tools=[find,plan_route,explore,where_is,suggest_macro,run_macro]", f"episodes={episodes}",
        f"runs={out}", "batch=1",
    ]  # fmt: skip
    collection = Collection(load_collect(asked), seeds_of("train"), make)
    collection.run()
    called = sum(bool(row["tool_calls"].get("run_macro")) for row in collection.rows)
    return collection.folder, totals(collection.rows), called / max(len(collection.rows), 1)
