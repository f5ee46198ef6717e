"""Which values a mission gives to a macro's variables."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memory.procedural.program import VARIABLE, fill

MAX_ENDS = 64
"""A variable that took more last words than this takes any."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What a variable may stand for.

    Attributes:
        name: ``"$1"``.
        ends: Last words of the values that were seen; they tell where a value ends. Empty for any.
        words: Most words of a value.
        shown: For one that no mission names, the known thing that shows its value: ``"locked $2 $1"``.
    """

    name: str
    ends: Sequence[str]
    words: int
    shown: str = ""

    def find(self, known: Iterable[str], values: Mapping[str, str]) -> str | None:
        """The value that a known thing shows, given those of other variables."""
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
    """The variables' types, from the values that they took and what is known of them.

    Args:
        names: The variables.
        values: What each stood for, once for each occurrence.
        shown: For those that no mission names, the thing that shows them.
        known: The types so far.
    """
    made = []
    before = {variable.name: variable for variable in known}
    for name in names:
        seen = [one[name].split() for one in values if one.get(name)]
        old = before.get(name)
        ends = {words[-1] for words in seen} | set(old.ends if old else ())
        free = len(ends) > MAX_ENDS or (old is not None and not old.ends)
        longest = max([old.words if old else 1, *(len(words) for words in seen)])
        made.append(Variable(name, [] if free else sorted(ends), longest, shown.get(name, "")))
    return made


def matches(
    triggers: Mapping[str, int], variables: Sequence[Variable], mission: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Every way in which a piece of the mission asks for a macro: a value for each variable."""
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
    """Where a value that begins at ``at`` ends."""
    ends: Collection[str] = variable.ends
    for end in range(at + 1, min(len(mission), at + variable.words) + 1):
        last = mission[end - 1]
        if ends and last in ends:
            return end
        if not ends and (end == len(mission) or mission[end] in (following, ",", ".")):
            return end
    return None
