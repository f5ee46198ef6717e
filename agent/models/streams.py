"""Streamed answers of OpenAI-compatible servers, put together to the body that is not streamed."""

import json
from collections.abc import Iterable, Iterator
from typing import Any


class BrokenStreamError(ValueError):
    """A stream ended before its answer did, or holds something else; the message says what."""


def lines_of(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, which end in a line feed; signs of other scripts for the end of a line are text."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def assembled(lines: Iterable[str]) -> dict[str, Any]:
    """Put the events of a stream (``data: {...}`` lines) together.

    Args:
        lines: The lines as they come.

    Returns:
        A body with ``choices[0].message``, as without streaming; ``usage`` and other fields are those of the last
        event that has them.

    Raises:
        BrokenStreamError: It ended without a reason to finish and without ``[DONE]``, or an event is no JSON.
    """
    body: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    reason, done = None, False
    for line in lines:
        if not line.startswith("data:"):
            continue  # comments, names of events, empty lines
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            done = True
            break
        event = _event(data)
        body |= {key: value for key, value in event.items() if key != "choices" and value is not None}
        choices = event.get("choices") or [{}]
        choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
        reason = choice.get("finish_reason") or reason
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, dict):
            raise BrokenStreamError(f"a delta of its stream is no object: {str(delta)[:80]!r}")
        for key, value in delta.items():
            if key == "tool_calls":
                _add_calls(calls, value)
            elif isinstance(value, str) and key != "role":
                message[key] = f"{message.get(key) or ''}{value}"
    if not done and reason is None:
        raise BrokenStreamError("its stream ended before the answer did")
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return body | {"choices": [{"index": 0, "finish_reason": reason, "message": message}]}


def _event(data: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenStreamError(f"an event of its stream is no JSON: {data[:80]!r}") from error
    if not isinstance(event, dict):
        raise BrokenStreamError(f"an event of its stream is no object: {data[:80]!r}")
    if event.get("error"):
        raise BrokenStreamError(f"its stream says: {str(event['error'])[:200]}")
    return event


def _add_calls(calls: dict[int, dict[str, Any]], pieces: Any) -> None:
    """Add pieces of calls: the first of each has its name, those that follow more of its arguments."""
    for piece in pieces if isinstance(pieces, list) else ():
        if not isinstance(piece, dict):
            continue
        index = piece.get("index")
        index = index if isinstance(index, int) else len(calls)
        given = piece.get("function")
        function: dict[str, Any] = given if isinstance(given, dict) else {}
        call = calls.setdefault(index, {"type": "function", "function": {"name": "", "arguments": ""}})
        if isinstance(piece.get("id"), str):
            call["id"] = piece["id"]
        kept, name, more = call["function"], function.get("name"), function.get("arguments")
        if isinstance(name, str) and name not in ("", kept["name"]):
            kept["name"] += name
        if isinstance(more, str) and isinstance(kept["arguments"], str):
            kept["arguments"] += more
        elif more is not None:
            kept["arguments"] = more
