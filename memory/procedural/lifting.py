"""From calls to steps with variables: fold routes, close loops, replace values of the mission by variables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memory.procedural.program import Call, SymbolicState, Trajectory

Span = tuple[int, int]
"""Index of the first word of a piece of a mission, and the index after its last word."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One or more calls that form one step.

    Attributes:
        name: The tool or action.
        arguments: Its arguments, with ``$``-variables for pieces of the mission.
        follow: Whether the actions that its result names were carried out after it.
        count: How many calls it stands for.
        starts: The state before each time it was called.
        after: The state after the last call.
    """

    name: str
    arguments: Mapping[str, Any]
    follow: bool
    count: int
    starts: tuple[SymbolicState, ...]
    after: SymbolicState

    @property
    def before(self) -> SymbolicState:
        """The state before the first call."""
        return self.starts[0]


@dataclass(frozen=True, slots=True)
class Lifted:
    """One trajectory as steps with variables.

    Attributes:
        mission: Words of the mission.
        spans: For each variable the piece of the mission that it stands for, in order.
        seen: For each variable that the mission does not name, its value and the pattern of the known thing
            that contained it, for example ``("blue", "locked $2 $1")``.
        segments: The steps.
    """

    mission: tuple[str, ...]
    spans: Mapping[str, Span]
    seen: Mapping[str, tuple[str, str]]
    segments: tuple[Segment, ...]

    def values(self) -> dict[str, str]:
        """Return the value of each variable."""
        named = {name: " ".join(self.mission[a:b]) for name, (a, b) in self.spans.items()}
        return named | {name: value for name, (value, _) in self.seen.items()}


def mission_words(mission: str) -> tuple[str, ...]:
    """Split a mission into words, with punctuation as words of its own."""
    return tuple(mission.replace(",", " ,").replace(".", " .").replace("?", " ?").split())


def fold(calls: Sequence[Call]) -> list[Segment]:
    """Fold calls into steps: a route, the actions that follow it and its repeats become one step.

    Calls that failed are left out.
    """
    segments: list[Segment] = []
    index = 0
    while index < len(calls):
        call = calls[index]
        index += 1
        if not call.ok:
            continue
        after, count = call.after, 1
        for action in call.actions:
            if index == len(calls) or not calls[index].acts or calls[index].name != action:
                break
            after = calls[index].after
            index, count = index + 1, count + 1
        segment = Segment(call.name, call.arguments, bool(call.actions), count, (call.before,), after)
        last = segments[-1] if segments else None
        if last is not None and segment.follow and (last.name, last.arguments) == (segment.name, segment.arguments):
            segments[-1] = replace(last, count=last.count + count, starts=(*last.starts, call.before), after=after)
        else:
            segments.append(segment)
    return segments


def explorers(folded: Sequence[Sequence[Segment]]) -> set[str]:
    """Return the tools that explore: they have no arguments, and their result names actions."""
    return {segment.name for segments in folded for segment in segments if segment.follow and not segment.arguments}


def with_exploring(segments: Sequence[Segment], explorer: str | None) -> list[Segment]:
    """Insert an exploring step of zero calls before each route whose target was known already."""
    extended: list[Segment] = []
    for segment in segments:
        routed = segment.follow and segment.arguments
        if routed and explorer and not (extended and extended[-1].name == explorer):
            extended.append(Segment(explorer, {}, True, 0, (segment.before,), segment.before))
        extended.append(segment)
    return extended


def lift(trajectory: Trajectory, segments: Sequence[Segment]) -> Lifted:
    """Replace pieces of the mission in arguments by variables."""
    words = mission_words(trajectory.mission)
    texts = [v for segment in segments for v in segment.arguments.values() if isinstance(v, str)]
    spans = sorted({span for text in texts if (span := _longest(text.split(), words))})
    # Of a piece and a longer one that contains it, keep the shorter: "blue" in "blue door" and in "blue key".
    kept = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    names = {f"${number}": span for number, span in enumerate(kept, start=1)}
    values = {name: words[a:b] for name, (a, b) in names.items()}

    seen: dict[str, tuple[str, str]] = {}

    def lifted(text: str, known: Iterable[str]) -> str:
        parts = text.split()
        for name, piece in values.items():
            _put(parts, piece, name)
        for name, (value, _) in seen.items():
            _put(parts, (value,), name)
        if not any(part.startswith("$") for part in parts):
            for index, word in enumerate(parts):
                shown = _shown(word, known, values, f"${len(values) + len(seen) + 1}")
                if shown is not None:
                    name = f"${len(values) + len(seen) + 1}"
                    seen[name], parts[index] = (word, shown), name
                    break
        return " ".join(parts)

    replaced = tuple(
        replace(
            segment,
            arguments={
                key: lifted(value, segment.before.known) if isinstance(value, str) else value
                for key, value in segment.arguments.items()
            },
        )
        for segment in segments
    )
    return Lifted(words, names, seen, replaced)


def _put(parts: list[str], piece: Sequence[str], name: str) -> None:
    """Replace the first occurrence of the words of ``piece`` in ``parts`` by a variable."""
    for at in range(len(parts) - len(piece) + 1):
        if tuple(parts[at : at + len(piece)]) == tuple(piece):
            parts[at : at + len(piece)] = [name]
            return


def _shown(word: str, known: Iterable[str], values: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return the known thing that contains ``word`` and a value of the mission, with variables in their place."""
    for thing in sorted(known, key=lambda text: (-len(text.split()), text)):
        parts = thing.split()
        if word not in parts:
            continue
        for variable, piece in values.items():
            if set(piece) < set(parts):
                _put(parts, tuple(piece), variable)
        if any(part.startswith("$") for part in parts):
            parts[parts.index(word)] = name
            return " ".join(parts)
    return None


def _longest(text: Sequence[str], mission: Sequence[str]) -> Span | None:
    """Return the span in the mission of the longest run of words of the text; of equal runs the last in the text."""
    for size in range(len(text), 0, -1):
        for start in range(len(text) - size, -1, -1):
            piece = tuple(text[start : start + size])
            for at in range(len(mission) - size + 1):
                if tuple(mission[at : at + size]) == piece:
                    return at, at + size
    return None
