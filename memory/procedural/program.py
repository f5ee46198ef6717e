"""The language of macros: calls, the states before and after them, and steps with variables."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from memory.errors import InvalidItemError
from memory.provenance import Provenance

VARIABLE = re.compile(r"\$\d+")
NOTHING = "nothing"

RUN_MACRO = "run_macro"
"""Name of the tool that runs a macro; a step of that name is a macro within a macro."""


@dataclass(frozen=True, slots=True)
class SymbolicState:
    """State at one moment: what matters to macros.

    Attributes:
        carrying: What the agent carries; empty for nothing.
        ahead: What is straight ahead; empty for floor.
        known: Things that are on the map.
    """

    carrying: str = ""
    ahead: str = ""
    known: frozenset[str] = frozenset()

    @classmethod
    def of(cls, view: Mapping[str, Any] | None, known: Iterable[str]) -> Self:
        """Make the state from a view as environments give it in ``info["view"]``."""
        cells = (view or {}).get("cells", ())
        ahead = next((str(cell[2]) for cell in cells if tuple(cell[:2]) == (1, 0)), "")
        carrying = str((view or {}).get("carrying") or "")
        return cls(carrying, ahead, frozenset({*known, carrying} - {""}))

    def facts(self, terms: Mapping[str, str]) -> frozenset[str]:
        """Return the facts that hold for some things, written with variables: ``"known $1"``, ``"ahead open $1 door"``.

        Args:
            terms: Terms with variables and the thing that each stands for, as ``{"$1 door": "red door"}``.
        """
        facts = set() if self.carrying else {f"carrying {NOTHING}"}
        for term, thing in terms.items():
            if any(fits(thing, known) for known in self.known):
                facts.add(f"known {term}")
            for verb, seen in (("carrying", self.carrying), ("ahead", self.ahead)):
                if not seen or not fits(thing, seen):
                    continue
                facts.add(f"{verb} {term}")
                state = seen.split()[0]
                if len(seen.split()) > 2 and state not in thing.split():
                    facts.add(f"{verb} {state} {term}")
        return frozenset(facts)

    def holds(self, fact: str, values: Mapping[str, str]) -> bool:
        """Return whether a fact holds; a fact about a variable without a value does not."""
        verb, _, rest = fact.partition(" ")
        thing = fill(rest, values)
        if VARIABLE.search(thing):
            return False
        if verb == "known":
            return any(fits(thing, known) for known in self.known)
        seen = {"carrying": self.carrying, "ahead": self.ahead}.get(verb)
        if seen is None:
            return False
        return not seen if thing == NOTHING else bool(seen) and fits(thing, seen)


def fits(description: str, thing: str) -> bool:
    """Return whether every word of a description is among the words of the thing."""
    words = description.split()
    return bool(words) and set(words) <= set(thing.split())


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with every variable that has a value replaced by that value."""
    return VARIABLE.sub(lambda match: values.get(match.group(), match.group()), text)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a trajectory.

    Attributes:
        name: The tool or action.
        arguments: Its arguments.
        acts: Whether it was an action of the environment.
        actions: Actions that its result named, as a route does.
        ok: Whether it succeeded.
        before: The state before it.
        after: The state after it.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    acts: bool = False
    actions: tuple[str, ...] = ()
    ok: bool = True
    before: SymbolicState = SymbolicState()
    after: SymbolicState = SymbolicState()


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The calls of one episode, in order.

    Attributes:
        mission: The task of the episode.
        calls: The calls.
        success: Whether the mission was fulfilled.
        origin: The episode that it comes from.
    """

    mission: str
    calls: tuple[Call, ...]
    success: bool = True
    origin: Provenance | str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a macro; its strings may contain variables such as ``$1``.

    Attributes:
        name: The tool or action to call.
        arguments: Its arguments.
        follow: Whether the actions that its result names are carried out next.
        until: Facts; if there are any, the step is repeated until they hold, and skipped if they hold already.
        expect: Facts that must hold after the step.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    follow: bool = False
    until: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()

    def json(self) -> list[Any]:
        """Return the step as JSON: ``[name, arguments]``, and a third element for values that are not the default."""
        more = {"follow": True} if self.follow else {}
        more |= {name: list(facts) for name in ("until", "expect") if (facts := getattr(self, name))}  # type: ignore[misc]
        return [self.name, dict(self.arguments), *([more] if more else [])]

    @classmethod
    def parse(cls, data: Sequence[Any]) -> Self:
        """Read what :meth:`json` wrote.

        Raises:
            InvalidItemError: The data has another form.
        """
        try:
            name, arguments, *more = data
            extra = dict(more[0]) if more else {}
            facts = {key: tuple(map(str, extra[key])) for key in ("until", "expect") if key in extra}
            return cls(str(name), dict(arguments), bool(extra.get("follow")), **facts)
        except (TypeError, ValueError, AttributeError) as error:
            raise InvalidItemError(
                f"a step must be [name, arguments, more], the last if needed; got {data!r}"
            ) from error

    def filled(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments with variables replaced by their values."""
        return {key: fill(value, values) if isinstance(value, str) else value for key, value in self.arguments.items()}

    def rename(self, rename: Callable[[str], str]) -> "Step":
        """Return a copy of the step with ``rename`` applied to every string."""
        arguments = {key: rename(value) if isinstance(value, str) else value for key, value in self.arguments.items()}
        until, expect = (tuple(map(rename, facts)) for facts in (self.until, self.expect))
        return Step(self.name, arguments, self.follow, until, expect)

    def __str__(self) -> str:
        """Return the step in words."""
        call = f"{self.name}({', '.join(map(str, self.arguments.values()))})"
        parts = [f"follow {call}" if self.follow else call]
        parts += [f"until {' and '.join(self.until)}"] if self.until else []
        parts += [f"expect {' and '.join(self.expect)}"] if self.expect else []
        return ", ".join(parts)
