"""``hippo episodes``: look at what was logged, play it again, take from it what is worth training on."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from agent.commands.terminal import line
from agent.errors import LogError
from agent.logs.episodes import (
    Filter,
    Logged,
    link,
    logged,
    named_in,
    peek,
)
from agent.logs.log import read_events
from agent.logs.manifest import by_kind, table, totals
from agent.logs.trajectory import logs_in
from agent.logs.verify_log import Verified

app = typer.Typer(no_args_is_help=True, help="Logged episodes: list, show, stats, replay, filter, export.")

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs, episodes, or events.jsonl files.")]
Env = Annotated[str | None, typer.Option(help="Part of the environment's id.")]
Kind = Annotated[str | None, typer.Option(help="Kind of mission.")]
Solved = Annotated[bool | None, typer.Option("--solved/--unsolved", help="Only these; both by default.")]
Ending = Annotated[str | None, typer.Option(help="solved, failed, out_of_steps, looping, stopped or model_error.")]
MostOver = Annotated[float | None, typer.Option(min=1, help="Most steps over the fewest possible.")]
MostSteps = Annotated[int | None, typer.Option(min=0, help="Most steps.")]
Part = Literal["train", "validation", "test", "any"]
Most = Annotated[int | None, typer.Option(min=1, help="How many at most.")]


@app.callback()
def group() -> None:
    """Logged episodes."""


def _taken(runs: list[Path], chosen: Filter, most: int | None = None) -> Iterator[Logged]:
    count = 0
    for one in logged(runs):
        if chosen.takes(one):
            yield one
            count += 1
            if count == most:
                return


def _none_like_that(runs: list[Path]) -> str:
    """Say so, and what there is."""
    kinds: set[str] = set()
    endings: set[str] = set()
    for one in logged(runs):
        kinds.add(one.start.kind or "(none)")
        endings.add(one.end.ending if one.end else "unfinished")
    there = f"the kinds {', '.join(sorted(kinds))} and the endings {', '.join(sorted(endings))}"
    return f"no episode is like that: there are {there}"


@app.command("list")
def list_episodes(
    runs: Runs, env: Env = None, kind: Kind = None, solved: Solved = None, ending: Ending = None,
    most_over: MostOver = None, most_steps: MostSteps = None, most: Most = None, as_json: Json = False,
) -> None:  # fmt: skip
    """List episodes: what was asked for, and what came of it."""
    with plain_errors():
        rows = [one.row() for one in _taken(runs, Filter(env, kind, solved, ending, most_over, most_steps), most)]
        if not rows:
            raise LogError(_none_like_that(runs))
        if as_json:
            emit(rows)
            return
        made = Table("episode", "seed", "kind", "ending", "steps", "best", "calls", "log", box=None, pad_edge=False)
        for row in rows:
            cells = (row.get(name) for name in ("episode", "seed", "kind", "ending", "steps", "optimal_steps",
                                                "model_calls", "log"))  # fmt: skip
            made.add_row(*("-" if cell is None else str(cell) for cell in cells))
        longest = max((len(row["log"]) for row in rows), default=0)
        Console(width=max(Console().width, 80 + longest)).print(made)


@app.command()
def show(
    log: Annotated[Path, typer.Argument(help="An events.jsonl, or the folder that it is in.")], as_json: Json = False
) -> None:
    """Show one episode: every observation, call, result and write."""
    with plain_errors():
        path = log / "events.jsonl" if log.is_dir() else log
        inside = sorted(log.glob("*/events.jsonl")) if not path.is_file() and log.is_dir() else []
        if inside:
            raise LogError(f"{log} is a run of {len(inside)} episodes: show one of them, such as {inside[0].parent}")
        events = read_events(path)
        if as_json:
            emit([event.model_dump() for event in events])
            return
        one = peek(path)
        if one is None:
            raise LogError(f"{path} is empty: the episode was broken off before it began")
        start = one.start
        print(f"episode {start.episode}, seed {start.seed}, {start.env}: {start.mission}")  # noqa: T201
        for event in events:
            words = line(event)
            if words is not None:
                print(words.plain)  # noqa: T201


@app.command()
def stats(
    runs: Runs, env: Env = None, kind: Kind = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Success with its interval, steps over optimal and calls, for each kind of mission and for all."""
    with plain_errors():
        cut: list[Path] = []
        asked = Filter(env, kind)
        found = [one for one in logged(runs, cut) if asked.concerns(one)]
        rows = [one.row() for one in found if one.end is not None]
        calls: dict[str, int] = {}
        for one in found:
            for name, count in (one.end.tool_calls if one.end else {}).items():
                calls[name] = calls.get(name, 0) + count
        unfinished = len(found) - len(rows) + len(cut)
        if as_json:
            emit(totals(rows) | {"unfinished": unfinished, "kinds": by_kind(rows), "tool_calls": calls})
            return
        console = Console(width=max(Console().width, 100))
        console.print(table(rows))
        print("calls: " + ", ".join(f"{name} {count}" for name, count in sorted(calls.items(), key=lambda c: -c[1])))  # noqa: T201
        if unfinished:
            print(f"{unfinished} were cut short and are left out")  # noqa: T201


