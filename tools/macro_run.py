"""The run of a macro: one call after another, with a guard that stops it at the first unexpected result."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from memory import InvalidItemError, UnknownItemError
from memory.procedural import (
    Macro,
    MacroLib,
    Step,
    SymbolicState,
)
from memory.procedural.program import RUN_MACRO
from tools.types import ToolCall, ToolResult

MAX_TURNS = 60
"""Most repeats of one step."""

MAX_SURPRISES = 3
"""How often the route of a repeated step may turn out to be blocked before the macro stops."""

MAX_DEPTH = 4
"""Greatest depth of macros that run within macros."""

MAX_ACTIONS = 500
"""Most actions of one run, including those of macros within it."""

Play = Generator[ToolCall, ToolResult, None]


class _StopError(Exception):
    """Something unexpected; the message says what."""


class _NoWayError(_StopError):
    """A route was asked for, and none is known."""


@dataclass(frozen=True)
class StateReader:
    """What a macro reads of the episode while it runs.

    Attributes:
        state: Returns what is known now.
        place: Returns the place on which the agent stands, ``None`` if there is no map.
        joined: Returns how often the agent's map was joined with another one; places get new ids each time.
    """

    state: Callable[[], SymbolicState]
    place: Callable[[], int | None]
    joined: Callable[[], int]


class MacroRun:
    """The run of one macro, for a loop that dispatches its calls and steps the environment.

    Ask :meth:`next` for a call, dispatch it, step the environment if the result acts, and give the
    result to the following :meth:`next`; ``None`` ends the run.

    Args:
        macro: The macro.
        values: Values of the macro's variables.
        library: Holds nested macros, and stores outcomes.
        reader: Reads the state of the episode.
    """

    def __init__(self, macro: Macro, values: Mapping[str, str], library: MacroLib, reader: StateReader) -> None:
        self.macro = macro
        self.values = dict(values)
        self.actions = 0
        self.where = ""
        self._library = library
        self._reader = reader
        self._began = reader.state()
        self._play: Play = self._run(macro, self.values, 0)
        self._recorded = False
        self._ended = False

    @property
    def name(self) -> str:
        """The call that started the run."""
        return self.macro.call(self.values)

    def next(self, result: ToolResult | None = None) -> ToolCall | None:
        """Return the next call, given the result of the last; ``None`` when the run is done or was stopped."""
        if self._ended:
            return None
        try:
            return next(self._play) if result is None else self._play.send(result)
        except StopIteration:
            pass
        except (_StopError, UnknownItemError, InvalidItemError) as error:
            self.where = str(error)
        self._ended = True
        return None

    def close(self, solved: bool | None = None, fair: bool = True) -> ToolResult:
        """End the run, store its outcome and return its result.

        Args:
            solved: Whether the episode ended with success while it ran; ``None`` if the episode goes on.
            fair: Whether the outcome says something about the macro; that of an interruption does not.
        """
        if not self._ended and fair:
            self.actions += 1  # the action that ended the episode
        if not self._ended and not solved:
            self.where = self.where or "the episode ended before it was done"
        ok = bool(solved) or not self.where
        if not self._recorded and (fair or self._ended):
            self._recorded = True
            where = "" if ok else self.where
            with suppress(UnknownItemError):  # the macro was forgotten meanwhile
                self._library.outcome(self.macro.signature, ok, self._began, self.values, where)
        steps = f"{self.actions} action{'' if self.actions == 1 else 's'}"
        if ok:
            return ToolResult.ok(f"{self.name}: done, {steps}", {"actions_done": self.actions})
        return ToolResult.failed(f"{self.name}: stopped at {self.where}; {steps} done")

    def _run(self, macro: Macro, values: dict[str, str], depth: int) -> Play:
        missing = self._lacking(macro.preconditions, values, macro)
        if missing:
            raise _StopError(f"the start: it needs {self._said(missing, values)}")
        for number, step in enumerate(macro.steps, start=1):
            here = f"step {number} of {len(macro.steps)} of {macro.name} ({step.name})"
            before = macro.steps[number - 2] if number > 1 else None
            looking = before if before is not None and before.follow and not before.arguments else None
            try:
                yield from self._step(step, macro, values, depth, looking)
            except _StopError as stop:
                raise _StopError(f"{here}: {stop}") from stop
            lacking = self._lacking(step.expect, values, macro)
            if lacking:
                raise _StopError(f"{here}: expected {self._said(lacking, values)}, but {self._now()}")
        lacking = self._lacking(macro.effects, values, macro)
        if lacking:
            raise _StopError(f"the end: expected {self._said(lacking, values)}, but {self._now()}")

    def _lacking(self, facts: Sequence[str], values: dict[str, str], macro: Macro) -> list[str]:
        """Return those of the facts that do not hold now."""
        if not facts:
            return []
        state = self._reader.state()
        for variable in macro.variables:  # some values are seen only on the way
            if variable.name not in values and (value := variable.find(state.known, values)):
                values[variable.name] = value
        return [fact for fact in facts if not state.holds(fact, values)]

    @staticmethod
    def _said(facts: list[str], values: Mapping[str, str]) -> str:
        text = ", ".join(facts)
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    def _now(self) -> str:
        state = self._reader.state()
        return f"{state.ahead or 'nothing'} is ahead and {state.carrying or 'nothing'} is carried"

    def _step(self, step: Step, macro: Macro, values: dict[str, str], depth: int, looking: Step | None) -> Play:
        """Do a step, and repeat it as often as it takes.

        Args:
            step: The step.
            macro: The macro that holds the step.
            values: Values of the macro's variables.
            depth: Number of macros within which this macro runs.
            looking: The step before, if it explores; it is done again while no route is known.
        """
        if not step.until and looking is None:
            yield from self._once(step, macro, values, depth, repeated=False)
            return
        surprises = 0
        for _ in range(MAX_TURNS):
            if step.until and not self._lacking(step.until, values, macro):
                return
            before = self.actions
            try:
                calm = yield from self._once(step, macro, values, depth, repeated=bool(step.until))
            except _NoWayError:
                if looking is None:
                    raise
                yield from self._once(replace(looking, until=()), macro, values, depth, repeated=True)
                continue
            if not step.until:
                return
            surprises += not calm
            if surprises > MAX_SURPRISES:
                raise _StopError("the way was barred again and again")
            if self.actions == before:
                break
        if self._lacking(step.until, values, macro):
            raise _StopError(f"expected {self._said(list(step.until), values)}, but {self._now()}")

    def _once(
        self, step: Step, macro: Macro, values: dict[str, str], depth: int, repeated: bool
    ) -> Generator[ToolCall, ToolResult, bool]:
        """Do a step once, and return whether everything went as expected."""
        arguments = step.filled(values)
        if step.name == RUN_MACRO:
            if depth >= MAX_DEPTH:
                raise _StopError(f"macros are nested deeper than {MAX_DEPTH}")
            inner, inner_values = self._library.parse(str(arguments.get("call", "")))
            yield from self._run(inner, inner_values, depth + 1)
            return True
        result = yield ToolCall(name=step.name, arguments=arguments)
        if step.follow and result.status == "failed":
            raise _NoWayError(result.text)
        self._check(result)
        if not step.follow:
            return True
        data = result.data if isinstance(result.data, dict) else {}
        actions, after = list(data.get("actions", ())), list(data.get("after", ()))
        joined = self._reader.joined()
        for index, action in enumerate(actions):
            if step.until and not self._lacking(step.until, values, macro):
                return True
            self._check((yield ToolCall(name=str(action))))
            if self._reader.joined() != joined:
                return True  # the map was recognised: the route has to be planned again
            if index < len(after) and self._reader.place() not in (None, after[index]):
                if repeated:
                    return False
                raise _StopError(f"{action} did not lead where it should")
        return True

    def _check(self, result: ToolResult) -> None:
        if result.status != "ok":
            raise _StopError(result.text)
        self.actions += result.acts
        if self.actions > MAX_ACTIONS:
            raise _StopError(f"more than {MAX_ACTIONS} actions were done")
