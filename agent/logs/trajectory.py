"""Logged episodes as trajectories, from which macros are mined."""

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
from tools import names as tool_names


def trajectory_of(events: Sequence[Event], name: str = "") -> Trajectory:
    """Make a trajectory of one episode's events; the run of a macro becomes a single call in it.

    Args:
        events: The events, in order.
        name: Name of the run, as the agent was given it. With the episode's number it makes the document in the
            provenance, the same as for what the agent itself wrote.

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
        decided.name or "(no call)",
        decided.arguments or {},
        returned is None,
        actions,
        ok,
        before,
        after if returned is None or decided.name == tool_names.RUN_MACRO else before,
    )


def distinct(episodes: Iterable[Trajectory]) -> tuple[list[Trajectory], int]:
    """Return each distinct episode once, and the number of duplicates.

    Duplicates have the same mission, success, calls and things seen.
    """
    kept: dict[str, Trajectory] = {}
    count = 0
    for count, item in enumerate(episodes, start=1):  # noqa: B007
        things = [sorted(call.after.known) for call in item.calls[-1:]]
        calls = [[call.name, dict(call.arguments), call.after.ahead, call.after.carrying] for call in item.calls]
        kept.setdefault(json.dumps([item.mission, item.success, things, calls], sort_keys=True, default=str), item)
    return list(kept.values()), count - len(kept)


def logs_in(paths: Sequence[Path]) -> list[Path]:
    """Return the logs of these runs, episodes or files.

    Raises:
        LogError: There is none.
    """
    logs = (log for path in paths for log in ([path] if path.is_file() else sorted(path.rglob("events.jsonl"))))
    unique_logs = list({log.resolve(): log for log in logs}.values())
    if not unique_logs:
        raise LogError(f"no events.jsonl in {', '.join(map(str, paths)) or 'nothing'}: give runs made by `hippo run`")
    return unique_logs


def trajectories(paths: Sequence[Path]) -> Iterator[Trajectory]:
    """Read every log as a trajectory; logs of episodes without a start or an end are left out.

    Raises:
        LogError: A whole line is not an event.
    """
    for log in logs_in(paths):
        events = read_events(log)
        if any(isinstance(e, Start) for e in events) and any(isinstance(e, End) for e in events):
            yield trajectory_of(events, log.parent.parent.name)
