"""Matching of missions with macros: which values a mission gives to the variables of a macro."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memory.procedural.program import VARIABLE, fill

MAX_ENDS = 64
"""A variable that has ended in more different words than this accepts any last word."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Type of a variable: the values that it may stand for.

    Attributes:
        name: Its name, for example ``"$1"``.
        ends: Last words of the values seen so far; they mark where a value ends. Empty if any word may be last.
        words: Greatest number of words of a value.
        shown: For a variable that no mission names, a pattern of the known thing that shows its value, for
            example ``"locked $2 $1"``.
    """

    name: str
    ends: Sequence[str]
    words: int
    shown: str = ""

    def find(self, known: Iterable[str], values: Mapping[str, str]) -> str | None:
        """Return the value that a known thing shows, given the values of the other variables; else ``None``."""
        pattern = fill(self.shown, values).split()
        if self.name not in pattern or any(VARIABLE.search(part) and part != self.name for part in pattern):
            return None
        at = pattern.index(self.name)
        for thing in sorted(known):
            parts = thing.split()
            if len(parts) == len(pattern) and all(
                a == b for i, (a, b) in enumerate(zip(parts, pattern, strict=True)) if i != at
            ):
                return parts[at]
        return None


def variables_of(
    names: Sequence[str],
    values: Sequence[Mapping[str, str]],
    shown: Mapping[str, str],
    known: Sequence[Variable] = (),
) -> list[Variable]:
    """Infer the types of variables from the values that they took and from their types so far.

    Args:
        names: The variables.
        values: For each occurrence, the value of each variable.
        shown: For variables that no mission names, the pattern of the thing that shows their value.
        known: The types so far.
    """
    types = []
    before = {variable.name: variable for variable in known}
    for name in names:
        seen = [occurrence[name].split() for occurrence in values if occurrence.get(name)]
        old = before.get(name)
        ends = {words[-1] for words in seen} | set(old.ends if old else ())
        free = len(ends) > MAX_ENDS or (old is not None and not old.ends)
        longest = max([old.words if old else 1, *(len(words) for words in seen)])
        types.append(Variable(name, [] if free else sorted(ends), longest, shown.get(name, "")))
    return types


def matches(
    triggers: Mapping[str, int], variables: Sequence[Variable], mission: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Yield every match of a trigger with a piece of the mission, as a value for each variable."""
    types = {variable.name: variable for variable in variables if not variable.shown}
    seen = []
    for trigger in triggers:
        pattern = trigger.split()
        if not set(VARIABLE.findall(trigger)) >= set(types):
            continue
        for start in range(len(mission)):
            values = _match(pattern, types, mission, start)
            if values is not None and values not in seen:
                seen.append(values)
                yield values


def _match(
    pattern: Sequence[str], types: Mapping[str, Variable], mission: Sequence[str], at: int
) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for index, word in enumerate(pattern):
        if word not in types:
            if at >= len(mission) or mission[at] != word:
                return None
            at += 1
            continue
        following = pattern[index + 1] if index + 1 < len(pattern) else None
        end = _end(types[word], mission, at, following)
        if end is None:
            return None
        values[word] = " ".join(mission[at:end])
        at = end
    return values


def _end(variable: Variable, mission: Sequence[str], at: int, following: str | None) -> int | None:
    """Return the end of a value that begins at ``at``, or ``None`` if there is none."""
    ends: Collection[str] = variable.ends
    for end in range(at + 1, min(len(mission), at + variable.words) + 1):
        last = mission[end - 1]
        if ends and last in ends:
            return end
        if not ends and (end == len(mission) or mission[end] in (following, ",", ".")):
            return end
    return None
