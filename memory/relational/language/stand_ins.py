"""Stand-ins for names that an English parser does not know: it parses a common name in their place.

A small parser guesses at words it has never seen: names in other scripts, with accents or with signs in them, and names
that are also common words (May, Will, Rose). :class:`StandIns` replaces each by a name that the parser knows, and puts
the names back into the parsed document, so that all later steps see the text as it was written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import regex

from memory.relational.language.lemmas import is_third_person, known_verb, known_word, verb_lemma
from memory.relational.language.nouns import paragraphs
from memory.scripts import EMOJI

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

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
    rf"(?:[#@.]?(?=[{_LETTERS}\p{{N}}$])[{_LETTERS}\p{{N}}](?:[{_LETTERS}\p{{N}}'’$&@*+#\u200c\u200d·・་׳״-]|!(?=[{_LETTERS}])|\.(?=[{_LETTERS}\p{{N}}]))*(?:[+#]+|!(?=\s\p{{Ll}}))?)"
)
_EMOJI = regex.compile(f"{EMOJI}+")
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


_TITLE = regex.compile(r"[\"“](?P<title>[^\"“”\n]{2,80}?)[,.!?]?[\"”]")
_SMALL = frozenset("of the and a an in to for on at with from no by as or is vs de la le".split())
_ASIDE = regex.compile(r"\s?[(\[](?:[^()\[\]]*[\d:;,=/][^()\[\]]*|\p{Ll}[^()\[\]]*)[)\]]")
"""What stands in brackets and is no name: dates, foreign words, explanations."""


_OPENERS = "|".join(
    regex.escape(one.replace("_", " ")) for one in sorted(paragraphs("idioms.txt")["openers"], key=len, reverse=True)
)
_FILLER = regex.compile(rf"(?:(?<=[.!?]\s)|(?<=^))(?:(?i:{_OPENERS})(?:[,:!]| [–—-])\s+)+")
"""Words before a sentence that are no part of it: "Sorry, ..."."""

_IDLE = regex.compile(
    r",?\s(?:"
    + "|".join(regex.escape(one.replace("_", " ")) for one in sorted(paragraphs("idioms.txt")["fillers"]))
    + r")(?=[.,!;]|\s)(?:,(?=\s\p{Ll}))?"
)
"""Words inside a sentence that say nothing: "of course"."""

_FRONTED = regex.compile(
    r"(?:(?<=[.!?]\s)|(?<=^))(?:Until|Since|In|By|Last|Next|This|Every|On|From) (?:early |late |last |next )?"
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|Monday|Tuesday|Wednesday"
    r"|Thursday|Friday|Saturday|Sunday|\d{4}|year|month|week|summer|winter|spring|autumn)(?= \p{Lu}\p{Ll})"
)
"""A date before a name that would be read as a part of it: "Until May Clara had a flat"."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A part of a text that is replaced by a stand-in, or left out; an empty part is where a comma is missing."""

    start: int
    end: int
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the text to parse: where it is there, and where it comes from; ``name`` if it stands for a name."""

    start: int
    end: int
    source: int
    name: str = ""


class StandIns:
    """A text with its rare names and its quoted titles replaced, and without what stands in brackets.

    Args:
        text: The text as it was written.

    Attributes:
        text: The text to parse.
    """

    def __init__(self, text: str) -> None:
        self.original = text
        self._pieces: list[_Piece] = []
        people, towns = cycle(_free(_PEOPLE, text)), cycle(_free(_TOWNS, text))
        out: list[str] = []
        last = size = 0

        def put(words: str, source: int, name: str = "") -> None:
            nonlocal size
            if words:
                self._pieces.append(_Piece(size, size + len(words), source, name))
                out.append(words)
                size += len(words)

        for name in _replaced(text):
            put(text[last : name.start], last)
            written = text[name.start : name.end]
            if not written:
                put(",", name.start)
            elif not name.left_out:
                before = text[: name.start].rstrip().rpartition(" ")[2].lower()
                stand_in = next(towns if before in ("in", "at", "from", "near", "to") else people)
                title = _TITLE.fullmatch(written)
                put(stand_in, name.start, title["title"] if title else written)
            last = name.end
        put(text[last:], last)
        self.text = _OPENING.sub(_lowered, re.sub(r";(?=\s)", ".", "".join(out)))

    def restored(self, doc: "Doc") -> "Doc":
        """Return a parsed document with the names as they were written, each as one token.

        ``user_data["written"]`` holds, for each token, where it begins and ends in the text as it was written.
        """
        from spacy.tokens import Doc, Span

        named: dict[int, _Piece] = {}
        for piece in self._pieces:
            if piece.name and (span := doc.char_span(piece.start, piece.end, alignment_mode="expand")) is not None:
                named[span[0].i] = piece
        restored = doc
        if named:
            restored = Doc(
                doc.vocab,
                words=[named[token.i].name if token.i in named else token.text for token in doc],
                spaces=[bool(token.whitespace_) for token in doc],
                tags=[token.tag_ for token in doc],
                pos=[token.pos_ for token in doc],
                lemmas=[named[token.i].name if token.i in named else token.lemma_ for token in doc],
                heads=[token.head.i for token in doc],
                deps=[token.dep_ for token in doc],
                sent_starts=[token.is_sent_start for token in doc],
            )
            ents = [Span(restored, ent.start, ent.end, label=ent.label_) for ent in doc.ents]
            restored.set_ents(ents, default="unmodified")
        restored.user_data["quoted"] = {index for index, piece in named.items() if self.original[piece.source] in '"“'}
        restored.user_data["written"] = [*self._written(doc)]
        restored.user_data["original"] = self.original
        return restored

    def _written(self, doc: "Doc") -> Iterator[tuple[int, int]]:
        at = 0
        for token in doc:
            start, end = token.idx, token.idx + len(token.text)
            while at < len(self._pieces) - 1 and start >= self._pieces[at].end:
                at += 1
            piece = self._pieces[at]
            if piece.name:
                after = self._pieces[at + 1].source if at + 1 < len(self._pieces) else len(self.original)
                yield piece.source, after
            else:
                yield piece.source + start - piece.start, piece.source + end - piece.start


def written(sentence: "Span") -> str:
    """Return a sentence of a restored document as it was written."""
    places = sentence.doc.user_data.get("written")
    if not places:
        return str(sentence.text).strip()
    text: str = sentence.doc.user_data["original"]
    return text[places[sentence.start][0] : places[sentence.end - 1][1]].strip()


_OPENING = re.compile(r"(?:^|(?<=[.!?] ))([A-Z][a-z]+)(?=,? [A-Z])")


def _lowered(match: re.Match[str]) -> str:
    """Return the first word of a sentence in lower case, if a name follows and it is none: "apparently Ada left"."""
    word = match[1]
    return word.lower() if word.endswith("ly") or word in _VERBS_FIRST or _tells_past(word) else word


_VERBS_FIRST = {"Imagine", "Suppose", "Assume", "Perhaps", "Maybe", "Pretend", "Today", "Tomorrow", "Yesterday", "Now"}


def _free(names: list[str], text: str) -> list[str]:
    lower = text.lower()
    return [name for name in names if name.lower() not in lower] or names


def _replaced(text: str) -> list[_Name]:
    """Return what is replaced or left out, in order: titles in quotes, what stands in brackets, rare names."""
    patterns = (_ASIDE, _FILLER, _IDLE) if "(" in text or "[" in text else (_FILLER, _IDLE)
    found = [_Name(m.start(), m.end(), left_out=True) for one in patterns for m in one.finditer(text)]
    found += [_Name(m.end(), m.end()) for m in _FRONTED.finditer(text)]
    found += [_Name(m.start(), m.end()) for m in _TITLE.finditer(text) if _is_title(m["title"])]
    taken: list[_Name] = []
    for name in sorted(found, key=lambda one: one.start):
        if not taken or name.start >= taken[-1].end:
            taken.append(name)
    rare = [name for name in _rare(text) if not any(name.start < one.end and one.start < name.end for one in taken)]
    return sorted([*taken, *rare], key=lambda one: one.start)


def _is_title(words: str) -> bool:
    """Return whether words in quotes are a title: each begins with a capital, but for small words."""
    parts = words.split()
    return (
        0 < len(parts) <= 10
        and parts[0][:1].isupper()
        and all(p[:1].isupper() or p.lower() in _SMALL or p[:1].isdigit() for p in parts)
    )


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
    if i + 1 < len(words) and _leads(text, words, i):
        return None  # "Met Farida at the market"
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


def _leads(text: str, words: list[tuple[int, int]], i: int) -> bool:
    """Return whether a capitalised word begins a note with a verb in the past tense before a name: "Met Farida"."""
    begins = re.search(r"(^|[.!?:;\n]\s*)$", text[: words[i][0]]) is not None
    return begins and _tells_past(_word(text, words, i)) and _word(text, words, i + 1)[:1].isupper()


def _tells_past(word: str) -> bool:
    """Return whether a capitalised word is a verb in the past tense and no name: ``Met``, ``Sold``."""
    return word not in _KNOWN and known_verb(word) and verb_lemma(word) != word.lower() and not word.endswith("s")


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
    word = word.partition("-")[0] if word.replace("-", "").isalpha() else word
    return len(word) > 2 and word.isalpha() and not word.isupper() and word not in _KNOWN and not known_word(word)


def _odd(word: str) -> bool:
    return _ODD.fullmatch(word) is not None and _SAFE.fullmatch(word) is None


def annotate(pipeline: Any, texts: list[str]) -> "Iterator[Doc]":
    """Yield the parsed documents of texts, whose names are as they were written."""
    stand_ins = [StandIns(text) for text in texts]
    docs = pipeline.pipe((one.text for one in stand_ins), batch_size=32)
    for one, doc in zip(stand_ins, docs, strict=True):
        yield one.restored(doc)
