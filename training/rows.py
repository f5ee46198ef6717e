"""Conversion of logged episodes into rows of a data set."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.logs.episodes import Logged
from agent.logs.events import End, Event, Start
from agent.logs.files import atomic_write
from agent.logs.log import read_events
from envs.splits import Split
from memory import InvalidItemError
from training.datasets import Row, row_of
from training.selection import Refusal, refusal


@dataclass
class Counts:
    """Counts of logs: how many became rows, and how many were left out and why.

    Attributes:
        episodes: Logs that were read.
        rows: Rows made of them.
        unsolved: Left out because they did not succeed.
        doubles: Left out because another row has the same conversation.
        unfinished: Left out because the start or the end is missing.
        other_split: Left out because their worlds belong to another split.
    """

    episodes: int = 0
    rows: int = 0
    unsolved: int = 0
    doubles: int = 0
    unfinished: int = 0
    other_split: int = 0

    def add(self, reason: Refusal) -> None:
        """Count a log that was left out."""
        name = "other_split" if reason == "of another split" else reason
        setattr(self, name, getattr(self, name) + 1)


def rows(
    logs: Iterable[Path], counts: Counts, unsolved: bool = False, split: Split | None = "train"
) -> Iterator[tuple[Path, Row, list[Event]]]:
    """Yield a row for every log that passes the filters, with its path and events.

    A row's ``provenance`` names its log, the log's SHA-256, environment, seed and steps. Two rows never have the same
    conversation.

    Args:
        logs: The logs.
        counts: Counts to increase while logs are read.
        unsolved: Whether episodes that did not succeed are taken too.
        split: Split whose worlds are taken; ``None`` for all.

    Raises:
        LogError: A log is damaged.
    """
    seen: set[bytes] = set()
    for log in logs:
        counts.episodes += 1
        events = read_events(log)
        start = next((event for event in events if isinstance(event, Start)), None)
        end = events[-1] if isinstance(events[-1], End) else None
        reason = refusal(Logged(log, start, end) if start else None, split, not unsolved)
        if reason is not None:
            counts.add(reason)
            continue
        row = row_of(events)
        digest = hashlib.sha256(json.dumps(row["messages"]).encode()).digest()
        if digest in seen:
            counts.doubles += 1
            continue
        seen.add(digest)
        counts.rows += 1
        row["provenance"] |= {"log": str(log), "sha256": hashlib.sha256(log.read_bytes()).hexdigest()}
        yield log, row, events


def export(
    logs: Iterable[Path],
    path: Path,
    unsolved: bool = False,
    advance: Callable[[], None] = lambda: None,
    split: Split | None = "train",
) -> Counts:
    """Write a JSONL file of rows with ``messages``, ``tools`` and ``provenance``, completely or not at all.

    Args:
        logs: The logs.
        path: The file to write.
        unsolved: Whether episodes that did not succeed are taken too.
        advance: Called after each row.
        split: Split whose worlds are taken; ``None`` for all.

    Raises:
        LogError: A log is damaged, or the file can't be written.
        InvalidItemError: No episode passes the filters.
    """
    counts = Counts()
    with atomic_write(path) as file:
        for _, row, _ in rows(logs, counts, unsolved, split):
            file.write(f"{json.dumps(row)}\n")
            advance()
        if not counts.rows:
            raise InvalidItemError(f"none of {counts.episodes} episodes was solved: there is nothing to export")
    return counts
