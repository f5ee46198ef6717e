"""Finding macros: sub-sequences of calls that repeat over many episodes, chosen by what they compress.

Greedy pair-free grammar compression in the manner of Re-Pair and Sequitur (Larsson and Moffat 1999,
doi:10.1109/DCC.1999.755679), over calls with lifted arguments: the sub-sequence that saves most calls becomes a macro,
its occurrences become one call of it, and so on until nothing saves enough.
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
    VARIABLE,
    Call,
    Step,
    Trajectory,
    fill,
)

RUN = "run_macro"
MACRO = re.compile(r"@(\d+)\(")
MAX_STEPS = 12
MIN_SUPPORT = 3
MIN_SHARE = 0.02
"""A macro must occur in so many trajectories, and in this share of them."""

AGREEMENT = 0.98
"""Share of occurrences in which a fact must hold to count as needed, or as an effect."""

MAX_BEFORE = 0.25
"""Share of turns of a repeated step before which a fact may hold that ends it: there may be other reasons to go on."""

CONTEXT_WORDS = 3
"""Words of a mission before the first variable that tell what a macro is for."""

Key = tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Mined:
    """A macro that was found, not yet tried.

    Attributes:
        steps: What it does.
        variables: Its variables, in order.
        triggers: Pieces of missions that asked for it, with how often; variables mark the arguments.
        preconditions: Facts that held before it.
        effects: Facts that held after it and not before.
        values: What the variables stood for in each occurrence.
        pieces: For each occurrence the trajectory and the piece of its mission.
        shown: For variables that no mission names, the known thing that shows their value.
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
    """Occurrences of one sub-sequence: trajectory, first token, one after the last, variables there."""

    at: list[tuple[int, int, int, tuple[str, ...]]] = field(default_factory=list)


@dataclass(slots=True)
class Corpus:
    """Trajectories as lifted tokens, rewritten as macros are found."""

    rows: list[Lifted]
    segments: list[list[Segment]] = field(default_factory=list)


def corpus_of(trajectories: Iterable[Trajectory]) -> Corpus:
    """Lift every trajectory.

    Raises:
        InvalidItemError: One is no :class:`Trajectory` of named calls.
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
    """Refuse what is no trajectory.

    Raises:
        InvalidItemError: It is of another type, or a call has no name or no mapping of arguments.
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
    """Every string in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def mine(trajectories: Iterable[Trajectory], max_macros: int = 16) -> list[Mined]:
    """Macros that compress successful trajectories most, the first saves most.

    Args:
        trajectories: Those without success are left out, and those whose arguments hold the marks of
            variables (``$1``) or of macros (``@1(``).
        max_macros: How many at most.

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
    """One episode from its first call to its last as a macro.

    Raises:
        InvalidItemError: It has no call that did its work.
    """
    if not _liftable(trajectory):
        raise InvalidItemError("arguments that hold $1 or @1( can't be lifted: those mark variables and macros")
    corpus = corpus_of([trajectory])
    segments = corpus.segments[0]
    if not segments:
        raise InvalidItemError("the trajectory has no call that did its work, so there is nothing to keep")
    return _describe(corpus, _Found([(0, 0, len(segments), _canonical(segments)[1])]))


def _canonical(segments: Sequence[Segment]) -> tuple[Key, tuple[str, ...]]:
    """A sub-sequence with its variables numbered by first appearance, and what they were."""
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
    """The sub-sequence that saves most calls."""
    found: dict[Key, _Found] = defaultdict(_Found)
    for row, segments in enumerate(corpus.segments):
        for start in range(len(segments)):
            for end in range(start + 1, min(len(segments), start + MAX_STEPS) + 1):
                key, variables = _canonical(segments[start:end])
                found[key].at.append((row, start, end, variables))
    least = max(MIN_SUPPORT, MIN_SHARE * len(corpus.rows))
    best, best_worth = None, 0
    for key, one in sorted(found.items(), key=lambda item: (-len(item[0]), repr(item[0]))):
        one.at = _apart(one.at)
        if len({row for row, *_ in one.at}) < least or not _useful(key):
            continue
        saved = sum(sum(t.count for t in corpus.segments[row][a:b]) - 1 for row, a, b, _ in one.at)
        worth = saved - len(key)  # what it costs to write it down
        if worth > best_worth:
            best, best_worth = one, worth
    return best


def _useful(key: Key) -> bool:
    """Whether it does more than a single call or a lone look around."""
    name, follow, arguments = key[0]
    return len(key) > 1 or (name != RUN and follow and bool(arguments))


def _apart(at: list[tuple[int, int, int, tuple[str, ...]]]) -> list[tuple[int, int, int, tuple[str, ...]]]:
    """Occurrences that do not overlap, the earlier first."""
    kept: list[tuple[int, int, int, tuple[str, ...]]] = []
    for one in at:
        if not kept or kept[-1][0] != one[0] or kept[-1][2] <= one[1]:
            kept.append(one)
    return kept


def _describe(corpus: Corpus, found: _Found) -> Mined:
    """Steps, triggers, preconditions and effects that the occurrences agree on."""
    occurrences = [_occurrence(corpus, one) for one in found.at]
    steps = []
    for index in range(len(occurrences[0].segments)):
        pairs = [(one.segments[index], one.terms) for one in occurrences]
        pattern, names = occurrences[0].segments[index], occurrences[0].names
        arguments = {k: fill(v, names) if isinstance(v, str) else v for k, v in pattern.arguments.items()}
        steps.append(Step(pattern.name, arguments, pattern.follow, _until(pairs), _expect(pairs)))
    before = _agreed([one.segments[0].before.facts(one.terms) for one in occurrences])
    after = _agreed([one.segments[-1].after.facts(one.terms) for one in occurrences])
    pieces = [_piece(one.lifted, one.names) for one in occurrences]
    return Mined(
        steps=tuple(steps),
        variables=tuple(occurrences[0].values),
        triggers=_common(pieces),
        # What is known at the start can as well be looked for, if the macro begins so.
        preconditions=tuple(sorted(f for f in before if not (steps[0].until and f.startswith("known ")))),
        effects=tuple(sorted(fact for fact in after - before if not fact.startswith("known "))),
        values=tuple(one.values for one in occurrences),
        pieces=tuple((at[0], piece) for at, piece in zip(found.at, pieces, strict=True)),
        shown=_agreed_sources(occurrences),
    )


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One place where a macro was seen: its tokens, new names of variables, values, and what its terms stood for."""

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
    # A variable by itself is a thing only where the calls name it so: "blue" of "blue key" is none.
    terms = {term: fill(term, values) for term in sorted(things or set(values))}
    return _Occurrence(segments, names, values, terms, lifted)


def _agreed_sources(occurrences: Sequence[_Occurrence]) -> dict[str, str]:
    """What shows the variables that no mission names, in the names of the macro."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in occurrences:
        for old, (_, shown) in one.lifted.seen.items():
            if old in one.names:
                found[one.names[old]][fill(shown, one.names)] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in found.items()}


