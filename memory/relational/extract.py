"""Extraction of tuples from text: the interface of extractors, and templates for sentences of a known form."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from memory.errors import InvalidItemError
from memory.provenance import Provenance, origin_of
from memory.relational.endings import Ending
from memory.relational.language.nouns import TAKES_NO_TIME, fits, names_state
from memory.relational.names import normalise
from memory.relational.tuples import Tuple

MAX_TEXT = 2_000_000
"""Greatest number of characters of one text; a longer one is refused."""


class Extraction(list[Tuple]):
    """What a text states: a list of its tuples, with its endings and plans beside them.

    :meth:`memory.relational.KG.upsert` takes it whole.

    Attributes:
        statements: Tuples, endings and plans in the order of the text. Plans are tuples that begin to hold later than
            they are told; the list itself leaves them out.
    """

    def __init__(self, statements: Iterable[Tuple | Ending] = ()) -> None:
        self.statements = list(statements)
        super().__init__(item for item in self.statements if isinstance(item, Tuple) and not item.planned)


class Extractor(Protocol):
    """Interface of extractors, which find the facts that a text states."""

    name: str

    def extract(self, text: str, origin: Provenance | str | None = None) -> list[Tuple]:
        """Return tuples in the order of the text, each with the sentence that it comes from as its span.

        Args:
            text: English, at most 2,000,000 characters; sentences that state no fact are skipped.
            origin: Where the text comes from; every tuple gets its time, document and trust.

        Raises:
            InvalidItemError: The text is too long.
        """
        ...

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> Sequence[list[Tuple]]:
        """Return the tuples of each text; an extractor that works in batches is faster than one call for each text."""
        ...


def validate_text(text: str) -> str:
    """Check a text for extraction and return it with null characters replaced by spaces.

    Raises:
        InvalidItemError: It is too long, not a string, or not valid Unicode.
    """
    if not isinstance(text, str):
        raise InvalidItemError(f"a text to extract from must be a string, got {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise InvalidItemError(
            f"a text to extract from has at most {MAX_TEXT:,} characters, got {len(text):,}: split it"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidItemError(f"a text must be valid Unicode: {error}") from error
    return text.replace("\0", " ")


def with_span(origin: Provenance | str | None, span: str, conf: float) -> Provenance:
    """Return the origin of a tuple: the origin of its text, with the sentence as its span."""
    whole = origin_of(origin)
    return replace(whole, text_span=span, conf=min(conf, whole.conf))


_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*[.!?]*")

_NO_NAME = frozenset(
    "not no never nobody neither nor longer if unless may might could would should will can and or but who which that"
    " perhaps maybe he she it they i we you his her their does did do was were is are be".split()
)
"""Words that a name can't contain; a sentence in which a template matches one as a name is skipped."""

TEMPLATES: tuple[tuple[str, tuple[str, str, str]], ...] = (
    ("{a} moved to {b}", ("{a}", "lives_in", "{b}")),
    ("{a} lives in {b}", ("{a}", "lives_in", "{b}")),
    ("{a} is in {b}", ("{a}", "located_in", "{b}")),
    ("{a} was put in {b}", ("{a}", "located_in", "{b}")),
    ("{a} is at {b}", ("{a}", "is_at", "{b}")),
    ("{a} opens {b}", ("{a}", "opens", "{b}")),
    ("{a} belongs to {b}", ("{a}", "owned_by", "{b}")),
    ("{a} owns {b}", ("{b}", "owned_by", "{a}")),
    ("{a} lent {b} to {c}", ("{b}", "lent_to", "{c}")),
    ("{a} gave {b} to {c}", ("{b}", "owned_by", "{c}")),
    ("{a} likes {b}", ("{a}", "likes", "{b}")),
    ("{a} works at {b}", ("{a}", "works_at", "{b}")),
)
"""Forms of the sentences of the environments, and the tuple that each states. Articles before names are dropped."""


class TemplateExtractor:
    """Extractor of tuples from sentences of a known form; it ignores all other sentences.

    Args:
        templates: Pairs of a sentence with ``{names}`` and the head, relation and tail that it states.
    """

    name = "templates"

    def __init__(self, templates: Iterable[tuple[str, tuple[str, str, str]]] = TEMPLATES) -> None:
        self._templates = []
        for sentence, statement in templates:
            parts = re.split(r"\{(\w+)\}", sentence.rstrip("."))
            pattern = "".join(
                rf"(?P<{part}>[\w'’-]+(?: [\w'’-]+){{0,7}}?)" if i % 2 else re.escape(part)
                for i, part in enumerate(parts)
            )
            self._templates.append((re.compile(pattern, re.IGNORECASE), statement))

    def extract(self, text: str, origin: Provenance | str | None = None) -> list[Tuple]:
        """Return the tuples of the sentences that match a template, in order."""
        tuples = []
        for match in _SENTENCE.finditer(validate_text(text)):
            sentence = match.group().strip()
            if sentence.endswith("?"):
                continue
            bare = sentence.rstrip(".!")
            for pattern, statement in self._templates:
                slots = pattern.fullmatch(bare)
                if slots and not any(_NO_NAME.intersection(value.lower().split()) for value in slots.groups()):
                    names = {name: normalise(value) for name, value in slots.groupdict().items()}
                    head, relation, tail = (part.format(**names) for part in statement)
                    state = relation in TAKES_NO_TIME and any(names_state(v, bare=True) for v in slots.groups()[1:])
                    if fits(relation, tail) and not state:
                        tuples.append(Tuple(head, relation, tail, provenance=with_span(origin, sentence, 1.0)))
                    break
        return tuples

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[list[Tuple]]:
        """Return the tuples of each text."""
        return [self.extract(text, origin) for text, origin in zip(texts, origins or [None] * len(texts), strict=True)]
