"""Logged episodes, of which only the beginning and the end are read, and filters over them."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from agent.errors import LogError
from agent.logs.events import (
    PARSER,
    End,
    Event,
    Start,
    current_kind,
)
from agent.logs.files import atomic_write
from agent.logs.manifest import MANIFEST, Row, episode_summary, write
from agent.logs.trajectory import logs_in

TAIL = 1 << 16


@dataclass(frozen=True, slots=True)
class Logged:
    """The first and the last event of a log.

    Attributes:
        path: The ``events.jsonl``.
        start: Its first event.
        end: Its last event; ``None`` if the episode was broken off.
    """

    path: Path
    start: Start
    end: End | None

    @property
    def over_optimal(self) -> float | None:
        """Steps divided by the fewest possible; ``None`` if the episode is unsolved or the fewest are unknown."""
        if self.end is None or not self.end.success or not self.start.optimal_steps:
            return None
        return self.end.steps / self.start.optimal_steps

    def row(self) -> Row:
        """Return the episode as a row of a manifest."""
        start, end = self.start, self.end
        about = {"episode": start.episode, "env": start.env, "kind": start.kind, "world": start.world}
        if end is None:
            return about | {"seed": start.seed, "ending": "unfinished", "success": False, "log": str(self.path)}
        return about | episode_summary(start, end, end.seconds) | {"log": str(self.path)}


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on episodes; a condition that is ``None`` holds for every episode.

    Attributes:
        env: Part of the environment's id.
        kind: Kind of mission.
        solved: Solved episodes only, or unsolved episodes only.
        ending: How the episode ended.
        most_over: Greatest ratio of steps to the fewest possible.
        most_steps: Greatest number of steps.
    """

    env: str | None = None
    kind: str | None = None
    solved: bool | None = None
    ending: str | None = None
    most_over: float | None = None
    most_steps: int | None = None

    def concerns(self, one: Logged) -> bool:
        """Return whether an episode has the environment and the kind, whatever its result."""
        return (self.env or "").lower() in one.start.env.lower() and (
            self.kind is None or current_kind(self.kind) == one.start.kind
        )

    def takes(self, one: Logged) -> bool:
        """Return whether an episode meets all conditions; one that was broken off, only if none is about its end."""
        end, over = one.end, one.over_optimal
        if end is None:
            return self == Filter(self.env, self.kind) and self.concerns(one)
        return (
            self.concerns(one)
            and self.solved in (None, end.success)
            and self.ending in (None, end.ending)
            and (self.most_over is None or (over is not None and over <= self.most_over))
            and (self.most_steps is None or end.steps <= self.most_steps)
        )


def logged(paths: Sequence[Path], cut: list[Path] | None = None) -> Iterator[Logged]:
    """Yield the first and the last event of each episode in runs, folders or files.

    Args:
        paths: The runs.
        cut: Receives the logs that have no whole line: those episodes were broken off before they began.

    Raises:
        LogError: There is no log, or a log's first or last line is not an event.
    """
    for path in logs_in(paths):
        episode = peek(path)
        if episode is not None:
            yield episode
        elif cut is not None:
            cut.append(path)


def peek(path: Path) -> Logged | None:
    """Read a log's first and last event; return ``None`` if it has no whole line.

    Raises:
        LogError: The log does not exist, or its first or last line is not a valid event.
    """
    if not path.is_file():
        raise LogError(f"no log at {path}: give an events.jsonl")
    with path.open("rb") as file:
        first = file.readline()
        if not first.endswith(b"\n"):
            return None
        last = _last_line(file)
    start = _event(path, first, "the first line")
    if not isinstance(start, Start):
        raise LogError(f"{path} does not begin with an episode's start: it is damaged, or no log of an episode")
    end = _event(path, last, "the last line")
    return Logged(path, start, end if isinstance(end, End) else None)


def _last_line(file: IO[bytes]) -> bytes:
    """Return the last whole line of a file that has at least one."""
    size = file.seek(0, os.SEEK_END)
    tail = b""
    while len(tail) < size:
        block = min(TAIL, size - len(tail))
        file.seek(size - len(tail) - block)
        tail = file.read(block) + tail
        whole = tail[: tail.rfind(b"\n") + 1]
        if whole.count(b"\n") > 1:
            return whole[:-1].rsplit(b"\n", 1)[1]
    return tail[: tail.rfind(b"\n")]


def _event(path: Path, line: bytes, where: str) -> Event:
    try:
        return PARSER.validate_json(line)
    except ValidationError as error:
        raise LogError(f"{path}: {where} is no event: {error.errors()[0]['msg']}") from error


def named_in(log: Path, env: str) -> str:
    """Return the environment's id with its module, from the ``run.json`` or ``filter.json`` of a log; else ``env``."""
    folder = log.parent.parent
    for file, keys in (("run.json", ("config", "env", "id")), ("filter.json", ("envs", env))):
        with suppress(OSError, ValueError, KeyError, TypeError):
            value = json.loads((folder / file).read_text())
            for key in keys:
                value = value[key]
            if str(value).rpartition(":")[2] == env:
                return str(value)
    return env


def copy_logs(taken: Sequence[Logged], out: Path, about: dict[str, Any]) -> None:
    """Copy the logs of episodes into a new folder.

    Args:
        taken: The episodes.
        out: The folder; it must not exist, or must be empty.
        about: Where the episodes come from; saved in ``filter.json``.

    Raises:
        LogError: The folder is not empty or can't be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LogError(f"{out} is not an empty folder: choose another")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, episode in enumerate(taken):
            target = out / f"{number:06}" / "events.jsonl"
            target.parent.mkdir()
            target.write_bytes(episode.path.read_bytes())
    except OSError as error:
        raise LogError(f"can't write {out}: {error.strerror}") from error
    write(out / MANIFEST, [episode.row() | {"log": f"{i:06}/events.jsonl"} for i, episode in enumerate(taken)])
    named = {episode.start.env: named_in(episode.path, episode.start.env) for episode in taken}
    with atomic_write(out / "filter.json") as file:
        json.dump(about | {"envs": named, "logs": [str(episode.path) for episode in taken]}, file, indent=1)
