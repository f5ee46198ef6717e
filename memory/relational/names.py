"""Normal forms of names and relations: how they are stored and compared."""

import re
import unicodedata
from functools import lru_cache

import regex

from memory.scripts import EMOJI, OPTIONAL_MARKS, WORD, without_accents

_ARTICLE = re.compile(r"^(the|a|an) (?=\S)")
_QUALIFIER = re.compile(r" ?\([^()]*\)$")
_EMOJI_ENDS = regex.compile(
    rf"^(?:{EMOJI}|\s)*(?=[^\d#*©®™]*[\p{{L}}\p{{N}}])|(?<=[\p{{L}}\p{{N}}\p{{M}}\p{{P}}])\s*{EMOJI}+(?:{EMOJI}|\s)*$"
)
MAX_NAME_WORDS = 8


@lru_cache(maxsize=50_000)
def normalise(name: str) -> str:
    """Return an entity or relation name as it is stored: lower case, composed, single spaces, no article or emoji."""
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower().replace("i\u0307", "i"))
    if not lower.isascii():
        lower = _EMOJI_ENDS.sub("", lower)
    return _ARTICLE.sub("", " ".join(lower.split()))


@lru_cache(maxsize=50_000)
def fold(name: str) -> str:
    """Return the folded form of a name: without case, accents, punctuation, article, possessive or final parentheses.

    ``"The Müller's House (Bonn)"`` and ``"muller house"`` fold to the same. Accents are those of Latin and Greek
    letters; the marks of other scripts are letters, and stay. A folded form finds and suggests; it is no proof of
    identity.
    """
    plain = without_accents(_QUALIFIER.sub("", " ".join(name.split())).lower())
    plain = re.sub(r"['’]s\b", "", plain)
    return _ARTICLE.sub("", " ".join(WORD.findall(plain)))


@lru_cache(maxsize=50_000)
def spelling(name: str) -> str:
    """Return the form by which two spellings are one name.

    Width, and marks that a script writes optionally (Arabic and Hebrew vowel points, Russian ё and stress), do not
    count, nor do dots, commas, hyphens or apostrophes inside words or at their end. Accents count, and so does what
    else may distinguish two names: ``C`` and ``C++``, ``Springfield (Ohio)``.
    """
    plain = OPTIONAL_MARKS.sub("", unicodedata.normalize("NFKC", normalise(name))).replace("ё", "е")
    return re.sub(r"(?<=[^\W\d_])[.,'’-]+(?=[^\W\d_]|$)", "", plain)


def document_of(doc_id: str) -> str:
    """Return the document that a passage is in: ``notes.txt`` for ``notes.txt#3`` and ``notes.txt:3``."""
    return re.sub(r"[#:]\d+$", "", doc_id)


def relation_name(relation: str) -> str:
    """Return a relation as it is stored: ``"lives in"`` becomes ``"lives_in"``."""
    return normalise(relation).replace(" ", "_")


def third_person(lemma: str) -> str:
    """Return an English verb in the third person singular: ``carry`` becomes ``carries``."""
    irregular = {"be": "is", "have": "has", "quiz": "quizzes", "bus": "buses"}
    if lemma in irregular:
        return irregular[lemma]
    if re.search(r"(s|x|z|ch|sh|[dgh]o|eto)$", lemma):
        return f"{lemma}es"
    if re.search(r"[^aeiou]y$", lemma):
        return f"{lemma[:-1]}ies"
    return f"{lemma}s"


SAME_AS = {
    "resides_in": "lives_in", "dwells_in": "lives_in", "moves_to": "lives_in", "settles_in": "lives_in",
    "relocates_to": "lives_in", "lives_at": "lives_in",
    "situated_in": "located_in", "located_at": "located_in", "stored_in": "located_in", "kept_in": "located_in",
    "lies_in": "located_in", "works_for": "works_at", "employed_by": "works_at", "employed_at": "works_at",
    "belongs_to": "owned_by",
}  # fmt: skip
"""Relations and the relation with the same meaning that the graph uses instead."""

INVERSE_OF = {"owns": "owned_by", "possesses": "owned_by"}
"""Relations and the inverse relation that the graph uses instead."""

FUNCTIONAL = frozenset({"lives_in", "located_in", "is_at", "owned_by", "works_at"})
"""Relations with at most one current tail per head; the default of a graph."""

WHERE = frozenset({"lives_in", "located_in"})
"""Functional relations whose tail may hold together with one that it lies in: "lives in Rome", "lives in Italy"."""


def canonical(head: str, relation: str, tail: str) -> tuple[str, str, str]:
    """Return a statement in canonical form, with :data:`SAME_AS` and :data:`INVERSE_OF` applied."""
    if relation in INVERSE_OF:
        return tail, INVERSE_OF[relation], head
    return head, SAME_AS.get(relation, relation), tail


_CUT = re.compile(
    r"(^| )(of|to|for|with|by|from|and|or|than|that|which|the)$|^[^\w$£€.#@]|[\[({<\"“]$"
    r"|^(their|his|her|its|my|our|your|whose|both|either|neither|such|hence) "
)
_EMPTY = frozenset(
    "present name part one number example following lot result kind sort type variety series set use way thing"
    " latter former first second last their his her its something everything anything other others such same"
    " ones total".split()
)


def is_name(name: str) -> bool:
    """Return whether a phrase may be a name: neither cut off, nor without letters and digits, nor empty of meaning."""
    brackets = all(name.count(one) == name.count(other) for one, other in ("()", "[]", "{}"))
    signs = brackets and name.count('"') % 2 == 0 and any(letter.isalnum() for letter in name)
    return signs and _CUT.search(name) is None and name not in _EMPTY


_MEASURE = re.compile(
    r"(some |about |over |nearly )?[\d.,]+(%| (m|km|cm|mm|kg|g|miles?|met(re|er)s?|feet|ft|inches|acres|people)\b).*"
)


def measures(name: str) -> bool:
    """Return whether a phrase is a quantity: ``some 850 m``."""
    return _MEASURE.fullmatch(name) is not None
