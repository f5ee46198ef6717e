"""Stand-ins for names that an English parser does not know: it parses a common name in their place.

A small parser guesses at words it has never seen: names in other scripts, with accents or with signs in them, and names
that are also common words (May, Will, Rose). :class:`StandIns` replaces each by a name that the parser knows, and puts
the names back into the parsed document, so that all later steps see the text as it was written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import regex

from memory.relational.language.lemmas import is_third_person, known_word
from memory.relational.language.nouns import paragraphs

if TYPE_CHECKING:
    from spacy.tokens import Doc

_PEOPLE = "Emma Daniel Anna Michael Maria Thomas Laura Robert Julia Peter Sarah David Alice George Helen Oscar".split()
_TOWNS = "Boston Chicago London Paris Berlin Madrid Vienna Dublin".split()

_KNOWN = paragraphs("names.txt")["known"]
"""Frequent names, which parsers know."""

WORDS_AS_NAMES = paragraphs("names.txt")["also_words"]
"""First names that are also common words."""

_FUNCTION = paragraphs("names.txt")["function"]

ADDRESSED = frozenset({"poor", "dear", "old", "little", "young", "good", "lucky"})
"""Adjectives before a person's name that are no part of it."""

_LETTERS = r"\p{L}\p{M}"
_WORD = regex.compile(
    rf"(?<![{_LETTERS}\p{{N}}])"
    rf"(?:[#@.]?(?=[{_LETTERS}\p{{N}}$])[{_LETTERS}\p{{N}}](?:[{_LETTERS}\p{{N}}'’$!&@*+#\u200c\u200d·・་׳״-]|\.(?=[{_LETTERS}\p{{N}}]))*(?:[+#]+|!(?=\s\p{{Ll}}))?)"
)
_EMOJI = regex.compile(r"(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u200d|\ufe0f|[\U0001F1E6-\U0001F1FF])+")
_PARTICLE = regex.compile(r"(?:al|el|bin|ibn|van|von|der|den|de|da|di|du|del|la|le|ter|ten|ben|abu|y|zu|af|dos|das)")
_ODD = regex.compile(
    r"(?=.*[^\x00-\x7f’])(?=.*[\p{L}]).+"  # a letter of another alphabet, or with a mark
    r"|(?=.*\p{L}).*[$!&@*+#](?=.).*|.*\p{L}[+#!]+"  # P!nk, Ke$ha, AT&T, C++
    r"|\d+-?\p{Lu}[\p{L}-]*|\p{L}+\d+\p{L}*|\d+-\p{Lu}\p{L}+"  # 3M, 7-Eleven, deadmau5
    r"|\.\p{Lu}\p{L}+|\p{L}+(?:\.\p{L}+){2,}"  # .NET, will.i.am
)
_SAFE = regex.compile(
    r"\d+(?:st|nd|rd|th|am|pm|AM|PM|km|kg|cm|mm|m|g|s|h|x|k|%)|(?i:[ap]\.m|e\.g|i\.e|u\.s(\.a)?|ph\.d|covid-?19|\d+[’']s|.*n[’']t|.*[’'](?:s|ll|re|ve|d|m))"
)


@dataclass(frozen=True, slots=True)
class _Name:
    start: int
    end: int


class StandIns:
    """A text with its rare names replaced.

    Args:
        text: The text as it was written.

    Attributes:
        text: The text to parse.
    """

    def __init__(self, text: str) -> None:
        self.original = text
        self._names: list[tuple[int, int, str]] = []  # start and end in ``text``, and the name as it was written
        parts, last, size = [], 0, 0
        people, towns = iter(_free(_PEOPLE, text)), iter(_free(_TOWNS, text))
        known: dict[str, str] = {}
        for name in _rare(text):
            written = text[name.start : name.end]
            before = text[: name.start].rstrip().rpartition(" ")[2].lower()
            pool = towns if before in ("in", "at", "from", "near", "to") else people
            stand_in = known.get(written) or next(pool, "")
            if not stand_in:
                break
            known[written] = stand_in
            parts += [text[last : name.start], stand_in]
            size += name.start - last
            self._names.append((size, size + len(stand_in), written))
            size += len(stand_in)
            last = name.end
        self.text = re.sub(r";(?=\s)", ".", "".join([*parts, text[last:]]))

    def restored(self, doc: "Doc") -> "Doc":
        """Return a parsed document with the names as they were written, each as one token."""
        if not self._names:
            return doc
        from spacy.tokens import Doc, Span

        spans = [doc.char_span(start, end, alignment_mode="expand") for start, end, _ in self._names]
        named = {span[0].i: name for span, (_, _, name) in zip(spans, self._names, strict=True) if span is not None}
        words = [named.get(token.i, token.text) for token in doc]
        restored = Doc(
            doc.vocab,
            words=words,
            spaces=[bool(token.whitespace_) for token in doc],
            tags=[token.tag_ for token in doc],
            pos=[token.pos_ for token in doc],
            lemmas=[named.get(token.i, token.lemma_) for token in doc],
            heads=[token.head.i for token in doc],
            deps=[token.dep_ for token in doc],
            sent_starts=[token.is_sent_start for token in doc],
        )
        restored.set_ents(
            [Span(restored, ent.start, ent.end, label=ent.label_) for ent in doc.ents], default="unmodified"
        )
        return restored


