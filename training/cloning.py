"""Behaviour cloning: successful episodes become macros of the library and rows of a data set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.logs.files import atomic_write
from agent.logs.trajectory import logs_in, trajectory_of
from memory import InvalidItemError, Memory
from memory.procedural import Macro, Trajectory
from training.rows import Counts, rows


@dataclass(frozen=True, slots=True)
class Cloned:
    """The outcome of cloning.

    Attributes:
        counts: How many logs became rows and how many were left out; a row is a solved episode.
        macros: Macros that were newly found, or found again and strengthened.
    """

    counts: Counts
    macros: list[Macro]


def clone(runs: Sequence[Path], memory: Memory, path: Path, most: int = 16) -> Cloned:
    """Turn solved episodes into rows for training and into macro candidates.

    The file is written whole or not at all.

    Args:
        runs: Folders of runs or episodes, or log files.
        memory: The memory whose library takes the macros.
        path: JSONL file of rows to write; an existing file is replaced.
        most: The greatest number of macros to mine.

    Raises:
        LogError: There is no log, a log is damaged, or the file can't be written; nothing was changed.
        InvalidItemError: No episode was solved.
    """
    counts = Counts()
    won: list[Trajectory] = []
    with atomic_write(path) as file:
        for log, row, events in rows(logs_in(runs), counts):
            won.append(trajectory_of(events, log.parent.parent.name))
            file.write(f"{json.dumps(row)}\n")
        if not won:
            raise InvalidItemError(f"none of {counts.episodes} episodes was solved: there is nothing to clone")
    return Cloned(counts, memory.macros.mine(won, most))
