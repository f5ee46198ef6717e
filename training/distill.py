"""Macro distillation: repeated calls of solved episodes become macros, and an adapter learns to call them.

Macros are mined, tested in fresh worlds and accepted. Then the scripted policy plays with the accepted macros. Its
episodes contain macro calls, and an adapter is trained on them like on any other episodes.
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
from tools import names as tool_names

TRIES = 10
"""Worlds that are tried for each trial that is wanted; not every mission suits a macro."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """The outcome of a macro distillation.

    Attributes:
        episodes: Distinct episodes that were read.
        solved: The number of them that were solved; macros are mined from these.
        tested: Name, status, passes and trials of each tested macro.
        accepted: Names of all accepted macros in the library.
        runs: Folder of the episodes that were collected with the macros, if any.
        collected: Totals over those episodes.
        called: Share of those episodes in which a macro was called.
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
    """Mine, test and accept macros, and collect episodes with them.

    A macro that was accepted or rejected before is not tested again.

    Args:
        library: Folder of the memory that holds the macros; it is created if missing.
        runs: Logged episodes of one task.
        env: The environment, a choice of ``env=``, in which macros are tested and played.
        trials: How many fresh worlds of the validation split each macro is tested in.
        episodes: How many train worlds the scripted policy plays with the accepted macros; 0 for none.
        out: Folder that those episodes are logged in.
        say: Called with each line of progress.

    Raises:
        InvalidItemError: No train episode was solved; or episodes were asked for, and no macro was accepted.
    """
    logs = logs_in(runs)
    train_logs = [log for log in logs if (logged := peek(log)) is None or split_of(logged.start.seed or 0) == "train"]
    if not train_logs:
        raise InvalidItemError(
            f"all of {len(logs)} episodes are of another split than train: macros are not mined there"
        )
    distinct_episodes, _ = distinct(trajectories(train_logs))
    won = [episode for episode in distinct_episodes if episode.success]
    if not won:
        raise InvalidItemError(f"none of {len(distinct_episodes)} episodes was solved: macros are mined from success")
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
    return Distilled(len(distinct_episodes), len(won), tested, accepted, played, figures, called)


def collect(library: Path, env: str, episodes: int, out: Path) -> tuple[Path, dict[str, Any], float]:
    """Let the scripted policy play train worlds with the macros of a library.

    Returns:
        The folder of the run, its totals, and the share of episodes in which a macro was called.
    """
    overrides = [
        f"env={env}",
        "policy=model",
        "model=script",
        "model.macros=true",
        f"memory.macros={library}",
        "memory.tools=[find,plan_route,explore,where_is,suggest_macro,run_macro]",
        f"episodes={episodes}",
        f"runs={out}",
        "batch=1",
    ]
    collection = Collection(load_collect(overrides), seeds_of("train"), make)
    collection.run()
    called = sum(bool(row["tool_calls"].get(tool_names.RUN_MACRO)) for row in collection.rows)
    return collection.folder, totals(collection.rows), called / max(len(collection.rows), 1)