def _free(names: list[str], text: str) -> list[str]:
    lower = text.lower()
    return [name for name in names if name.lower() not in lower]


def _rare(text: str) -> Iterator[_Name]:
    """Yield the names in a text that need a stand-in, in order."""
    words = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    i = 0
    while i < len(words):
        run = _run(text, words, i)
        if run is None:
            i += 1
            continue
        first, last = run
        start, end = words[first][0], words[last][1]
        if (owner := re.search(r"['’]s$", text[start:end])) is not None:
            end -= len(owner.group())
        emoji = _EMOJI.match(text, end) or _EMOJI.match(text, end + 1)
        yield _Name(start, emoji.end() if emoji and emoji.end() > end else end)
        i = last + 1


def _run(text: str, words: list[tuple[int, int]], i: int) -> tuple[int, int] | None:
    """Return the first and last word of the name that begins at a word, if it needs a stand-in."""
    word = _word(text, words, i)
    if not _may_name(word) and not _odd(word):
        return None
    if word in _FUNCTION or word.lower() in ADDRESSED:
        return None
    last = i
    while last + 1 < len(words) and text[words[last][1] : words[last + 1][0]] in (" ", "\u3000", "\u00a0"):
        after = _word(text, words, last + 1)
        if (_may_name(after) and after not in _FUNCTION) or (_odd(after) and not after.isascii()):
            last += 1
        elif _PARTICLE.fullmatch(after.lower()) and last + 2 < len(words) and _may_name(_word(text, words, last + 2)):
            last += 2
        else:
            break
    run = [_word(text, words, at) for at in range(i, last + 1)]
    if any(_odd(one) or _unknown(one) for one in run):
        return i, last
    begins = re.search(r"(^|[.!?:;\n]\s*|[\"“(])$", text[: words[i][0]]) is not None
    if word in WORDS_AS_NAMES:
        return (i, last) if _used_as_name(text, words, i, last, begins) else None
    emoji = _EMOJI.match(text, words[last][1] + 1)
    return (i, last) if emoji is not None and emoji.start() == words[last][1] + 1 else None


def _used_as_name(text: str, words: list[tuple[int, int]], i: int, last: int, begins: bool) -> bool:
    """Return whether a capitalised common word is a name where it stands."""
    before = _word(text, words, i - 1).lower() if i and not begins else ""
    if before in (
        "in",
        "since",
        "until",
        "till",
        "by",
        "during",
        "of",
        "next",
        "last",
        "this",
        "early",
        "late",
        "mid",
        "on",
    ):
        return False
    if before in ("the", "a", "an", "my", "our", "his", "her") and last == i:
        return False
    after = _word(text, words, last + 1) if last + 1 < len(words) else ""
    question = re.match(r"[^.!\n]*\?", text[words[last][1] :]) is not None
    if not begins:
        return not re.fullmatch(r"\d+(st|nd|rd|th)?", after)
    return not question and (is_third_person(after) or (last > i and not after.islower()) or after in ("and", "likes"))


def _word(text: str, words: list[tuple[int, int]], i: int) -> str:
    start, end = words[i]
    return text[start:end]


def _may_name(word: str) -> bool:
    """Return whether a word begins like a name: with a capital, or with a letter that has no case."""
    return word[:1].isupper() or (word[:1].isalpha() and not word[:1].isascii() and word[:1].upper() == word[:1])


def _unknown(word: str) -> bool:
    """Return whether a capitalised word is neither an English word nor a name that parsers know."""
    return len(word) > 2 and word.isalpha() and not word.isupper() and word not in _KNOWN and not known_word(word)


def _odd(word: str) -> bool:
    return _ODD.fullmatch(word) is not None and _SAFE.fullmatch(word) is None


def annotate(pipeline: Any, texts: list[str]) -> "Iterator[Doc]":
    """Yield the parsed documents of texts, whose names are as they were written."""
    stand_ins = [StandIns(text) for text in texts]
    docs = pipeline.pipe((one.text for one in stand_ins), batch_size=32)
    for one, doc in zip(stand_ins, docs, strict=True):
        yield one.restored(doc)
