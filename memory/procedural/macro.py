"""Macros and suggestions, and how macros are called and named."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any, Literal

from memory.errors import InvalidItemError
from memory.plain import ReadsAsDict
from memory.procedural import mining
from memory.procedural.matching import Variable
from memory.procedural.program import Step, SymbolicState
from memory.procedural.scoring import Outcome, recent_success
from memory.provenance import Provenance

Status = Literal["candidate", "accepted", "rejected"]
STATUSES: tuple[Status, ...] = ("candidate", "accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro: a sequence of calls with variables.

    Attributes:
        id: Row in ``macros``.
        signature: Shortened SHA-256 of the steps; the same steps have the same signature.
        name: Its name.
        steps: The calls, in order.
        strength: How many trajectories it was added from.
        provenance: Origins, oldest first.
        variables: Variables in the steps, with the types of their values.
        triggers: Pieces of missions that ask for it, with their counts.
        preconditions: Facts that must hold before it runs.
        effects: Facts that hold after it ran and did not hold before.
        status: ``candidate`` until it was tested, then ``accepted`` or ``rejected``.
        outcomes: Outcomes of the newest 64 runs, oldest first.
    """

    id: int
    signature: str
    name: str
    steps: tuple[Step, ...]
    strength: int
    provenance: tuple[Provenance, ...]
    variables: tuple[Variable, ...] = ()
    triggers: Mapping[str, int] = field(default_factory=dict)
    preconditions: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    status: Status = "candidate"
    outcomes: tuple[Outcome, ...] = ()

    @property
    def success_prob(self) -> float:
        """Expected success in (0, 1); later outcomes count more."""
        return recent_success(self.outcomes, time())

    def call(self, values: Mapping[str, str]) -> str:
        """Return the call with its values as ``run_macro`` takes it, for example ``"go_to(red ball)"``."""
        return f"{self.name}({', '.join(values[v.name] for v in self.asked)})"

    @property
    def asked(self) -> list[Variable]:
        """The variables whose values the caller has to give; the others are read from known things."""
        return [variable for variable in self.variables if not variable.shown]


@dataclass(frozen=True, slots=True)
class Suggestion(ReadsAsDict):
    """A macro that fits the mission and the present state.

    Attributes:
        macro: The macro.
        values: Value of each variable.
        score: Expected success in [0, 1].
    """

    macro: Macro
    values: Mapping[str, str]
    score: float

    def plain(self) -> dict[str, Any]:
        """Return the suggestion as a dictionary."""
        return {
            "call": self.call,
            "name": self.macro.name,
            "signature": self.macro.signature,
            "values": dict(self.values),
            "score": self.score,
            "steps": [step.json() for step in self.macro.steps],
        }

    @property
    def call(self) -> str:
        """The call as ``run_macro`` takes it."""
        return self.macro.call(self.values)


def situation(state: SymbolicState, values: Mapping[str, str]) -> frozenset[str]:
    """Return the facts and the words of the values at the start of a run, to compare it with other runs."""
    words = {f"{name} {word}" for name, value in values.items() for word in value.split()}
    return state.facts(values) | words


def covered(suggestion: Suggestion) -> int:
    """Return how much of a mission a suggestion covers: more steps and more variables count more."""
    return len(suggestion.macro.steps) + 4 * len(suggestion.macro.variables)


def step_of(step: object) -> Step:
    """Make a step from ``(tool, arguments)`` or ``{"name": tool, "arguments": {...}}``.

    A mapping may also have ``follow``, ``until`` and ``expect``, as a :class:`Step` has them; other keys don't matter.
    """
    more: dict[str, Any] = {}
    if isinstance(step, Mapping):
        more = {key: step[key] for key in ("follow", "until", "expect") if key in step}
        name = next((step[key] for key in ("name", "tool", "action") if key in step), None)
        step = (name, step.get("arguments", step.get("args")) or {})
    if not isinstance(step, (tuple, list)) or len(step) != 2 or not step[0] or not isinstance(step[1], Mapping):
        raise InvalidItemError(
            f'a step must be a Step, (tool, arguments) or {{"name": tool, "arguments": {{...}}}}, got {step!r}'
        )
    return Step.parse([step[0], step[1], more])


def spoken(steps: Sequence[Step]) -> str:
    """Make a name from the first and the last step."""
    return f"{steps[0].name}_to_{steps[-1].name}" if steps else ""


def name_of(mined: mining.Mined) -> str:
    """Make a name from the words of the commonest trigger, or else from the steps."""
    piece = max(mined.triggers, key=lambda text: (mined.triggers[text], text), default="")
    words = [
        w for w in re.findall(r"[a-z]+", re.sub(r"\$\d+", " ", piece.lower())) if w not in ("the", "a", "an", "and")
    ]
    return "_".join(words[:4]) or "_".join(dict.fromkeys(step.name for step in mined.steps))[:24]


def slug(name: str) -> str:
    """Return the name with each run of characters that a name can't have replaced by an underscore."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")


def unused(name: str, taken: set[str]) -> str:
    """Return the name, with a number added if it is taken."""
    others = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in others if other not in taken)


def lesson(mined: mining.Mined, pieces: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return what one episode contributes to a macro: triggers from its mission, and values of the variables."""
    triggers = Counter(piece for _, piece in pieces if piece in mined.triggers)
    episodes = {number for number, _ in pieces}
    taken = [values for values, (number, _) in zip(mined.values, mined.pieces, strict=True) if number in episodes]
    return {
        "triggers": dict(triggers),
        "values": {name: sorted({values[name] for values in taken}) for name in mined.variables},
    }


def linked(text: str, kept: Sequence[Macro]) -> str:
    """Replace the number of a macro, which mining wrote, by the macro's name."""
    return re.sub(r"^@(\d+)\(", lambda match: f"{kept[int(match[1])].name}(", text)
