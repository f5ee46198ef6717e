"""Reasons why episodes failed, as far as their logs show, and remedies."""

import difflib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import LogError
from agent.logs.events import (
    Decided,
    Event,
    Observed,
    Ran,
    Returned,
    Start,
    Wrote,
)
from agent.logs.log import read_events
from envs.questions import UNKNOWN, folded
from eval.measures import Record
from tools.names import LOOKUPS

MENDING = {
    "another world": "the environment or the agent broke off: see the reason in the log",
    "never looked up": "the adapter: more episodes in which a look-up comes before the answer",
    "not in the memory's answer": "writing and cues: the fact was told in other words, misspelt, or asked for wrongly",
    "read, and answered otherwise": "the adapter: answers that are copied from the last result",
    "misspelt": "extractive arguments, and names in the graph as they were told",
    "known, and said unknown": "the adapter: fewer rows in which a full result is followed by unknown",
    "unknown, and said something": "the adapter: rows whose look-up finds what does not quite fit the question",
    "went round in circles": "the adapter: rows of recovery, in which the same call is not made twice",
    "out of decisions": "fewer calls for each step (macros, longer routes), or a greater budget",
    "the wrong thing was done": "the memory that the mission needs: see what its look-ups gave",
}
"""The remedy for each kind of failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed episode.

    Attributes:
        record: The record of the episode.
        why: The kind of failure, a key of ``MENDING``.
        lines: The episode as text, line by line.
    """

    record: Record
    why: str
    lines: list[str]


def why(record: Record, events: Sequence[Event]) -> str:
    """Return why an episode failed: a key of ``MENDING``."""
    answer, right = folded(record["answer"] or ""), [folded(expected) for expected in record["right"]]
    if record["ending"] == "looping":
        return "went round in circles"
    if record["ending"] == "out_of_steps":
        return "out of decisions"
    if record["ending"] in ("model_error", "env_error", "stopped"):
        return "another world"
    if not right:
        return "the wrong thing was done"
    given = " | ".join(folded(e.text) for e in events if isinstance(e, Returned) and e.name in LOOKUPS)
    if any(difflib.SequenceMatcher(None, answer, expected).ratio() >= 0.75 for expected in right):
        return "misspelt"
    if not any(isinstance(e, Decided) and e.name in LOOKUPS for e in events):
        return "never looked up"
    if UNKNOWN in right:
        return "unknown, and said something"
    if any(expected in given for expected in right):
        return "known, and said unknown" if answer == UNKNOWN else "read, and answered otherwise"
    return "not in the memory's answer"


def telling(records: Iterable[Record], folder: Path, count: int = 20) -> tuple[list[Failure], Counter[tuple[str, str]]]:
    """Choose failures of every kind in turn, and count each kind by task.

    Args:
        records: Records of one arm.
        folder: Folder of the evaluation.
        count: Greatest number of failures to choose.
    """
    kinds: dict[tuple[str, str], deque[Failure]] = {}
    for record in records:
        if record["success"] or not record["log"] or not (folder / record["log"]).is_file():
            continue
        try:
            events = read_events(folder / record["log"])
        except LogError:
            continue
        failure = Failure(record, why(record, events), [*told(events)])
        kinds.setdefault((record["task"], failure.why), deque()).append(failure)
    counts = Counter({kind: len(failures) for kind, failures in kinds.items()})
    chosen: list[Failure] = []
    while len(chosen) < count and any(kinds.values()):
        chosen.extend(kinds[kind].popleft() for kind, _ in counts.most_common() if kinds[kind])
    return chosen[:count], counts


def told(events: Iterable[Event]) -> Iterator[str]:
    """Yield an episode as text, line by line."""
    for event in events:
        match event:
            case Start():
                yield f"mission: {event.mission}"
            case Observed():
                yield f"observed: {event.note} {event.text}".replace(":  ", ": ")
            case Decided():
                yield f"decided: {event.text}"
            case Ran():
                yield f"{event.macro} did: {event.name}"
            case Returned():
                yield f"{event.status}: {event.text}"
            case Wrote(store="episodic") | Wrote(store="relational"):
                yield f"wrote ({event.store}): {event.text}"
            case _:
                pass
