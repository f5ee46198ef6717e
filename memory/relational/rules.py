"""Extraction of tuples by rules over a dependency parse (spaCy's small English model)."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import EmbedderError
from memory.paths import cache_dir
from memory.provenance import Provenance, origin_of
from memory.relational.clauses import LONGEST, SentenceReader
from memory.relational.coreference import Discourse
from memory.relational.endings import Ending
from memory.relational.extract import Extraction, validate_text, with_span
from memory.relational.language.stand_ins import annotate, written
from memory.relational.names import FUNCTIONAL, INVERSE_OF, canonical, document_of, is_name, measures, normalise
from memory.relational.parse import note_entities
from memory.relational.participants import REFERRED
from memory.relational.repairs import repair
from memory.relational.stated import Stated
from memory.relational.tuples import MAX_NAME, Tuple

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

_PART = 20_000
"""Greatest number of characters that are parsed at once, so that a parse fits in main memory."""

CONF_MIN = 0.6
"""Confidence below which tuples are dropped by default."""

_UNSURE, _LONG = 0.55, 22
"""Confidence of what is least often read rightly, in sentences of more than so many tokens: a statement about whom a
pronoun refers to, and a preposition with an object that is no name, which may belong to another word."""

_UNNAMED = {"DATE", "TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL"}
"""Entity labels that do not mark names."""


class RuleExtractor:
    """Extractor of tuples from English prose by rules over its dependency parse, without a language model.

    It extracts plain statements, with the time for which they hold, and endings: what is denied or over. Suppositions,
    questions, orders, wishes and claims of somebody are skipped. Pronouns and short names are resolved within the
    text; "I" is the speaker of the text's origin.

    Args:
        folder: Directory of a spaCy pipeline; by default the one that ``hippo models fetch spacy-en`` makes.
        conf_min: Tuples with less confidence are dropped; by default those of long sentences that are right only every
            other time (docs/results/reports.md).

    Raises:
        EmbedderError: The pipeline is missing (raised at the first text).
    """

    name = "rules"

    def __init__(self, folder: Path | None = None, conf_min: float = CONF_MIN) -> None:
        self.folder = folder or cache_dir() / "spacy-en"
        self.conf_min = conf_min
        self._lock = threading.Lock()
        self._pipeline: Any = None

    def _loaded(self) -> Any:
        if self._pipeline is None:
            if not (self.folder / "config.cfg").is_file():
                raise EmbedderError(f"no parser in {self.folder}: run `hippo models fetch spacy-en`")
            import spacy

            self._pipeline = spacy.load(self.folder)
        return self._pipeline

    def extract(self, text: str, origin: Provenance | str | None = None) -> Extraction:
        """Return tuples in the order of the text; see :class:`~memory.relational.extract.Extractor`."""
        return self.extract_many([text], [origin])[0]

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[Extraction]:
        """Return the tuples of each text; the texts are parsed in batches."""
        return [tuples for tuples, _ in self.read_many(texts, origins)]

    def read_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> Iterator[tuple[Extraction, list[str]]]:
        """Yield the statements and the names of each text, one text after another."""
        known = [origin_of(origin) for origin in origins or [None] * len(texts)]
        parts = [_parts(text) for text in texts]
        with self._lock:
            docs = annotate(self._loaded(), [part for text in parts for part in text])
            for text, origin in zip(parts, known, strict=True):
                yield self._read(islice(docs, len(text)), origin)

    def _read(self, docs: Iterable["Doc"], origin: Provenance) -> tuple[Extraction, list[str]]:
        """Return the statements and the names of the parts of one text."""
        discourse, names = Discourse(speaker_of(origin), bool(origin.speaker)), []
        statements: dict[object, tuple[Tuple | Ending, bool]] = {}
        for doc in docs:
            repair(doc)
            note_entities(doc)
            names += [entity.text for entity in doc.ents if entity.label_ not in _UNNAMED]
            for sentence in doc.sents:
                for item, past in self._stated(sentence, discourse, origin):
                    key = (item.head, item.relation, item.tail, item.until is None) if isinstance(item, Tuple) else item
                    if isinstance(item, Ending):
                        statements.pop(key, None)  # a later ending may end what was stated in between
                    statements.setdefault(key, (item, past))
                if len(sentence) <= LONGEST:
                    discourse.close(sentence, SentenceReader(sentence, discourse).entities)
        return Extraction(_in_time([*statements.values()])), names

    def _stated(
        self, sentence: "Span", discourse: Discourse, origin: Provenance
    ) -> Iterator[tuple[Tuple | Ending, bool]]:
        """Yield what a sentence states, each with whether it is told in the past tense without a date."""
        words = with_span(origin, written(sentence), 1.0)
        for stated in SentenceReader(sentence, discourse, origin.time, origin.zone).statements():
            if isinstance(stated, Ending):
                tail = None if stated.tail is None else normalise(stated.tail)
                if (head := normalise(stated.head)) and tail != "":
                    yield replace(stated, head=head, tail=tail, provenance=words), False
                continue
            names = canonical(normalise(stated.head), stated.relation, normalise(stated.tail))
            possible = all(0 < len(name) <= MAX_NAME for name in names) and names[0] != names[2]
            possible = possible and is_name(names[0]) and is_name(names[2]) and not measures(names[0])
            conf = min(stated.conf, _UNSURE) if len(sentence) > _LONG and _doubtful(stated) else stated.conf
            if possible and conf >= self.conf_min:
                span = replace(words, conf=min(conf, words.conf))
                yield (
                    Tuple(
                        *names,
                        conf=conf,
                        provenance=span,
                        since=stated.since,
                        until=stated.until,
                        event=stated.event,
                        beside=_beside(stated, names),
                    ),
                    stated.past,
                )


def _beside(stated: Stated, names: tuple[str, str, str]) -> frozenset[str]:
    """Return the tails that a sentence tells together with a statement: owners of one thing, homes of one person."""
    together = stated.heads if stated.relation in INVERSE_OF else stated.tails
    return frozenset(normalise(name) for name in together) - {names[2]} | ({"*"} if stated.more else set())


def _doubtful(stated: Stated) -> bool:
    """Return whether a statement is of a kind that the parse of a long sentence often gets wrong."""
    named = any(letter.isupper() or letter.isdigit() for letter in stated.tail)
    return stated.conf <= REFERRED or (stated.relation.rpartition("_")[2] in _PREPOSITIONS and not named)


_PREPOSITIONS = frozenset("in on at for to by with from until into under after as through against of over".split())


def speaker_of(origin: Provenance) -> str:
    """Return whom "I" refers to: the speaker, else the first person of the document."""
    return origin.speaker or (f"I ({document_of(origin.doc_id)})" if origin.doc_id else "I")


def _in_time(statements: Sequence[tuple[Tuple | Ending, bool]]) -> Iterator[Tuple | Ending]:
    """Yield statements; what a text tells in the past tense is over where it tells otherwise in the present tense."""
    present = {
        (item.head, item.relation)
        for item, past in statements
        if isinstance(item, Tuple) and not past and item.until is None
    }
    for item, past in statements:
        if past and isinstance(item, Tuple) and item.relation in FUNCTIONAL and (item.head, item.relation) in present:
            item = replace(item, since=item.origin.time, until=item.origin.time)
        yield item


_REPEATED = re.compile(r"([!?])\1{3,}")
"""Signs that are repeated more than three times; the parser's tokenizer needs quadratic time for them."""


def _parts(text: str) -> list[str]:
    """Split a text into parts of at most 20,000 characters, between sentences if possible."""
    rest, parts = _REPEATED.sub(r"\1\1\1", " ".join(validate_text(text).split())), []
    while len(rest) > _PART:
        end = rest.rfind(". ", 0, _PART) + 1 or rest.rfind(" ", 0, _PART) + 1 or _PART
        parts.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*parts, rest]


TupleExtractor = RuleExtractor
"""The extractor that is used by default."""
