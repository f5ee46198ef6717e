"""``hippo macros``: mine macros from logged episodes, test them, show them, forget them."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from agent.commands.memory import (
    DryRun,
    Folder,
    opened,
    say,
)
from memory import InvalidItemError, Memory
from memory.procedural import Macro

app = typer.Typer(no_args_is_help=True, help="Macros: mine, list, show, test, forget.")

Signature = Annotated[str, typer.Argument(help="Name or signature of a macro.")]


@app.command()
def mine(
    folder: Folder,
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, episodes, or events.jsonl files.")],
    most: Annotated[int, typer.Option(min=1, max=64, help="How many macros to find at most.")] = 16,
    as_json: Json = False,
) -> None:
    """Find sub-sequences that repeat in successful episodes and keep them as candidates.

    Mine one task at a time: sub-sequences that several tasks share are found first, and named after the most common of
    these tasks. The same episode played again counts once. A missing memory is created. A candidate is not offered to a
    model until `hippo macros test` has accepted it.
    """
    with plain_errors():
        from agent.logs.trajectory import distinct, trajectories

        episodes, doubles = distinct(trajectories(runs))
        won = [episode for episode in episodes if episode.success]
        if not won:
            raise InvalidItemError(f"none of {len(episodes)} episodes was solved: macros are mined from success")
        with Memory.open(folder) as memory:
            macros = memory.macros.mine(won, most)
            calls = sum(len(episode.calls) for episode in won)
            counts = {"episodes": len(episodes), "doubles": doubles, "solved": len(won), "calls": calls}
            say({**counts, "macros": [_line(macro) for macro in macros]}, as_json)


def _line(macro: Macro) -> str:
    names = ", ".join(variable.name for variable in macro.asked)
    return f"{macro.name}({names}) {macro.status}, {len(macro.steps)} steps, from {macro.strength} episodes"


@app.command("list")
def list_macros(folder: Folder, as_json: Json = False) -> None:
    """List the macros with the results of their runs."""
    with opened(folder) as memory:
        macros = memory.macros.all()
        if as_json:
            emit([_facts(macro) for macro in macros])
            return
        table = Table("name", "status", "steps", "episodes", "runs", "expected success", box=None)
        for macro in macros:
            runs = len(macro.outcomes)
            chance = f"{macro.success_prob:.0%}" if runs else "not tried"
            table.add_row(
                escape(macro.name), macro.status, str(len(macro.steps)), str(macro.strength), str(runs), chance
            )
        Console().print(table if macros else "no macros yet: `hippo macros mine`")
        head = memory.macros.head
        if head.outcomes:
            state = f"on, {head.gain:.3f} nats better" if head.weights else "off: recent success rates are as good"
            print(f"learnt head: {state} ({head.outcomes} outcomes)")  # noqa: T201


def _facts(macro: Macro) -> dict[str, Any]:
    return {
        "name": macro.name,
        "signature": macro.signature,
        "status": macro.status,
        "strength": macro.strength,
        "variables": [{"name": v.name, "ends": list(v.ends), "shown": v.shown} for v in macro.variables],
        "triggers": dict(macro.triggers),
        "preconditions": list(macro.preconditions),
        "effects": list(macro.effects),
        "steps": [step.json() for step in macro.steps],
        "success_prob": macro.success_prob,
        "runs": len(macro.outcomes),
        "failures": [o.where for o in macro.outcomes if not o.ok],
    }


@app.command()
def show(folder: Folder, signature: Signature, as_json: Json = False) -> None:
    """Show one macro: its steps, preconditions and effects, and where it failed."""
    with opened(folder) as memory:
        macro = memory.macros.get(signature)
        if as_json:
            emit(_facts(macro) | {"provenance": [p.doc_id or p.source for p in macro.provenance]})
            return
        print(_line(macro))  # noqa: T201
        for number, step in enumerate(macro.steps, start=1):
            print(f"  {number}. {step}")  # noqa: T201
        for name in ("triggers", "preconditions", "effects"):
            print(f"{name}: {', '.join(getattr(macro, name)) or 'none'}")  # noqa: T201
        for variable in macro.variables:
            how = (
                f"seen in {variable.shown!r}" if variable.shown else f"ends in {', '.join(variable.ends) or 'any word'}"
            )
            print(f"{variable.name}: {how}")  # noqa: T201
        worked = sum(outcome.ok for outcome in macro.outcomes)
        print(f"runs: {len(macro.outcomes)}, worked: {worked}, expected now: {macro.success_prob:.0%}")  # noqa: T201
        for outcome in [o for o in macro.outcomes if not o.ok][-5:]:
            print(f"failed {datetime.fromtimestamp(outcome.at):%Y-%m-%d %H:%M}: {outcome.where}")  # noqa: T201


@app.command()
def test(
    folder: Folder,
    env: Annotated[str, typer.Option(help="Environment to try in, as for `hippo run env=`.")],
    signatures: Annotated[list[str] | None, typer.Argument(help="Macros; every candidate by default.")] = None,
    trials: Annotated[int, typer.Option(min=20, help="Number of runs of each macro.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first instance, which no log should have.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """Run macros in fresh instances, and accept those that work in 97 % of them.

    A run passes if it solves the episode; or, where the mission asks for more than the macro does, if it did its part
    to the end. Instances whose missions do not ask for the macro are skipped; at most ten times as many instances as
    trials are looked at.
    """
    from envs import EnvError

    with opened(folder) as memory, plain_errors(EnvError):
        from agent.config import load
        from agent.rollout.macro_trial import judge
        from envs import make

        choice = load([f"env={env}"]).env
        world = make(choice.id, **choice.kwargs)
        chosen = signatures or [macro.signature for macro in memory.macros.all("candidate")]
        if not chosen:
            raise InvalidItemError("there is no candidate to test: mine some, or name a macro")
        results: list[dict[str, Any]] = []
        with Progress(console=Console(stderr=True), transient=True) as bar:
            for signature in chosen:
                task = bar.add_task(memory.macros.get(signature).name, total=trials)
                seeds = range(seed, seed + 10 * trials)
                macro, completed = judge(world, memory.macros, signature, seeds, trials, partial(_advance, bar, task))
                lost = [trial for trial in completed if not trial.passed]
                why = {True: "it did its part, but the mission was not solved: ", False: ""}
                failed = [f"seed {trial.seed}: {why[trial.ok]}{trial.said}" for trial in lost[:5]]
                solved = sum(trial.solved for trial in completed)
                counts = {"passes": len(completed) - len(lost), "solved": solved, "trials": len(completed)}
                results.append({"name": macro.name, "status": macro.status, **counts, "failed": failed})
        untried = [row["name"] for row in results if not row["trials"]]
        if untried:
            raise InvalidItemError(f"no mission of {10 * trials} instances of {env} asks for {', '.join(untried)}")
        if as_json:
            emit(results)
            return
        for row in results:
            print(f"{row['name']}: {row['status']}, {row['passes']} of {row['trials']} passed, {row['solved']} solved")  # noqa: T201
            for failure in row["failed"]:
                print(f"  {failure}")  # noqa: T201


def _advance(bar: Progress, task: TaskID, _trial: object) -> None:
    bar.advance(task)


@app.command()
def forget(folder: Folder, signature: Signature, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Forget one macro; `hippo memory undo` brings it back."""
    with opened(folder) as memory:
        macro = memory.macros.get(signature)
        gone = memory.forget(rows=[("macros", macro.id)], dry_run=dry_run)
        say({"macro": macro.name, "operation": gone.operation, "removed": gone.removed}, as_json)
