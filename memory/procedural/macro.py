"""One macro, what suggests it, and how it is called and named."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any, Literal

from memory.errors import InvalidItemError
from memory.procedural import mining
from memory.procedural.matching import Variable
from memory.procedural.program import Step, SymbolicState
from memory.procedural.scoring import Outcome, recent_success
from memory.provenance import Provenance

Status = Literal["candidate", "accepted", "rejected"]
STATUSES: tuple[Status, ...] = ("candidate", "accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Macro:
    """One sequence of calls.

    Attributes:
        id: Row in ``macros``.
        signature: SHA-256 of the steps, shortened; the same steps have the same.
        name: What it is called.
        steps: The calls, in order.
        strength: How many trajectories it was added from.
        provenance: Origins, oldest first.
        variables: What has to be filled in, with the values that each took.
        triggers: Pieces of missions that ask for it, with how often.
        preconditions: Facts that must hold before.
        effects: Facts that hold after it and did not before.
        status: ``candidate`` until it was tried, then ``accepted`` or ``rejected``.
        outcomes: What came of running it, oldest first, the newest 64.
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
        """Expected success, later outcomes counting more, in (0, 1)."""
        return recent_success(self.outcomes, time())

    def call(self, values: Mapping[str, str]) -> str:
        """The macro with its values, as ``run_macro`` takes it: ``"go_to(red ball)"``."""
        return f"{self.name}({', '.join(values[v.name] for v in self.asked)})"

    @property
    def asked(self) -> list[Variable]:
        """The variables that have to be given; the others are seen on the way."""
        return [variable for variable in self.variables if not variable.shown]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A macro that fits what is to be done now.

    Attributes:
        macro: The macro.
        values: Value of each variable.
        score: Expected success in [0, 1].
    """

    macro: Macro
    values: Mapping[str, str]
    score: float

    @property
    def call(self) -> str:
        """What ``run_macro`` takes."""
        return self.macro.call(self.values)


def situation(state: SymbolicState, values: Mapping[str, str]) -> frozenset[str]:
    """What a run began with, for likening it to other runs: facts, and the words of the values."""
    words = {f"{name} {word}" for name, value in values.items() for word in value.split()}
    return state.facts(values) | words


def covered(suggestion: Suggestion) -> int:
    """How much of a mission it does at once."""
    return len(suggestion.macro.steps) + 4 * len(suggestion.macro.variables)


def step_of(step: object) -> Step:
    """A step from ``(tool, arguments)``."""
    if not isinstance(step, (tuple, list)) or len(step) != 2 or not isinstance(step[1], Mapping):
        raise InvalidItemError(f"a step must be a Step or (tool, arguments), got {step!r}")
    return Step(str(step[0]), step[1])


def spoken(steps: Sequence[Step]) -> str:
    """A name made of the first and the last step."""
    return f"{steps[0].name}_to_{steps[-1].name}" if steps else ""


def name_of(found: mining.Mined) -> str:
    """A name made of the words of the commonest trigger, or of the steps."""
    piece = max(found.triggers, key=lambda text: (found.triggers[text], text), default="")
    words = [
        w for w in re.findall(r"[a-z]+", re.sub(r"\$\d+", " ", piece.lower())) if w not in ("the", "a", "an", "and")
    ]
    return "_".join(words[:4]) or "_".join(dict.fromkeys(step.name for step in found.steps))[:24]


def slug(name: str) -> str:
    """The name with underscores for what can't be in one."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")


def unused(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken."""
    others = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in others if other not in taken)


def lesson(found: mining.Mined, pieces: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """What one episode taught of a macro: pieces of its mission, and values."""
    triggers = Counter(piece for _, piece in pieces if piece in found.triggers)
    mine = {number for number, _ in pieces}
    taken = [values for values, (number, _) in zip(found.values, found.pieces, strict=True) if number in mine]
    return {
        "triggers": dict(triggers),
        "values": {name: sorted({values[name] for values in taken}) for name in found.variables},
    }  # fmt: skip


def linked(text: str, kept: Sequence[Macro]) -> str:
    """Put a macro's name where mining wrote its number."""
    return re.sub(r"^@(\d+)\(", lambda found: f"{kept[int(found[1])].name}(", text)
