"""Mining of macros: sub-sequences of calls that repeat over many episodes, chosen by how much they compress.

Greedy grammar compression in the manner of Re-Pair and Sequitur (Larsson and Moffat 1999,
doi:10.1109/DCC.1999.755679), but not limited to pairs, over calls with lifted arguments: the sub-sequence that
saves most calls becomes a macro, each of its occurrences becomes one call of it, and this repeats until no
sub-sequence saves enough.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from memory.errors import InvalidItemError
from memory.procedural.lifting import (
    Lifted,
    Segment,
    explorers,
    fold,
    lift,
    mission_words,
    with_exploring,
)
from memory.procedural.program import (
    RUN_MACRO,
    VARIABLE,
    Call,
    Step,
    Trajectory,
    fill,
)

MACRO = re.compile(r"@(\d+)\(")
MAX_STEPS = 12
MIN_SUPPORT = 3
MIN_SHARE = 0.02
"""A macro must occur in at least MIN_SUPPORT trajectories, and in at least the share MIN_SHARE of all."""

AGREEMENT = 0.98
"""Share of occurrences in which a fact must hold to count as a precondition or as an effect."""

MAX_BEFORE = 0.25
"""A fact ends a repeated step only if it held before at most this share of the repeats."""

CONTEXT_WORDS = 3
"""Number of words before the first variable that a trigger takes from the mission."""

Key = tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Mined:
    """A mined macro that was not tested yet.

    Attributes:
        steps: Its steps.
        variables: Its variables, in order.
        triggers: Pieces of missions that asked for it, with their counts; variables mark the arguments.
        preconditions: Facts that held before it.
        effects: Facts that held after it and not before.
        values: Values of the variables in each occurrence.
        pieces: For each occurrence the number of the trajectory and the piece of its mission.
        shown: For variables that no mission names, the pattern of the known thing that shows their value.
    """

    steps: tuple[Step, ...]
    variables: tuple[str, ...]
    triggers: Mapping[str, int]
    preconditions: tuple[str, ...]
    effects: tuple[str, ...]
    values: tuple[Mapping[str, str], ...] = ()
    pieces: tuple[tuple[int, str], ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Found:
    """Occurrences of one sub-sequence, each as trajectory, start and end of the steps, and variables there."""

    at: list[tuple[int, int, int, tuple[str, ...]]] = field(default_factory=list)


@dataclass(slots=True)
class Corpus:
    """Lifted trajectories; their steps are rewritten as macros are found."""

    rows: list[Lifted]
    segments: list[list[Segment]] = field(default_factory=list)


def corpus_of(trajectories: Iterable[Trajectory]) -> Corpus:
    """Lift every trajectory.

    Raises:
        InvalidItemError: An item is not a :class:`Trajectory` of named calls.
    """
    kept = list(trajectories)
    for number, trajectory in enumerate(kept):
        check(trajectory, number)
    folded = [fold(trajectory.calls) for trajectory in kept]
    tools = Counter(name for segments in folded for name in explorers([segments]))
    explorer = tools.most_common(1)[0][0] if tools else None
    rows = [lift(t, with_exploring(segments, explorer)) for t, segments in zip(kept, folded, strict=True)]
    return Corpus(rows, [list(row.segments) for row in rows])


def check(trajectory: Trajectory, number: int = 0) -> None:
    """Raise an error if ``trajectory`` is not a valid trajectory.

    Raises:
        InvalidItemError: It has another type, or a call has no name or no mapping of arguments.
    """
    if not isinstance(trajectory, Trajectory) or not isinstance(trajectory.mission, str):
        raise InvalidItemError(f"trajectory {number} must be a Trajectory with a mission, got {trajectory!r:.80}")
    if not isinstance(trajectory.calls, tuple | list):
        raise InvalidItemError(
            f"the calls of trajectory {number} must be a tuple, got {type(trajectory.calls).__name__}"
        )
    for index, call in enumerate(trajectory.calls):
        if not isinstance(call, Call) or not call.name or not isinstance(call.arguments, Mapping):
            raise InvalidItemError(
                f"call {index} of trajectory {number} must be a Call with a name and arguments, got {call!r}"
            )


def _liftable(trajectory: Trajectory) -> bool:
    texts = [text for call in trajectory.calls for text in _strings(call.arguments)]
    return not any(VARIABLE.search(text) or MACRO.match(text) for text in texts)


def _strings(value: object) -> Iterator[str]:
    """Yield every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def mine(trajectories: Iterable[Trajectory], max_macros: int = 16) -> list[Mined]:
    """Find the macros that compress successful trajectories most; the one that saves most calls is first.

    Args:
        trajectories: The episodes; those without success are left out, and those whose arguments contain
            the marks of variables (``$1``) or of macros (``@1(``).
        max_macros: Greatest number of macros.

    Raises:
        InvalidItemError: A malformed trajectory.
    """
    kept = list(trajectories)
    for number, trajectory in enumerate(kept):
        check(trajectory, number)
    indices = [i for i, trajectory in enumerate(kept) if trajectory.success and _liftable(trajectory)]
    corpus = corpus_of(kept[index] for index in indices)
    macros: list[Mined] = []
    while len(macros) < max_macros:
        best = _best(corpus)
        if best is None:
            break
        macro = _describe(corpus, best)
        pieces = tuple((indices[row], piece) for row, piece in macro.pieces)
        macros.append(replace(macro, pieces=pieces))
        _rewrite(corpus, best, len(macros) - 1)
    return macros


