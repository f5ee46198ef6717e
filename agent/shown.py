"""What the model reads of an observation and of a tool's result: made here, logged, and trained on as logged."""

from agent.logs.events import Observed, Returned
from agent.prompts import compiled

MAX_RESULT = 800
"""Longest result of a tool in characters, where the settings name no other limit (``agent.max_result``)."""

_TURN = compiled("turn.j2")


def shown_observation(text: str, note: str = "") -> str:
    """Return what the model reads of an observation: the memory's note, if any, and the text."""
    return _TURN.render(observation=text, result=note)


def shown_result(status: str, text: str, limit: int = MAX_RESULT) -> str:
    """Return what the model reads of a tool's result.

    Args:
        status: Status of the result; any but ``ok`` is put before the text.
        text: The result.
        limit: Characters; what is longer is cut, and an ellipsis marks the cut.
    """
    words = text if status == "ok" else f"{status}: {text}"
    return words if len(words) <= limit else f"{words[:limit]}…"


def shown_in(event: Observed | Returned, limit: int = MAX_RESULT) -> str:
    """Return what the model read of an event, as the log has it.

    Args:
        event: The event.
        limit: The limit of the run, for logs of earlier releases, which hold only the whole result.
    """
    if event.shown is not None:
        return event.shown
    if isinstance(event, Observed):
        return shown_observation(event.text, event.note)
    return shown_result(event.status, event.text, limit)