def _agreed(facts: Sequence[frozenset[str]]) -> frozenset[str]:
    """Facts that hold in nearly all."""
    counts = Counter(fact for found in facts for fact in found)
    return frozenset(fact for fact, count in counts.items() if count >= AGREEMENT * len(facts))


def _until(segments: Sequence[tuple[Segment, Mapping[str, str]]]) -> tuple[str, ...]:
    """Facts that end the repeats of a step: always there after it, seldom before one of its turns."""
    if not segments[0][0].follow:
        return ()
    after = _agreed([segment.after.facts(values) for segment, values in segments])
    turns = [start.facts(values) for segment, values in segments if segment.count for start in segment.starts]
    counts = Counter(fact for facts in turns for fact in facts)
    found = {fact for fact in after if counts[fact] <= MAX_BEFORE * len(turns)}
    # Who looks around does it to know; who goes somewhere, to be there.
    wanted = {fact for fact in found if fact.startswith("known ") != bool(segments[0][0].arguments)}
    return tuple(sorted(_plain(wanted or found)))


def _expect(segments: Sequence[tuple[Segment, Mapping[str, str]]]) -> tuple[str, ...]:
    """Facts that a step brings about, or leaves, whenever it worked; what one knows by then is none of them."""
    if not segments[0][1]:
        return ()
    after = _agreed([segment.after.facts(values) for segment, values in segments])
    found = {fact for fact in after if not fact.startswith("known ")}
    return tuple(sorted(_plain(found) if segments[0][0].follow else found))


def _plain(facts: set[str]) -> set[str]:
    """Facts without those that add a state to another: a door was come to, locked or not."""
    return {
        f
        for f in facts
        if not any(f != g and f.split()[0] == g.split()[0] and f.endswith(g.partition(" ")[2]) for g in facts)
    }


def _piece(lifted: Lifted, names: Mapping[str, str]) -> str:
    """The piece of a mission around the variables."""
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
    """Pieces of missions that were seen more than now and then, with how often."""
    found = Counter(piece for piece in pieces if piece)
    return {piece: count for piece, count in found.most_common() if count >= max(1, MIN_SHARE * len(pieces))}


def _rewrite(corpus: Corpus, found: _Found, number: int) -> None:
    """Put one call of the macro in the place of each occurrence."""
    for row, start, end, variables in reversed(found.at):
        segments = corpus.segments[row][start:end]
        call = {"call": f"@{number}({', '.join(variables)})"}
        corpus.segments[row][start:end] = [Segment(RUN, call, False, 1, (segments[0].before,), segments[-1].after)]


__all__ = ["AGREEMENT", "MAX_STEPS", "Corpus", "Mined", "check", "corpus_of", "mine", "mission_words", "whole"]
