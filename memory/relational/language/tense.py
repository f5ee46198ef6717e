"""Tense and dates of a clause: when what it states began and stopped to hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memory.relational.language.dates import Span, length_of, read_date
from memory.relational.language.lemmas import verb_lemma
from memory.relational.language.nouns import names_time

if TYPE_CHECKING:
    from spacy.tokens import Token

Tense = Literal["past", "present", "future"]

_WILL = {"will", "'ll", "’ll", "shall", "wo"}
_FORMERLY = {"before", "formerly", "previously", "once", "originally", "earlier", "back"}
_CLAUSES = {"relcl", "advcl", "ccomp", "xcomp", "acl", "parataxis", "csubj", "pcomp"}
_OPENING = {"since": "since", "from": "since", "after": "after"}
_CLOSING = {
    "until": "until",
    "till": "until",
    "to": "to",
    "through": "to",
    "before": "until",
    "by": "by",
    "til": "until",
}

_LASTING = frozenset("always now still lately recently since for all ever long already by".split())
"""Words with which a perfect ("has lived") tells what still is so."""

PLAN_END = 253402300799.0
"""End of the interval of a plan, 9999-12-31: a plan holds from its date on, but is never a current fact."""

STATIVE = frozenset(
    "live reside dwell stay work own belong have possess study be remain attend lead manage run serve like love hate"
    " enjoy prefer dislike want need know keep hold use speak drive teach play rent lodge sit stand lie".split()
)
"""Verbs of states: in the past tense, what they state holds no longer."""

_SCHEDULED = frozenset("take start begin open close end leave depart arrive kick run meet last finish happen".split())
"""Verbs that tell a timetable in the present tense: "the market opens on 28 November"."""

ENDED_BY_TENSE = frozenset(
    {"lives_in", "has", "works_at", "owned_by", "works_as", "works_in", "studies_at", "stays_in", "stays_at"}
)
"""Relations of stative verbs that are over if they are told in the past tense without a date."""


@dataclass(frozen=True, slots=True)
class When:
    """When a clause holds.

    Attributes:
        tense: Of its verb; present and future agree with its dates.
        since: Beginning, in seconds since the epoch, if a date tells it.
        until: End, likewise.
        over: Whether it says that it holds no longer: "formerly", "until 2020".
        dates: Indices of the tokens of its dates.
    """

    tense: Tense = "present"
    since: float | None = None
    until: float | None = None
    over: bool = False
    dates: frozenset[int] = frozenset()


def tense_of(verb: "Token") -> tuple[Tense, bool]:
    """Return the tense of a verb, and whether it is a perfect ("has lived", "has moved")."""
    helpers = [child for child in verb.children if child.dep_ in ("aux", "auxpass")]
    words = {helper.lower_ for helper in helpers}
    if words & _WILL:
        return "future", False
    perfect = (
        verb.tag_ in ("VBN", "VBD")
        and bool(words & {"has", "have", "'ve", "’ve", "'s", "’s"})
        and not (words <= {"'s", "’s"} and verb.tag_ == "VBN" and any(h.dep_ == "auxpass" for h in helpers))
    )
    if perfect:
        return "present", True
    if words & {"did", "was", "were", "had", "'d", "got"} or (verb.tag_ == "VBD" and not helpers):
        return "past", False
    if verb.dep_ == "pcomp" and verb.tag_ == "VBG" and verb.head.head.pos_ in ("VERB", "AUX"):
        return tense_of(verb.head.head)  # "before becoming a reporter"
    if verb.tag_ == "VBN" and not helpers and verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX"):
        return tense_of(verb.head)
    if (
        verb.tag_ == "VBN"
        and not helpers
        and verb.dep_ == "ROOT"
        and not any(c.dep_ in _SUBJECTS for c in verb.children)
    ):
        return "past", False  # a note without a subject: "Sold the car"
    return "present", False


_SUBJECTS = ("nsubj", "nsubjpass")


def when(verb: "Token", told: float, zone: str) -> When:
    """Return when the clause of a verb holds.

    Args:
        verb: The verb.
        told: When it is told, in seconds since the epoch.
        zone: Zone of the teller.
    """
    tense, perfect = tense_of(verb)
    since = until = None
    ended = begins = False
    near = (verb, *(child for child in verb.children if child.dep_ in ("acomp", "attr")))
    over = tense == "past" and any(
        child.lower_ in _FORMERLY and child.dep_ == "advmod" for one in near for child in one.children
    )
    over = over or (tense == "past" and _ends_before(verb))
    if tense == "past" and _earlier_habit(verb):
        over, until = True, told
    used: set[int] = set()
    own = _own(verb)
    for role, span, tokens in _dates(verb, own, told, zone, tense, perfect):
        used |= tokens
        if role == "for":
            if perfect:
                since = told - span.end
            if tense == "past":  # "taught there for thirty years"
                over, until = True, told
            continue
        if role == "since":
            since, begins = span.start, True
        elif role == "after":
            since = span.end
        elif role == "until":
            until, ended = span.start, True
        elif role == "to":
            until, ended = span.end, True
        elif role == "at":
            since = span.start
            until = span.end if tense == "past" or span.end <= told else until
    if tense == "present" and since is not None and since > told:
        timetable = verb_lemma(verb.text) in _SCHEDULED and verb.tag_ in ("VBZ", "VBP")
        if (verb_lemma(verb.text) in STATIVE or timetable) and not begins:
            since = None  # "is on Monday", "opens on Monday": so it is set now
        else:
            tense = "future"
    progressive = any(child.dep_ == "aux" and child.lower_ == "been" for child in verb.children)
    lasting = any(token.lower_ in _LASTING for token in own)
    if perfect and since is None and not (progressive or lasting) and verb_lemma(verb.text) in STATIVE - {"be", "keep"}:
        tense, over = "past", True  # "has lived in Paris": once, not now
    if tense == "past" and since is not None and since > told:
        since = until = None  # "was to start in May": no date of the past
    if until is not None and until <= told and tense != "future":
        over = over or (ended and tense == "past")
    elif until is not None and until > told and tense == "present":
        until = None  # it holds now, and ends later
    return When(tense, since, until, over, frozenset(used))


def _ends_before(verb: "Token") -> bool:
    """Return whether a clause ends with what another tells: "before she joined Nokia", "before joining Nokia"."""
    ends = {"before", "until", "till"}
    marks = {mark.lower_ for child in verb.children if child.dep_ == "advcl" for mark in child.children}
    return bool(ends & marks) or any(
        child.lower_ in ends and any(inner.dep_ == "pcomp" for inner in child.children) for child in verb.children
    )


def _earlier_habit(verb: "Token") -> bool:
    """Return whether a clause tells a habit of an earlier time: "as a teenager", "when she was young", "for years"."""
    for child in verb.children:
        if child.lower_ == "as" and any(c.dep_ == "pobj" and c.lower_ in AGES for c in child.children):
            return True
        if child.lower_ == "for" and any(c.lower_ in _LONG and not [*c.children] for c in child.children):
            return True
        when_young = child.dep_ == "advcl" and any(c.lower_ == "when" for c in child.children)
        if when_young and any(c.dep_ in ("acomp", "attr") and c.lower_ in AGES for c in child.children):
            return True
    return False


_LONG = frozenset("ages years decades months weeks centuries".split())
AGES = frozenset(
    "child kid boy girl teenager student young small little younger baby toddler youngster youth man woman".split()
)
"""What one is at an earlier age."""


def _dates(
    verb: "Token", own: "list[Token]", told: float, zone: str, tense: Tense, perfect: bool
) -> Iterator[tuple[str, Span, set[int]]]:
    """Yield the dates among a clause's own tokens: what the preposition says of them, the interval, the tokens."""
    direction: Literal["past", "future"] = "past" if tense == "past" or perfect else "future"
    seen: set[int] = set()
    for token in own:
        if token.i in seen:
            continue
        for start, end in _candidates(token):
            words = verb.doc[start:end].text
            before = verb.doc[start - 1].lower_ if start > verb.sent.start else ""
            earlier = {verb.doc[at].lower_ for at in range(max(verb.sent.start, start - 3), start)}
            if (before in ("most", "some", "all") or earlier & {"every", "each"}) or (
                words.lower().endswith("days") and before == "on"
            ):
                continue  # again and again, not once
            if before == "in" and length_of(words) is not None and not perfect:
                words = f"in {words}"
            elif length_of(words) is not None and before in ("for", "over", "past"):
                yield "for", Span(0.0, length_of(words) or 0.0), set(range(start - 1, end))
                seen |= set(range(start, end))
                break
            elif length_of(words) is not None and (end >= len(verb.doc) or verb.doc[end].lower_ != "ago"):
                continue
            past = direction if before not in ("since", "from") else "past"
            span = read_date(words, told, zone, past)
            if span is None:
                continue
            role = _OPENING.get(before) or _CLOSING.get(before) or "at"
            if before in ("and", "to", "through", "-", "–") and seen & set(range(start - 2, start)):
                role = "to"
            if role != "by":
                yield role, span, set(range(start - (before in _PREPOSITIONS), end))
            seen |= set(range(start, end))
            break


