"""``hippo episodes``: lists, shows and replays logged episodes, and selects those that are worth training on."""

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
    copy_logs,
    logged,
    named_in,
    peek,
)
from agent.logs.log import read_events
from agent.logs.manifest import by_kind, table, totals
from agent.logs.trajectory import logs_in
from agent.logs.verify_log import Verified

app = typer.Typer(no_args_is_help=True, help="Logged episodes: list, show, stats, replay, filter, export.")

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs or episodes, or events.jsonl files.")]
Env = Annotated[str | None, typer.Option(help="Part of the environment's id.")]
Kind = Annotated[str | None, typer.Option(help="Kind of mission.")]
Solved = Annotated[bool | None, typer.Option("--solved/--unsolved", help="Only these; by default both.")]
Ending = Annotated[
    str | None, typer.Option(help="solved, failed, out_of_steps, looping, stopped, model_error, env_error.")
]
MostOver = Annotated[float | None, typer.Option(min=1, help="Greatest ratio of steps to the fewest possible.")]
MostSteps = Annotated[int | None, typer.Option(min=0, help="Greatest number of steps.")]
Part = Literal["train", "validation", "test", "any"]
Most = Annotated[int | None, typer.Option(min=1, help="Greatest number of episodes.")]


@app.callback()
def group() -> None:
    """Look at logged episodes, replay them, and select those to train on."""


def _taken(runs: list[Path], chosen: Filter, most: int | None = None) -> Iterator[Logged]:
    count = 0
    for episode in logged(runs):
        if chosen.takes(episode):
            yield episode
            count += 1
            if count == most:
                return


def _none_like_that(runs: list[Path]) -> str:
    """Say that no episode matches, and which kinds and endings there are."""
    kinds: set[str] = set()
    endings: set[str] = set()
    for episode in logged(runs):
        kinds.add(episode.start.kind or "(none)")
        endings.add(episode.end.ending if episode.end else "unfinished")
    there = f"the kinds {', '.join(sorted(kinds))} and the endings {', '.join(sorted(endings))}"
    return f"no episode is like that: there are {there}"


@app.command("list")
def list_episodes(
    runs: Runs,
    env: Env = None,
    kind: Kind = None,
    solved: Solved = None,
    ending: Ending = None,
    most_over: MostOver = None,
    most_steps: MostSteps = None,
    most: Most = None,
    as_json: Json = False,
) -> None:
    """List episodes: their missions and how they ended."""
    with plain_errors():
        rows = [
            episode.row() for episode in _taken(runs, Filter(env, kind, solved, ending, most_over, most_steps), most)
        ]
        if not rows:
            raise LogError(_none_like_that(runs))
        if as_json:
            emit(rows)
            return
        listing = Table(
            "episode", "seed", "kind", "ending", "steps", "expert", "calls", "log", box=None, pad_edge=False
        )
        for row in rows:
            cells = (
                row.get(name)
                for name in ("episode", "seed", "kind", "ending", "steps", "optimal_steps", "model_calls", "log")
            )
            listing.add_row(*("-" if cell is None else str(cell) for cell in cells))
        longest = max((len(row["log"]) for row in rows), default=0)
        Console(width=max(Console().width, 80 + longest)).print(listing)


@app.command()
def show(
    log: Annotated[Path, typer.Argument(help="An events.jsonl file, or its folder.")], as_json: Json = False
) -> None:
    """Show one episode: every observation, tool call, result and write to memory."""
    with plain_errors():
        path = log / "events.jsonl" if log.is_dir() else log
        inside = sorted(log.glob("*/events.jsonl")) if not path.is_file() and log.is_dir() else []
        if inside:
            raise LogError(f"{log} is a run of {len(inside)} episodes: show one of them, such as {inside[0].parent}")
        events = read_events(path)
        if as_json:
            emit([event.model_dump() for event in events])
            return
        episode = peek(path)
        if episode is None:
            raise LogError(f"{path} is empty: the episode was broken off before it began")
        start = episode.start
        print(f"episode {start.episode}, seed {start.seed}, {start.env}: {start.mission}")  # noqa: T201
        for event in events:
            words = line(event)
            if words is not None:
                print(words.plain)  # noqa: T201


@app.command()
def stats(
    runs: Runs,
    env: Env = None,
    kind: Kind = None,
    as_json: Json = False,
) -> None:
    """Show success with its interval, steps over optimal, and calls: for each kind of mission and in total."""
    with plain_errors():
        cut: list[Path] = []
        asked = Filter(env, kind)
        episodes = [episode for episode in logged(runs, cut) if asked.concerns(episode)]
        rows = [episode.row() for episode in episodes if episode.end is not None]
        calls: dict[str, int] = {}
        for episode in episodes:
            for name, count in (episode.end.tool_calls if episode.end else {}).items():
                calls[name] = calls.get(name, 0) + count
        unfinished = len(episodes) - len(rows) + len(cut)
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
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes; one per core by default.")] = None,
    as_json: Json = False,
) -> None:
    """Replay logs in their environments and check that everything is the same; the exit code is 1 if not."""
    from envs import EnvError

    with plain_errors(EnvError):
        logs = logs_in(runs)
        done: list[Verified] = []
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("episodes", total=len(logs))
            for result in _verify_all(logs, min(workers or os.cpu_count() or 1, len(logs))):
                done.append(result)
                bar.advance(task)
        other = [result for result in done if not result.matches]
        if as_json:
            differing = [{"log": str(result.log), "difference": result.difference} for result in other]
            steps = sum(result.steps for result in done)
            emit({"episodes": len(done), "matching": len(done) - len(other), "steps": steps, "differing": differing})
        else:
            print(f"{len(done) - len(other)} of {len(done)} episodes are as they were")  # noqa: T201
            for result in other:
                print(f"  {result.log}: {result.difference}")  # noqa: T201
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
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Folder for the copies; must be new or empty.")],
    env: Env = None,
    kind: Kind = None,
    solved: Solved = None,
    ending: Ending = None,
    most_over: MostOver = None,
    most_steps: MostSteps = None,
    most: Most = None,
    as_json: Json = False,
) -> None:
    """Copy the episodes that match into a folder of their own."""
    with plain_errors():
        chosen = Filter(env, kind, solved, ending, most_over, most_steps)
        taken = list(_taken(runs, chosen, most))
        if not taken:
            raise LogError(_none_like_that(runs))
        copy_logs(taken, out, {"filter": asdict(chosen), "runs": list(map(str, runs))})
        if as_json:
            emit({"episodes": len(taken), "folder": str(out)})
        else:
            print(f"{len(taken)} episodes in {out}")  # noqa: T201


@app.command()
def export(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="JSONL file to write.")] = Path("rows.jsonl"),
    unsolved: Annotated[bool, typer.Option("--unsolved", help="Also take episodes that did not succeed.")] = False,
    split: Annotated[Part, typer.Option(help="Split whose worlds are taken; `any` for all.")] = "train",
    as_json: Json = False,
) -> None:
    """Write solved episodes as rows for TRL: `messages`, `tools` and the provenance of each row."""
    with plain_errors():
        from training.rows import export as exported

        if out.suffix not in (".jsonl", ".json", ""):
            raise LogError(f"--out {out}: rows are written as JSON lines: name a file that ends in .jsonl")
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
