"""Stemming of words (Porter 1980, as in SQLite's full-text index), without function words."""

from functools import lru_cache

import snowballstemmer

from memory.scripts import UNSPACED, WORD, terms, without_accents

_stemmer = snowballstemmer.stemmer("porter")

_FUNCTION = frozenset(
    "a about an and are as at be been being by did do does for from had has have he her hers him his how i in into is"
    " it its me my of on or our she so than that the their them then there these they this those to was we were what"
    " when where which who whom whose why will with would you your".split()
)


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def stems(text: str) -> list[str]:
    """Return the stems of the content words of a text, in order, with repeats; pairs of letters where no spaces are."""
    found = [
        _stem(word) for word in WORD.findall(UNSPACED.sub(" ", without_accents(text.lower()))) if word not in _FUNCTION
    ]
    return [*found, *(term for run in UNSPACED.findall(text) for term in terms(run, pairs_only=True))]