def whole(trajectory: Trajectory) -> Mined:
    """Make a macro of one whole episode, from its first call to its last.

    Raises:
        InvalidItemError: No call succeeded, or its arguments contain ``$1`` or ``@1(``.
    """
    if not _liftable(trajectory):
        raise InvalidItemError("arguments that hold $1 or @1( can't be lifted: those mark variables and macros")
    corpus = corpus_of([trajectory])
    segments = corpus.segments[0]
    if not segments:
        raise InvalidItemError("the trajectory has no call that did its work, so there is nothing to keep")
    return _describe(corpus, _Found([(0, 0, len(segments), _canonical(segments)[1])]))


def _canonical(segments: Sequence[Segment]) -> tuple[Key, tuple[str, ...]]:
    """Number the variables of a sub-sequence by first appearance; return its key and their original names."""
    order: dict[str, str] = {}
    key = []
    for segment in segments:
        arguments = []
        for name, value in sorted(segment.arguments.items()):
            for variable in VARIABLE.findall(str(value)):
                order.setdefault(variable, f"${len(order) + 1}")
            arguments.append((name, fill(value, order) if isinstance(value, str) else repr(value)))
        key.append((segment.name, segment.follow, tuple(arguments)))
    return tuple(key), tuple(order)


def _best(corpus: Corpus) -> _Found | None:
    """Return the sub-sequence that saves most calls, or ``None`` if none saves enough."""
    repeats: dict[Key, _Found] = defaultdict(_Found)
    for row, segments in enumerate(corpus.segments):
        for start in range(len(segments)):
            for end in range(start + 1, min(len(segments), start + MAX_STEPS) + 1):
                key, variables = _canonical(segments[start:end])
                repeats[key].at.append((row, start, end, variables))
    least = max(MIN_SUPPORT, MIN_SHARE * len(corpus.rows))
    best, best_worth = None, 0
    for key, repeat in sorted(repeats.items(), key=lambda item: (-len(item[0]), repr(item[0]))):
        repeat.at = _apart(repeat.at)
        if len({row for row, *_ in repeat.at}) < least or not _useful(key):
            continue
        saved = sum(sum(t.count for t in corpus.segments[row][a:b]) - 1 for row, a, b, _ in repeat.at)
        worth = saved - len(key)  # the length of the macro itself is its cost
        if worth > best_worth:
            best, best_worth = repeat, worth
    return best


def _useful(key: Key) -> bool:
    """Return whether a macro of this key would do more than a single call or a single exploring step."""
    name, follow, arguments = key[0]
    return len(key) > 1 or (name != RUN_MACRO and follow and bool(arguments))


def _apart(at: list[tuple[int, int, int, tuple[str, ...]]]) -> list[tuple[int, int, int, tuple[str, ...]]]:
    """Select occurrences that do not overlap, in order; of two that overlap the earlier stays."""
    kept: list[tuple[int, int, int, tuple[str, ...]]] = []
    for occurrence in at:
        if not kept or kept[-1][0] != occurrence[0] or kept[-1][2] <= occurrence[1]:
            kept.append(occurrence)
    return kept


