"""Behaviour cloning: what worked goes into the macro library and into a dataset."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import LogError
from agent.events import End, Start
from agent.log import read_events
from agent.trajectory import logs_in, trajectory_of
from memory import InvalidItemError, Memory
from memory.spatial import Macro, Trajectory
from training.datasets import row_of


@dataclass(frozen=True, slots=True)
class Cloned:
    """What cloning came to.

    Attributes:
        episodes: Logs that were read.
        rows: Rows written, one a solved episode.
        doubles: Solved episodes left out because another row has the same conversation.
        unfinished: Logs without a start or an end.
        macros: Macros that were found or strengthened.
    """

    episodes: int
    rows: int
    doubles: int
    unfinished: int
    macros: list[Macro]


def clone(runs: Sequence[Path], memory: Memory, rows: Path, most: int = 16) -> Cloned:
    """Turn solved episodes into rows for training and into macro candidates.

    Every row's ``provenance`` names its log, the log's SHA-256, environment, seed and steps. The file is
    written whole or not at all.

    Args:
        runs: Folders of runs, episodes, or files.
        memory: Whose library takes the macros.
        rows: JSONL file to write; one that is there is replaced.
        most: How many macros to find at most.

    Raises:
        LogError: No log, a damaged one, or the file can't be written; nothing was changed.
        InvalidItemError: No episode was solved.
    """
    lines: list[str] = []
    won: list[Trajectory] = []
    seen: set[str] = set()
    episodes = unfinished = doubles = 0
    for log in logs_in(runs):
        episodes += 1
        events = read_events(log)
        if not any(isinstance(e, Start) for e in events) or not isinstance(events[-1], End):
            unfinished += 1
            continue
        if not events[-1].success:
            continue
        row = row_of(events)
        said = hashlib.sha256(json.dumps(row["messages"]).encode()).hexdigest()
        if said in seen:
            doubles += 1
            continue
        seen.add(said)
        won.append(trajectory_of(events, log.parent.parent.name))
        row["provenance"] |= {"log": str(log), "sha256": hashlib.sha256(log.read_bytes()).hexdigest()}
        lines.append(json.dumps(row))
    if not won:
        raise InvalidItemError(f"none of {episodes} episodes was solved: there is nothing to clone")
    half = rows.with_name(f"{rows.name}.part")
    try:
        rows.parent.mkdir(parents=True, exist_ok=True)
        half.write_text("".join(f"{line}\n" for line in lines))
        macros = memory.macros.mine(won, most)
        half.replace(rows)
    except OSError as error:
        raise LogError(f"can't write {rows}: {error.strerror}; choose another file") from error
    finally:
        half.unlink(missing_ok=True)
    return Cloned(episodes, len(lines), doubles, unfinished, macros)