def _replay(path: Path) -> Verified:
    from agent.logs.verify_log import verify_log
    from envs import make

    def make_as_named(name: str, **settings: Any) -> Any:
        return make(named_in(path, name), **settings)

    try:
        return verify_log(path, make_as_named)
    except LogError as error:
        return Verified(path, 0, str(error))


@app.command()
def replay(
    runs: Runs,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core by default.")] = None,
    as_json: Json = False,
) -> None:
    """Play logs again in their environments, and check that all is as it was; exit code 1 if something is not."""
    from envs import EnvError

    with plain_errors(EnvError):
        logs = logs_in(runs)
        done: list[Verified] = []
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("episodes", total=len(logs))
            for one in _verify_all(logs, min(workers or os.cpu_count() or 1, len(logs))):
                done.append(one)
                bar.advance(task)
        other = [one for one in done if not one.matches]
        if as_json:
            differing = [{"log": str(one.log), "difference": one.difference} for one in other]
            steps = sum(one.steps for one in done)
            emit({"episodes": len(done), "matching": len(done) - len(other), "steps": steps, "differing": differing})
        else:
            print(f"{len(done) - len(other)} of {len(done)} episodes are as they were")  # noqa: T201
            for one in other:
                print(f"  {one.log}: {one.difference}")  # noqa: T201
    if other:
        raise typer.Exit(1)


def _verify_all(logs: Sequence[Path], workers: int) -> Iterator[Verified]:
    if workers == 1:
        yield from map(_replay, logs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(_replay, logs, chunksize=16)
        except BrokenProcessPool as error:
            raise LogError("a process that replays was killed, perhaps for memory: try fewer --workers") from error


@app.command("filter")
def filter_episodes(
    runs: Runs, out: Annotated[Path, typer.Option(help="Folder to put them into; must be new or empty.")],
    env: Env = None, kind: Kind = None, solved: Solved = None, ending: Ending = None,
    most_over: MostOver = None, most_steps: MostSteps = None, most: Most = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Copy the episodes that are wanted into a folder of their own."""
    with plain_errors():
        chosen = Filter(env, kind, solved, ending, most_over, most_steps)
        taken = list(_taken(runs, chosen, most))
        if not taken:
            raise LogError(_none_like_that(runs))
        link(taken, out, {"filter": asdict(chosen), "runs": list(map(str, runs))})
        if as_json:
            emit({"episodes": len(taken), "folder": str(out)})
        else:
            print(f"{len(taken)} episodes in {out}")  # noqa: T201


@app.command()
def export(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="JSONL file to write.")] = Path("rows.jsonl"),
    unsolved: Annotated[bool, typer.Option("--unsolved", help="Take episodes that did not succeed too.")] = False,
    split: Annotated[Part, typer.Option(help="Worlds that are taken; `any` for all.")] = "train",
    as_json: Json = False,
) -> None:
    """Write solved episodes as rows that TRL trains on: `messages`, `tools`, and where each comes from."""
    with plain_errors():
        from training.rows import export as exported

        logs = logs_in(runs)
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("rows", total=len(logs))
            counts = exported(logs, out, unsolved, partial(bar.advance, task), None if split == "any" else split)
        result: dict[str, Any] = {**asdict(counts), "file": str(out)}
        if as_json:
            emit(result)
        else:
            why = {"unsolved": "unsolved", "doubles": "doubles", "unfinished": "unfinished",
                   "other_split": "of another split"}  # fmt: skip
            left = ", ".join(f"{result[name]} {words}" for name, words in why.items() if result[name])
            print(f"{counts.rows} rows in {out}{f'; left out: {left}' if left else ''}")  # noqa: T201
