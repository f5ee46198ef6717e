"""The tools of one agent: described, narrowed, validated, dispatched, timed out."""

import inspect
import json
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from memory.clean import text_of
from memory.nearest import did_you_mean
from tools.context import ToolContext
from tools.errors import ToolSchemaError, UnknownToolError
from tools.journal import Journal
from tools.results import finished, result_of
from tools.running import run_for
from tools.tool import Tool
from tools.types import MAX_CALL, ToolCall, ToolResult, ToolSpec

RETRY_PAUSE = 0.1
"""Seconds before a call is tried again; doubled each time."""


class Toolbox:
    """A set of tools with distinct names.

    Args:
        tools: The tools, in the order in which the prompt lists them.
        journal: Keeps the results of calls with side effects, so that they are not made twice.

    Attributes:
        context: What tools with a parameter for it are told of the moment.
        report: Receives name, share done from 0 to 1, and words of what a tool tells while it runs.

    Raises:
        ToolSchemaError: Two tools have the same name, or an item is not a tool.
    """

    def __init__(self, tools: Iterable[Tool] = (), journal: Journal | None = None) -> None:
        self.journal = journal
        self.report: Callable[[str, float, str], None] | None = None
        self.context = ToolContext()
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

    def dispatch(self, call: ToolCall, repeats: bool = False) -> ToolResult:
        """Validate and run one call. Never raise: an error becomes a result.

        Args:
            call: The call.
            repeats: Whether it only repeats what was called before, as a macro does; then a tool with side effects
                is not run.
        """
        item = self._tools.get(call.name)
        if item is None:
            return ToolResult.invalid(unknown("tool", call.name, self._tools))
        if problem := _unfit(call):
            return ToolResult.invalid(problem)
        try:
            arguments = item.validate(call.arguments)
        except Exception as error:  # the boundary: a message may hold anything
            return ToolResult.invalid(f"{call.name}: its arguments can't be checked: {text_of(error)}")
        if isinstance(arguments, ToolResult):
            return arguments
        if item.policy.side_effects and repeats:
            return ToolResult.failed(f"{call.name} has side effects, which a macro does not repeat: call it yourself")
        if item.policy.side_effects and self.journal is not None:
            return self.journal.once(call, lambda: self._run(item, arguments))
        return self._run(item, arguments)

    def _run(self, item: Tool, arguments: dict[str, Any]) -> ToolResult:
        """Run a tool with checked arguments, again if it raised or ran out of time and may be tried again."""
        report = _Report(item.name, self.report)
        context = {item.injected: replace(self.context, progress=report)} if item.injected else {}
        try:
            return self._tried(item, arguments, context)
        finally:
            report.close()

    def _tried(self, item: Tool, arguments: dict[str, Any], context: dict[str, ToolContext]) -> ToolResult:
        policy = item.policy
        for attempt in range(policy.retries + 1):
            if attempt:
                time.sleep(min(RETRY_PAUSE * 2 ** (attempt - 1), 5.0))
            if policy.process:
                from tools.process import run_in_process  # not above: few tools need it

                ended, value = run_in_process(item, arguments)
            else:
                ended, value = run_for(policy.timeout, lambda: finished(item.function(**arguments, **context)))
            if ended and not isinstance(value, BaseException):
                break
        times = f" ({policy.retries + 1} times)" if policy.retries else ""
        if not ended:
            return ToolResult.failed(f"{item.name} took longer than {policy.timeout:g} s{times} and was given up")
        return result_of(item.name, value)


class _Report:
    """What one call tells of its progress; when the call has ended, or was given up, nobody hears it."""

    def __init__(self, name: str, hear: Callable[[str, float, str], None] | None) -> None:
        self._name = name
        self._hear = hear
        self._lock = threading.Lock()

    def __call__(self, done: float, words: str = "") -> None:
        share = min(max(float(done), 0.0), 1.0) if math.isfinite(done) else 0.0
        with self._lock:
            if self._hear is not None:
                self._hear(self._name, share, text_of(words))

    def close(self) -> None:
        """Hear nothing more."""
        with self._lock:
            self._hear = None


def _unfit(call: ToolCall) -> str:
    """Return why arguments are not looked at; empty if they are JSON of a usual size."""
    try:
        size = len(json.dumps(call.arguments, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError) as error:
        return f"{call.name}: its arguments are no JSON: {text_of(error)}"
    return f"{call.name}: arguments of {size:,} characters, at most {MAX_CALL:,}" if size > MAX_CALL else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message that rejects an unknown name and gives the nearest known names."""
    return f"unknown {kind} {name!r}: {did_you_mean(name, known)}"


def tools_of(owner: object) -> list[Tool]:
    """Return the tools that an object or a module offers, in the order of their definition."""
    scopes = [owner] if inspect.ismodule(owner) else reversed(type(owner).__mro__)
    names = dict.fromkeys(name for scope in scopes for name in vars(scope) if not name.startswith("_"))
    members = (getattr(owner, name) for name in names)
    return [item for item in members if isinstance(item, Tool)]
