"""What a tool's function gave, as a result that can be logged."""

import inspect
import json
from dataclasses import replace
from typing import Any, get_args

from pydantic_core import to_jsonable_python

from memory.clean import clean_data, clean_text, text_of
from tools.types import Status, ToolResult


class CallError(Exception):
    """A call in another process went wrong; the message says what the tool did."""


def result_of(name: str, value: Any) -> ToolResult:
    """Return what a function gave, or the exception that it raised, as a result.

    Args:
        name: The tool.
        value: What it gave.
    """
    if isinstance(value, CallError):
        return ToolResult.failed(f"{name} {value}")
    if isinstance(value, BaseException):
        return ToolResult.failed(f"{name} raised {type(value).__name__}: {text_of(value)}".rstrip(": "))
    if isinstance(value, ToolResult):
        return value if value.acts else _checked(name, value)
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return ToolResult.failed(f"{name} gave a generator, whose result is not yet there: return a list")
    return _told(value)


def finished(value: Any) -> Any:
    """Return the result of a call; of an ``async`` function, run to its end."""
    if inspect.isawaitable(value):
        import asyncio  # not above: few tools are async, and it takes long to import

        return asyncio.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


def _told(value: Any) -> ToolResult:
    """Return what a function gave, as a result: texts and numbers as they are, all else as JSON where JSON has it."""
    if value is None:
        return ToolResult.ok("done")
    if isinstance(value, str | int | float | bool):
        return ToolResult.ok(text_of(value))
    try:
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        data = clean_data(to_jsonable_python(ordered, inf_nan_mode="strings"))
        return ToolResult.ok(text_of(json.dumps(data, ensure_ascii=False)), data)
    except Exception:  # the boundary: it may be anything
        return ToolResult.ok(text_of(value))


def _checked(name: str, result: ToolResult) -> ToolResult:
    """Return the result, or a failed one if its text is not a string or its data can't be logged as JSON."""
    words: Any = result.text  # a tool may give anything
    if result.status not in get_args(Status):
        return ToolResult.failed(f"{name} gave a result of no known status: expected {', '.join(get_args(Status))}")
    if not isinstance(words, str):
        return ToolResult.failed(f"{name} gave a result whose text is {type(result.text).__name__}, not str")
    try:
        data = json.loads(json.dumps(clean_data(result.data))) if result.data is not None else None
    except Exception as error:  # the boundary: data may hold anything, with a __str__ that raises
        return ToolResult.failed(f"{name} gave data that JSON can't carry: {text_of(error)}")
    clean = clean_text(words)
    return result if clean is words and data == result.data else replace(result, text=clean, data=data)
