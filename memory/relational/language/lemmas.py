"""Lemmas of English verbs, by the tables of LemmInflect."""

import re
from functools import lru_cache

_CONTRACTED = {"'m": "be", "'re": "be", "'s": "be", "’m": "be", "’re": "be", "’s": "be", "'ve": "have", "’ve": "have"}
_PREFERRED = {
    "lay": "lie",
    "laid": "lay",
    "lays": "lay",
    "left": "leave",
    "found": "find",
    "felt": "feel",
    "programmed": "program",
    "programming": "program",
}


@lru_cache(maxsize=20_000)
def verb_lemma(word: str) -> str:
    """Return the base form of a verb: ``hates`` becomes ``hate``, ``rode`` becomes ``ride``."""
    from lemminflect import getLemma

    lower = word.lower()
    if lower in _CONTRACTED:
        return _CONTRACTED[lower]
    if lower in _PREFERRED:
        return _PREFERRED[lower]
    lemmas = getLemma(lower, upos="VERB")
    return str(lemmas[0]) if lemmas else lower


@lru_cache(maxsize=20_000)
def gerund_of(word: str) -> str:
    """Return the gerund of a verb: ``swim`` becomes ``swimming``."""
    from lemminflect import getInflection

    if word.endswith("ing"):
        return word
    forms = getInflection(verb_lemma(word), tag="VBG")
    return str(forms[0]) if forms else word


@lru_cache(maxsize=20_000)
def known_verb(word: str) -> bool:
    """Return whether a word is a form of a verb in the tables."""
    from lemminflect import getLemma

    return bool(getLemma(word.lower(), upos="VERB", lemmatize_oov=False))


@lru_cache(maxsize=50_000)
def known_word(word: str) -> bool:
    """Return whether a word is a form of an English word in the tables."""
    from lemminflect import getAllLemmas

    return bool(getAllLemmas(word.lower()))


def is_third_person(word: str) -> bool:
    """Return whether a word may be a verb in the third person singular or in the past: ``lives``, ``owned``."""
    lower = word.lower()
    return (lower in _FINITE or bool(re.search(r"(s|ed)$", lower))) and known_verb(lower)


_FINITE = frozenset(
    "is was has had does did isn't wasn't can could will would may might must should became came went got gave took"
    " made said knew thought found left felt kept lost held met ran rode sang sat sold sent spoke spent stood taught"
    " told won wrote drove ate drank bought brought built caught chose drew fell flew grew heard hid hit".split()
)