def _describe(corpus: Corpus, repeated: _Found) -> Mined:
    """Describe a macro by the steps, triggers, preconditions and effects that its occurrences agree on."""
    occurrences = [_occurrence(corpus, occurrence) for occurrence in repeated.at]
    steps = []
    for index in range(len(occurrences[0].segments)):
        pairs = [(occurrence.segments[index], occurrence.terms) for occurrence in occurrences]
        pattern, names = occurrences[0].segments[index], occurrences[0].names
        arguments = {k: fill(v, names) if isinstance(v, str) else v for k, v in pattern.arguments.items()}
        steps.append(Step(pattern.name, arguments, pattern.follow, _until(pairs), _expect(pairs)))
    before = _agreed([occurrence.segments[0].before.facts(occurrence.terms) for occurrence in occurrences])
    after = _agreed([occurrence.segments[-1].after.facts(occurrence.terms) for occurrence in occurrences])
    pieces = [_piece(occurrence.lifted, occurrence.names) for occurrence in occurrences]
    return Mined(
        steps=tuple(steps),
        variables=tuple(occurrences[0].values),
        triggers=_common(pieces),
        # If the macro begins with a loop, it can search for things itself: they need not be known before.
        preconditions=tuple(sorted(f for f in before if not (steps[0].until and f.startswith("known ")))),
        effects=tuple(sorted(fact for fact in after - before if not fact.startswith("known "))),
        values=tuple(occurrence.values for occurrence in occurrences),
        pieces=tuple((at[0], piece) for at, piece in zip(repeated.at, pieces, strict=True)),
        shown=_agreed_sources(occurrences),
    )


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One occurrence of a macro: its steps, new names of the variables, their values, and the values of its terms."""

    segments: list[Segment]
    names: Mapping[str, str]
    values: Mapping[str, str]
    terms: Mapping[str, str]
    lifted: Lifted


def _occurrence(corpus: Corpus, at: tuple[int, int, int, tuple[str, ...]]) -> _Occurrence:
    row, start, end, variables = at
    lifted, segments = corpus.rows[row], corpus.segments[row][start:end]
    names = {old: f"${number}" for number, old in enumerate(variables, start=1)}
    known = lifted.values()
    values = {names[old]: known[old] for old in variables}
    texts = {fill(v, names) for segment in segments for v in segment.arguments.values() if isinstance(v, str)}
    things = {text.removeprefix("beside ") for text in texts if VARIABLE.search(text) and "(" not in text}
    # A variable alone is a thing only if a call uses it alone: "blue" in "blue key" is not a thing.
    terms = {term: fill(term, values) for term in sorted(things or set(values))}
    return _Occurrence(segments, names, values, terms, lifted)


def _agreed_sources(occurrences: Sequence[_Occurrence]) -> dict[str, str]:
    """Return the commonest pattern that shows each variable that no mission names, in the macro's variable names."""
    patterns: dict[str, Counter[str]] = defaultdict(Counter)
    for occurrence in occurrences:
        for old, (_, shown) in occurrence.lifted.seen.items():
            if old in occurrence.names:
                patterns[occurrence.names[old]][fill(shown, occurrence.names)] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in patterns.items()}


def _agreed(facts: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the facts that hold in at least the share :data:`AGREEMENT` of the sets."""
    counts = Counter(fact for held in facts for fact in held)
    return frozenset(fact for fact, count in counts.items() if count >= AGREEMENT * len(facts))


def _until(segments: Sequence[tuple[Segment, Mapping[str, str]]]) -> tuple[str, ...]:
    """Return the facts that end the repeats of a step: they nearly always hold after it, and seldom before a repeat."""
    if not segments[0][0].follow:
        return ()
    after = _agreed([segment.after.facts(values) for segment, values in segments])
    turns = [start.facts(values) for segment, values in segments if segment.count for start in segment.starts]
    counts = Counter(fact for facts in turns for fact in facts)
    ending = {fact for fact in after if counts[fact] <= MAX_BEFORE * len(turns)}
    # Exploring (no arguments) aims at "known" facts; a route to a target aims at other facts.
    wanted = {fact for fact in ending if fact.startswith("known ") != bool(segments[0][0].arguments)}
    return tuple(sorted(_plain(wanted or ending)))


def _expect(segments: Sequence[tuple[Segment, Mapping[str, str]]]) -> tuple[str, ...]:
    """Return the facts that hold after a step whenever it worked, without those that begin with "known"."""
    if not segments[0][1]:
        return ()
    after = _agreed([segment.after.facts(values) for segment, values in segments])
    expected = {fact for fact in after if not fact.startswith("known ")}
    return tuple(sorted(_plain(expected) if segments[0][0].follow else expected))


def _plain(facts: set[str]) -> set[str]:
    """Drop facts that only add a state to another fact: "ahead locked $1" beside "ahead $1"."""
    return {
        f
        for f in facts
        if not any(f != g and f.split()[0] == g.split()[0] and f.endswith(g.partition(" ")[2]) for g in facts)
    }


def _piece(lifted: Lifted, names: Mapping[str, str]) -> str:
    """Return the piece of a mission around the variables, with the variables in place of their values."""
    spans = {names[old]: lifted.spans[old] for old in names if old in lifted.spans}
    if not spans:
        return " ".join(lifted.mission)
    first, last = min(a for a, _ in spans.values()), max(b for _, b in spans.values())
    words: list[str] = []
    at = max(0, first - CONTEXT_WORDS)
    while at < last:
        name = next((name for name, (a, _) in spans.items() if a == at), None)
        words.append(name or lifted.mission[at])
        at = spans[name][1] if name else at + 1
    return " ".join(words)


def _common(pieces: Sequence[str]) -> dict[str, int]:
    """Return the pieces of missions that were seen often enough, with their counts."""
    counts = Counter(piece for piece in pieces if piece)
    return {piece: count for piece, count in counts.most_common() if count >= max(1, MIN_SHARE * len(pieces))}


def _rewrite(corpus: Corpus, repeated: _Found, number: int) -> None:
    """Replace each occurrence by one call of the macro."""
    for row, start, end, variables in reversed(repeated.at):
        segments = corpus.segments[row][start:end]
        call = {"call": f"@{number}({', '.join(variables)})"}
        corpus.segments[row][start:end] = [
            Segment(RUN_MACRO, call, False, 1, (segments[0].before,), segments[-1].after)
        ]


__all__ = ["AGREEMENT", "MAX_STEPS", "Corpus", "Mined", "check", "corpus_of", "mine", "mission_words", "whole"]
