"""Extraction of tuples by rules over a dependency parse (spaCy's small English model)."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import EmbedderError
from memory.paths import cache_dir
from memory.provenance import Provenance
from memory.relational.clauses import LONGEST, SentenceReader
from memory.relational.coreference import Discourse
from memory.relational.extract import validate_text, with_span
from memory.relational.names import canonical, normalise
from memory.relational.parse import note_entities
from memory.relational.tuples import MAX_NAME, Tuple

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

_PART = 20_000
"""Greatest number of characters that are parsed at once, so that a parse fits in main memory."""

_UNNAMED = {"DATE", "TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL"}
"""Entity labels that do not mark names."""


class RuleExtractor:
    """Extractor of tuples from English prose by rules over its dependency parse, without a language model.

    It extracts plain statements only. Denials, suppositions, questions, orders, wishes and claims of somebody
    are skipped. Pronouns and short names are resolved within the text.

    Args:
        folder: Directory of a spaCy pipeline; by default the one that ``hippo models fetch spacy-en`` makes.
        conf_min: Tuples with less confidence are dropped.

    Raises:
        EmbedderError: The pipeline is missing (raised at the first text).
    """

    name = "rules"

    def __init__(self, folder: Path | None = None, conf_min: float = 0.0) -> None:
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

    def extract(self, text: str, origin: Provenance | str | None = None) -> list[Tuple]:
        """Return tuples in the order of the text; see :class:`~memory.relational.extract.Extractor`."""
        return self.extract_many([text], [origin])[0]

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[list[Tuple]]:
        """Return the tuples of each text; the texts are parsed in batches."""
        return [tuples for tuples, _ in self.read_many(texts, origins)]

    def read_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> Iterator[tuple[list[Tuple], list[str]]]:
        """Yield the tuples and the names of each text, one text after another."""
        origins = origins or [None] * len(texts)
        parts = [_parts(text) for text in texts]
        with self._lock:
            docs = self._loaded().pipe((part for text in parts for part in text), batch_size=32)
            for text, origin in zip(parts, origins, strict=True):
                yield self._read(islice(docs, len(text)), origin)

    def _read(self, docs: Iterable["Doc"], origin: Provenance | str | None) -> tuple[list[Tuple], list[str]]:
        """Return the tuples and the names of the parts of one text."""
        discourse, names = Discourse(), []
        tuples: dict[tuple[str, str, str], Tuple] = {}
        for doc in docs:
            note_entities(doc)
            names += [entity.text for entity in doc.ents if entity.label_ not in _UNNAMED]
            for sentence in doc.sents:
                for item in self._stated(sentence, discourse, origin):
                    tuples.setdefault((item.head, item.relation, item.tail), item)
                if len(sentence) <= LONGEST:
                    discourse.close(sentence, SentenceReader(sentence, discourse).entities)
        return list(tuples.values()), names

    def _stated(self, sentence: "Span", discourse: Discourse, origin: Provenance | str | None) -> Iterator[Tuple]:
        for head, relation, tail, conf in SentenceReader(sentence, discourse).statements():
            names = canonical(normalise(head), relation, normalise(tail))
            fits = all(0 < len(name) <= MAX_NAME for name in names) and names[0] != names[2]
            if fits and conf >= self.conf_min:
                yield Tuple(*names, conf=conf, provenance=with_span(origin, sentence.text.strip(), conf))


def _parts(text: str) -> list[str]:
    """Split a text into parts of at most 20,000 characters, between sentences if possible."""
    rest, parts = " ".join(validate_text(text).split()), []
    while len(rest) > _PART:
        end = rest.rfind(". ", 0, _PART) + 1 or rest.rfind(" ", 0, _PART) + 1 or _PART
        parts.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*parts, rest]
