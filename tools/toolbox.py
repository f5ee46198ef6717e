"""The tools of one agent: described, narrowed, validated, dispatched, timed out."""

import inspect
import json
import os
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, get_args

from pydantic_core import to_jsonable_python

from memory.clean import clean_data, clean_text, text_of
from memory.nearest import did_you_mean
from tools.errors import ToolSchemaError, UnknownToolError
from tools.tool import Tool
from tools.types import MAX_CALL, Status, ToolCall, ToolResult, ToolSpec

Done = tuple[bool, Any]


class Toolbox:
    """A set of tools with distinct names.

    Args:
        tools: The tools, in the order in which the prompt lists them.

    Raises:
        ToolSchemaError: Two tools have the same name, or an item is not a tool.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for item in tools:
            self.add(item)

    def add(self, item: object) -> None:
        """Add one tool.

        Raises:
            ToolSchemaError: Its name is taken, or it is not a tool.
        """
        if not isinstance(item, Tool):
            some = tools_of(item)
            hint = f"; it has some: give tools.toolbox.tools_of({type(item).__name__.lower()})" if some else ""
            raise ToolSchemaError(f"expected a tool (a function decorated with @tool), got {item!r}{hint}")
        if item.name in self._tools:
            raise ToolSchemaError(f"there are two tools called {item.name!r}: give one another name")
        self._tools[item.name] = item

    @property
    def names(self) -> list[str]:
        """Names of all tools."""
        return list(self._tools)

    def __getitem__(self, name: str) -> Tool:
        """Return the tool of that name.

        Raises:
            UnknownToolError: No tool has that name.
        """
        if name not in self._tools:
            raise UnknownToolError(unknown("tool", name, self._tools))
        return self._tools[name]

    def specs(self) -> list[ToolSpec]:
        """Return every tool as the prompt describes it."""
        return [item.spec() for item in self._tools.values()]

    def offer(self, hidden: Collection[str] = ()) -> list[ToolSpec]:
        """Return the tools that can be called now, their arguments limited to values that exist.

        Args:
            hidden: Names to leave out, such as actions that can have no effect now.
        """
        offers = (item.offer() for item in self._tools.values() if item.name not in hidden)
        return [spec for spec in offers if spec is not None]

    def dispatch(self, call: ToolCall) -> ToolResult:
        """Validate and run one call. Never raise: an error becomes a result."""
        item = self._tools.get(call.name)
        if item is None:
            return ToolResult.invalid(unknown("tool", call.name, self._tools))
        if problem := _unfit(call):
            return ToolResult.invalid(problem)
        try:
            arguments = item.validate(call.arguments)
        except Exception as error:  # the boundary: a schema of others may be anything
            return ToolResult.invalid(f"{call.name}: its arguments can't be checked: {text_of(error)}")
        if isinstance(arguments, ToolResult):
            return arguments
        ended, value = run_for(item.timeout, lambda: _finished(item.function(**arguments)))
        if not ended:
            return ToolResult.failed(f"{call.name} took longer than {item.timeout:g} s and was given up")
        if isinstance(value, BaseException):
            return ToolResult.failed(f"{call.name} raised {type(value).__name__}: {text_of(value)}".rstrip(": "))
        if isinstance(value, ToolResult):
            return value if value.acts else _checked(call.name, value)
        if inspect.isgenerator(value) or inspect.isasyncgen(value):
            return ToolResult.failed(f"{call.name} gave a generator, whose result is not yet there: return a list")
        return _told(value)


def _unfit(call: ToolCall) -> str:
    """Return why arguments are not looked at; empty if they are JSON of a usual size."""
    try:
        size = len(json.dumps(call.arguments, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError) as error:
        return f"{call.name}: its arguments are no JSON: {text_of(error)}"
    return f"{call.name}: arguments of {size:,} characters, at most {MAX_CALL:,}" if size > MAX_CALL else ""


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


def _finished(value: Any) -> Any:
    """Return the result of a call; of an ``async`` function, run to its end."""
    if inspect.isawaitable(value):
        import asyncio  # not above: few tools are async, and it takes long to import

        return asyncio.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


def run_for(seconds: float, work: Callable[[], Any]) -> Done:
    """Run ``work`` in another thread for at most ``seconds``.

    Returns:
        ``(True, value)``, ``(True, exception)`` when it raised, or ``(False, None)`` when time ran
        out. A thread can't be killed: work that hangs goes on in the background, result unused.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    outcome: SimpleQueue[Any] = SimpleQueue()
    worker.todo.put((work, outcome))
    try:
        value = outcome.get(timeout=min(seconds, threading.TIMEOUT_MAX))
    except Empty:
        worker.todo.put(None)  # it ends when the work does
        return False, None
    except BaseException:
        worker.todo.put(None)
        raise
    _idle.append(worker)
    return True, value


class _Worker:
    """A thread that does one piece of work after another: cheaper than a new thread for each."""

    def __init__(self) -> None:
        self.todo: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (item := self.todo.get()) is not None:
            work, outcome = item
            try:
                outcome.put(work())
            except BaseException as error:  # the boundary: a tool may raise anything, SystemExit included
                outcome.put(error)
            del work, outcome, item


_idle: list[_Worker] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads don't live on in a forked process


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message that rejects an unknown name and gives the nearest known names."""
    return f"unknown {kind} {name!r}: {did_you_mean(name, known)}"


def tools_of(owner: object) -> list[Tool]:
    """Return the tools that an object or a module offers, in the order of their definition."""
    scopes = [owner] if inspect.ismodule(owner) else reversed(type(owner).__mro__)
    names = dict.fromkeys(name for scope in scopes for name in vars(scope) if not name.startswith("_"))
    members = (getattr(owner, name) for name in names)
    return [item for item in members if isinstance(item, Tool)]
