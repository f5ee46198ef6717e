"""Objects of prepositions by kind: which are places, which are times, and which are states."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.relational.language.nouns import names_state, names_time
from memory.relational.language.tense import When
from memory.relational.names import SAME_AS
from memory.relational.parse import phrase

if TYPE_CHECKING:
    from spacy.tokens import Token

_WHERE = {"in", "at", "on", "inside", "within"}
_WHEN = {
    "since",
    "until",
    "till",
    "from",
    "to",
    "during",
    "by",
    "before",
    "after",
    "for",
    "through",
    "throughout",
    "between",
}


_HOURS = frozenset("one two three four five six seven eight nine ten eleven twelve".split())
_TIMED = frozenset("in at on during over by through throughout for before after between from".split())
_HELD = frozenset(("charge", "favour", "favor", "need", "possession", "control", "command", "care", "search"))
"""States with an object: "in charge of the kitchen"."""


_ON = frozenset(
    "shift nights leave antibiotics medication tablets duty diet holiday vacation business sabbatical strike parole"
    " probation".split()
)
"""Objects of "on" that name a state, even with an article: "on the night shift"."""


_AT = frozenset("moment present times first last least most once best worst".split())
_AFTER_IS = frozenset(
    phrase.replace("_", " ")
    for phrase in (
        "over_the_moon under_the_weather behind_bars beyond_repair up_to_date below_par under_way under_repair"
        " under_construction under_arrest under_pressure"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Oblique:
    """What a prepositional phrase says of a subject, if its object is no entity."""

    relation: str
    tail: str


def oblique(relation: str, preposition: "Token", noun: "Token", moment: When, stative: bool) -> Oblique | str | None:
    """Return what a prepositional phrase states.

    Args:
        relation: The verb, as ``"lives"``; ``"is"`` for "be".
        preposition: The preposition.
        noun: Its object.
        moment: When the clause holds, with the tokens of its dates.
        stative: Whether the verb tells a state.

    Returns:
        A relation whose tail is the entity of the object; a relation with a tail that is no entity, as for "is on
        Monday" and "is in love"; ``None`` if the phrase only dates the clause.
    """
    word = preposition.lower_
    own = f"{relation}_{word}"
    place = SAME_AS.get(own, own) in ("lives_in", "works_at") or (relation == "is" and word in _WHERE)
    if relation == "is" and word in _WHERE:
        own = "located_in"
    if relation == "prefers" and word == "to":
        return None
    words = re.sub(r" (now|today)$", "", phrase(noun))
    article = next((f"{child.text} " for child in noun.children if child.dep_ == "det"), "")
    if word == "on" and noun.lower_ in _ON:
        return Oblique(relation, f"on {article}{words}")
    if noun.i in moment.dates:
        words = _date(noun, moment.dates) or words
    if noun.i not in moment.dates and (late := [c.i for c in noun.subtree if c.i in moment.dates]):
        words = noun.doc[min(c.i for c in noun.subtree if c.dep_ != "det") : min(late)].text.strip() or words
    bare = not any(child.dep_ in ("det", "poss", "nummod") for child in noun.children)
    if (relation == "is" or stative) and word in ("before", "after"):
        return None  # "worked at Globex before Acme"
    if word == "at" and noun.lower_ in _AT:
        return None
    if word in ("to", "from") and names_time(words):
        return None  # "moved to Friday"
    if relation == "is" and f"{word} {article}{words}".lower() in _AFTER_IS:
        return Oblique(relation, f"{word} {article}{words}".lower())
    if word in ("since", "until", "till") or (noun.i in moment.dates and word in ("from", "through")):
        return None
    clock = word == "at" and noun.pos_ == "NUM" and words.lower() in _HOURS
    if (
        stative
        and word in _TIMED
        and (clock or names_time(words) or (noun.i in moment.dates and not (relation == "is" and word in _WHERE)))
    ):
        if relation == "is" and word in _WHERE:
            return Oblique(f"happens_{word}", words)
        return None if noun.i in moment.dates or word in _WHEN else Oblique(f"{relation}_during", words)
    if place and noun.pos_ != "PROPN":
        article = next((child.text for child in noun.children if child.dep_ in ("det", "poss")), "")
        whole = words if words.lower().startswith(article.lower() + " ") or not article else f"{article} {words}"
        if re.fullmatch(r"(?:a |the )?(?:lot|lots|bit|plenty|deal|kind|sort|great deal)", words.partition(" of ")[0]):
            quantity = words.partition(" of ")[2]
            return Oblique(relation, f"{word} {whole}") if names_state(quantity, bare=True) else own
        of = next((c for c in noun.children if c.lower_ == "of" and c.dep_ == "prep"), None)
        if of is not None and words.partition(" of ")[0] in _HELD:
            state = words.partition(" of ")[0].replace(" ", "_")
            return Oblique(f"{relation}_{word}_{state}_of", words.partition(" of ")[2])
        if names_state(whole.lower() if whole[:1].isupper() and noun.i == noun.sent.start else whole, bare):
            return Oblique(relation, f"{word} {whole}")
    return own


def _date(noun: "Token", dates: frozenset[int]) -> str:
    """Return the whole date that a noun is in, without the preposition before it: ``"Friday 22 May"``."""
    first = last = noun.i
    while first - 1 in dates and (noun.doc[first - 1].pos_ != "ADP" or noun.doc[first - 1].lower_ == "of"):
        first -= 1
    while last + 1 in dates and (noun.doc[last + 1].pos_ != "ADP" or noun.doc[last + 1].lower_ == "of"):
        last += 1
    if noun.doc[first].dep_ == "det":
        first += 1
    return str(noun.doc[first : last + 1].text)
