"""Kinds of nouns: whether the words after "in" or "at" name a time, a state, a person, an organisation or a place."""

import re
from functools import cache
from pathlib import Path

_NUMBERED = re.compile(
    r"(1[0-9]|20|21)\d\d(s|'s)?|\d{4}-\d\d(-\d\d)?|\d{1,2}[:.]\d\d( ?[ap]\.?m\.?)?|\d{1,2} ?[ap]\.?m\.?"
    r"|\d{1,2}(st|nd|rd|th)?|\d{1,2}/\d{1,2}(/\d{2,4})?"
)
_CLOCK = re.compile(r"(half|a quarter|quarter|\w+) (past|to) \w+|.+ o['’]?clock( sharp)?")
_ABBREVIATED = frozenset(
    "mon tue tues wed thu thur thurs fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_MONTHS_ALSO_NAMES = frozenset(("may", "april", "june", "august", "summer", "spring", "march", "eve", "easter"))

_DEFINITE = re.compile(r"(the|this|that|my|your|his|her|its|our|their|\w+['’]s) ")

PLACES = frozenset(
    "home school bed hospital prison jail church college university town court class work sea space port sight"
    " kindergarten nursery temple mosque synagogue office market camp stage headquarters".split()
)
"""Nouns that name a place even without an article: "at home"."""


@cache
def paragraphs(file: str) -> dict[str, frozenset[str]]:
    """Return the words of a word list of this folder, by the names of its paragraphs."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    return {name: frozenset(words) for name, *words in (part.split() for part in text.split("\n\n")[1:])}


IDIOMS = frozenset(phrase.replace("_", " ") for phrase in paragraphs("idioms.txt")["idioms"])
"""Phrases after "in", "on" or "at" that name no place."""


@cache
def lexicon() -> dict[str, str]:
    """Return the kind of each noun of the word list."""
    return {noun: kind for kind, nouns in paragraphs("nouns.txt").items() for noun in nouns}


def noun_kind(word: str) -> str | None:
    """Return the kind of a common noun in singular or plural, as ``"state"`` for ``"love"``; ``None`` if unknown."""
    word = word.lower()
    known = lexicon()
    for form in (word, word.removesuffix("s"), word.removesuffix("es"), re.sub(r"ies$", "y", word)):
        if form in known:
            return known[form]
    return None


def names_role(word: str) -> bool:
    """Return whether a common noun is a role of a person: ``nurse``, ``trainee``, ``technician``."""
    return (
        noun_kind(word) == "person"
        or re.search(r"(ee|eer|ist|ian|man|woman|keeper|worker|er|or)$", word.lower()) is not None
    )


def names_time(name: str) -> bool:
    """Return whether a name, as it is told, is a time: ``"Monday"``, ``"2010"``, ``"noon"``, ``"three weeks"``."""
    words = re.sub(r"^(the|a|an|this|that|next|last|every|each) ", "", name.strip().lower()).rstrip(".").split()
    if not words:
        return False
    if _CLOCK.fullmatch(" ".join(words)):
        return True
    if all(_NUMBERED.fullmatch(word) for word in words):
        return len(words) > 1 or re.fullmatch(r"\d{1,3}", words[0]) is None
    head = words[: words.index("of")][-1] if "of" in words[1:] else words[-1]
    if head in _ABBREVIATED or head in ("may", "march") or noun_kind(head) == "time":
        return head not in _MONTHS_ALSO_NAMES or name.strip().lower() == head or any(c.isdigit() for c in name)
    return noun_kind(words[0]) == "time" and all(_NUMBERED.fullmatch(word.rstrip(",")) for word in words[1:])


def names_state(name: str, bare: bool) -> bool:
    """Return whether a phrase after "in", "on" or "at" is a state: ``"love"``, ``"a hurry"``, ``"good health"``.

    Args:
        name: The phrase with its article, as it is told. A phrase with a capital letter is a name, not a state.
        bare: Whether it has neither article nor possessive.
    """
    phrase = name.strip()
    if not phrase or phrase != phrase.lower():
        return False
    if phrase in IDIOMS:
        return True
    if _DEFINITE.match(phrase):
        return False  # "in the case": a thing that is known
    words = phrase.split()
    head = words[: words.index("of")][-1] if "of" in words[1:] else words[-1]
    return noun_kind(head) == "state" and not (bare and head in PLACES)


def fits(relation: str, tail: str) -> bool:
    """Return whether a tail is of a kind that a relation takes: a place, an employer and an owner are no times."""
    return relation not in TAKES_NO_TIME or not names_time(tail)


TAKES_NO_TIME = frozenset({"lives_in", "located_in", "is_at", "works_at", "owned_by"})
"""Relations whose tail is a place, an organisation or an owner."""
