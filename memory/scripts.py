"""Words of scripts that SQLite's full-text index can't tell: written without spaces, or with marks inside words.

The index takes a Chinese sentence for one word, and cuts a Hindi or Thai word at each of its vowel signs. Such words
are therefore indexed by terms of their own: words with marks as they are; of text without spaces each letter and each
pair of neighbouring letters, a letter with its marks counting as one (as in the n-gram tokenizers of search engines).
"""

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import regex

UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]+")
"""A run of letters of a script that is written without spaces between words."""

_PAIRED = regex.compile(UNSPACED.pattern.replace("]+", r"\p{Hangul}]+"))
"""A run of letters that is indexed by pairs: those, and Korean, which joins particles to words."""

WORD = regex.compile(r"[\w\p{M}\u200c\u200d]+")
"""A word of any script: letters with their marks, and digits."""

EMOJI = r"(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|[\U0001F1E6-\U0001F1FF]|\u200d|\ufe0f)"
"""Pattern of one code point of an emoji or flag."""

OPTIONAL_MARKS = regex.compile(
    r"[\u064b-\u0652\u0670\u0640\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]|(?<=\p{Cyrillic})[\u0300\u0301]"
)
"""Marks that a script writes optionally: Arabic and Hebrew vowel points, stress in Cyrillic."""

_ACCENTED = regex.compile(r"(?<=[\p{Latin}\p{Greek}])\p{Mn}+")
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ё": "е"}
)
_MARKED = regex.compile(r"\p{M}")
_CLUSTER = regex.compile(r"\X")


def _term(letters: str) -> str:
    """Return a term that the index keeps as it is: the code points of letters as digits."""
    return "q" + "x".join(str(ord(letter)) for letter in letters)


def terms(text: str, pairs_only: bool = False) -> Iterator[str]:
    """Yield the terms of the words of a text that the index can't tell.

    Args:
        text: Any text.
        pairs_only: Whether to leave out single letters of runs of two and more, as for a cue.
    """
    if text.isascii():
        return
    for word in WORD.findall(unicodedata.normalize("NFC", text.lower())):
        for run in _PAIRED.findall(word):
            letters = _CLUSTER.findall(run)
            if not pairs_only or len(letters) == 1:
                yield from map(_term, letters)
            yield from (_term(one + other) for one, other in pairwise(letters))
        rest = _PAIRED.sub("", word)
        if _MARKED.search(rest):
            yield _term(rest)


def marked(*texts: str | None) -> str:
    """Return the terms of several texts, each once, joined by spaces: the column ``traces.terms``."""
    return " ".join(dict.fromkeys(term for text in texts if text for term in terms(text)))


def without_accents(text: str) -> str:
    """Return a text without the accents of Latin and Greek letters, as somebody types it who lacks them."""
    if text.isascii():
        return text
    bare = _ACCENTED.sub("", unicodedata.normalize("NFKD", text)).translate(_PLAIN)
    return unicodedata.normalize("NFC", OPTIONAL_MARKS.sub("", bare))
