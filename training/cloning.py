"""Behaviour cloning: what worked goes into the macro library and into a dataset."""

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
    """What cloning came to.

    Attributes:
        counts: What became of the logs; a row is a solved episode.
        macros: Macros that were found or strengthened.
    """

    counts: Counts
    macros: list[Macro]


def clone(runs: Sequence[Path], memory: Memory, path: Path, most: int = 16) -> Cloned:
    """Turn solved episodes into rows for training and into macro candidates.

    The file is written whole or not at all.

    Args:
        runs: Folders of runs, episodes, or files.
        memory: Whose library takes the macros.
        path: JSONL file of rows to write; one that is there is replaced.
        most: How many macros to find at most.

    Raises:
        LogError: No log, a damaged one, or the file can't be written; nothing was changed.
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