_SEASONS = {"spring", "summer", "autumn", "fall", "winter", "may", "march", "april", "june", "august", "second", "sun"}
_BEFORE_SEASON = {*_OPENING, *_CLOSING, "in", "during", "last", "next", "this", "early", "late", "mid", "the", "of"}
_PREPOSITIONS = {*_OPENING, *_CLOSING, "in", "on", "at", "during", "between", "around", "for", "within"}


def _candidates(token: "Token") -> list[tuple[int, int]]:
    """Return the runs of tokens from a token on that may be a date, the longest first."""
    doc, last = token.doc, token.sent.end
    word = token.lower_
    if not (
        token.ent_type_ in ("DATE", "TIME")
        or names_time(word)
        or word in ("next", "last", "this", "two", "three", "four", "five", "six", "a", "an", "early", "late", "mid")
    ):
        return []
    ends = range(min(last, token.i + 6), token.i, -1)
    if word in _SEASONS and not (token.i > token.sent.start and doc[token.i - 1].lower_ in _BEFORE_SEASON):
        return []
    if token.i > token.sent.start and doc[token.i - 1].lower_ in (
        "room",
        "number",
        "no",
        "floor",
        "flat",
        "gate",
        "page",
    ):
        return []
    return [(token.i, end) for end in ends if doc[end - 1].pos_ not in ("PUNCT", "ADP", "VERB", "AUX", "CCONJ")]


def _own(verb: "Token") -> list["Token"]:
    """Return the tokens of a clause in order, without those of clauses inside it."""
    own, stack = [], [verb]
    while stack:
        token = stack.pop()
        own.append(token)
        for child in token.children:
            clause = child.dep_ in _CLAUSES or (child.dep_ == "conj" and child.pos_ in ("VERB", "AUX"))
            if not clause and child.dep_ not in ("nsubj", "nsubjpass"):
                stack.append(child)
    bare = not any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)
    if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX") and bare and verb_lemma(verb.text) in STATIVE:
        before = (child for child in verb.head.children if child.i < verb.head.i)
        own += [token for child in before if child.dep_ in ("prep", "npadvmod") for token in child.subtree]
    return sorted(own, key=lambda token: token.i)
