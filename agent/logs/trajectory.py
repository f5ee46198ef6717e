"""Logged episodes as trajectories that macros are mined from."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.errors import LogError
from agent.logs.events import (
    Decided,
    End,
    Event,
    Observed,
    Ran,
    Returned,
    Start,
)
from agent.logs.log import read_events
from memory import Provenance
from memory.procedural import Call, SymbolicState, Trajectory


def trajectory_of(events: Sequence[Event], name: str = "") -> Trajectory:
    """Make a trajectory of one episode's events. What a macro did is one call of it.

    Args:
        events: The events, in order.
        name: Of its run, as the agent was named; together with the number it is the provenance's document,
            the same as of what the agent wrote itself.

    Raises:
        LogError: The log has no start or no end.
    """
    start = next((e for e in events if isinstance(e, Start)), None)
    end = next((e for e in reversed(events) if isinstance(e, End)), None)
    if start is None or end is None:
        raise LogError("an episode needs a start and an end to be mined; this log has not both")
    document = " ".join(filter(None, (name, f"episode {start.episode}")))
    origin = Provenance(f"env:{start.env}", document, start.mission, time=start.at)
    return Trajectory(start.mission, tuple(_calls(events)), end.success, origin)


def _calls(events: Sequence[Event]) -> Iterator[Call]:
    known: set[str] = set()
    before = after = SymbolicState()
    pending: Decided | None = None
    returned: Returned | None = None
    inner = False
    for event in events:
        if isinstance(event, Observed):
            known |= {str(cell[2]) for cell in (event.view or {}).get("cells", ()) if cell[2] not in ("", "wall")}
            after = SymbolicState.of(event.view, known)
            if pending is not None and not inner and returned is None:
                yield _call(pending, None, before, after)
                pending = None
        elif isinstance(event, Decided):
            if pending is not None:
                yield _call(pending, returned, before, after)
            pending, returned, inner, before = event, None, False, after
        elif isinstance(event, Ran):
            inner = True
        elif isinstance(event, Returned):
            returned = event
    if pending is not None and returned is not None:
        yield _call(pending, returned, before, after)


def _call(decided: Decided, returned: Returned | None, before: SymbolicState, after: SymbolicState) -> Call:
    data: Any = returned.data if returned is not None else None
    actions = tuple(map(str, data.get("actions", ()))) if isinstance(data, dict) else ()
    ok = decided.name is not None and (returned is None or returned.status == "ok")
    return Call(
        decided.name or "(no call)", decided.arguments or {}, returned is None, actions, ok, before,
        after if returned is None or decided.name == "run_macro" else before,
    )  # fmt: skip


def distinct(found: Iterable[Trajectory]) -> tuple[list[Trajectory], int]:
    """Each episode once, and how many were the same again: the same mission, calls, and things seen."""
    kept: dict[str, Trajectory] = {}
    count = 0
    for count, one in enumerate(found, start=1):  # noqa: B007
        seen = [sorted(call.after.known) for call in one.calls[-1:]]
        calls = [[call.name, dict(call.arguments), call.after.ahead, call.after.carrying] for call in one.calls]
        kept.setdefault(json.dumps([one.mission, one.success, seen, calls], sort_keys=True, default=str), one)
    return list(kept.values()), count - len(kept)


def logs_in(paths: Sequence[Path]) -> list[Path]:
    """The logs of these runs, episodes or files.

    Raises:
        LogError: There is none.
    """
    logs = (log for path in paths for log in ([path] if path.is_file() else sorted(path.rglob("events.jsonl"))))
    found = list({log.resolve(): log for log in logs}.values())
    if not found:
        raise LogError(f"no events.jsonl in {', '.join(map(str, paths)) or 'nothing'}: give runs made by `hippo run`")
    return found


def trajectories(paths: Sequence[Path]) -> Iterator[Trajectory]:
    """Read every log; one of an episode that has no start or no end is left out.

    Raises:
        LogError: A line before the last is no event.
    """
    for log in logs_in(paths):
        events = read_events(log)
        if any(isinstance(e, Start) for e in events) and any(isinstance(e, End) for e in events):
            yield trajectory_of(events, log.parent.parent.name)
