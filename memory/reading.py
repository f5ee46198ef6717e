"""Reading of text into several stores at once: the passage, the facts in it, and the names that link it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memory import relational
from memory.episodic import EpisodicStore, Event
from memory.errors import InvalidItemError
from memory.mentions import TITLE, MentionIndex
from memory.provenance import Provenance, origin_of
from memory.relational import KG, Tuple
from memory.relational.endings import Ending
from memory.relational.extract import Extraction, Extractor, validate_text
from memory.rows import chunks

BATCH = 64
"""Number of passages that are written in one transaction."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text to be read.

    Attributes:
        text: The text of the passage.
        title: What the passage is about; other passages that name it are linked with this one.
        origin: Who says so; a plain string is the name of the source. An empty ``doc_id`` becomes the title.
        when: When it was said, in words.
        speaker: Whom "I" and "my" refer to; by default the speaker of the origin, or else a person of the document.
    """

    text: str
    title: str = ""
    origin: Provenance | str | None = None
    when: str = ""
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of reading one passage.

    Attributes:
        trace: Id of its trace.
        facts: Ids of the facts that were found in it.
    """

    trace: int
    facts: tuple[int, ...]


class Reader:
    """Reader that writes passages to the episodic memory and their facts to the graph.

    Args:
        episodic: Store for the passages.
        kg: Graph for the facts, each derived from its passage.
        mentions: Index for the names in the passages.
        extractor: Extractor of facts; by default rules over a dependency parse.
        conf_min: Facts with less confidence are dropped (``tuple_conf_min``).
    """

    def __init__(
        self,
        episodic: EpisodicStore,
        kg: KG,
        mentions: MentionIndex,
        extractor: Extractor | None = None,
        conf_min: float = 0.0,
    ) -> None:
        self.episodic = episodic
        self.kg = kg
        self.mentions = mentions
        self._extractor = extractor
        self.conf_min = conf_min

    @property
    def extractor(self) -> Extractor:
        """The extractor; the rules are imported when they are first asked for."""
        if self._extractor is None:
            self._extractor = relational.RuleExtractor()
        return self._extractor

    def read_many(
        self, passages: Sequence[Passage], progress: Callable[[int], object] = lambda _done: None
    ) -> list[Reading]:
        """Read passages, one transaction for each batch; batches before an error stay in the memory.

        Args:
            passages: The passages, in the order in which they were said.
            progress: Called after each batch with the count of passages in it.

        Raises:
            InvalidItemError: A passage is empty or too long; its batch is not written.
            EmbedderError: The parser or the sentence embedder is missing.
        """
        readings: list[Reading] = []
        for batch in chunks(passages, BATCH):
            readings += self._read(batch)
            progress(len(batch))
        return readings

    def _read(self, passages: Sequence[Passage]) -> list[Reading]:
        origins = []
        for passage in passages:
            if not validate_text(passage.text).strip():
                raise InvalidItemError(f"a passage needs words, got an empty text (title {passage.title!r})")
            origin = origin_of(passage.origin)
            speaker = passage.speaker or origin.speaker
            doc_id = origin.doc_id or passage.title
            origins.append(replace(origin, doc_id=doc_id, text_span=passage.text, speaker=speaker))
        texts = [passage.text for passage in passages]
        if isinstance(self.extractor, relational.RuleExtractor):
            pairs = list(self.extractor.read_many(texts, origins))
        else:
            pairs = [(Extraction(tuples), []) for tuples in self.extractor.extract_many(texts, origins)]
        events = [_event(passage, origin) for passage, origin in zip(passages, origins, strict=True)]
        vectors = self.episodic.embedder.embed([event.key for event in events])
        readings = []
        with self.episodic.store.write():
            traces = self.episodic.write_many(events, vectors)
            for passage, trace, (tuples, names) in zip(passages, traces, pairs, strict=True):
                facts = self.kg.upsert(self._statements(tuples, trace))
                weights = dict.fromkeys(names, 1.0)
                if passage.title:
                    weights[passage.title] = TITLE
                self.mentions.add(trace, weights)
                readings.append(Reading(trace, tuple(facts)))
        return readings

    def _statements(self, tuples: Sequence[Tuple], trace: int) -> Extraction:
        """Return what a passage states as derived from its trace, without what is too unsure."""
        statements: list[Tuple | Ending] = []
        for item in tuples.statements if isinstance(tuples, Extraction) else tuples:
            if isinstance(item, Ending):
                statements.append(item.derived_from(("traces", trace)))
            elif item.conf >= self.conf_min:
                statements.append(replace(item, provenance=replace(item.origin, derived_from=(("traces", trace),))))
        return Extraction(statements)


def _event(passage: Passage, origin: Provenance) -> Event:
    key = f"{passage.title}: {passage.text}" if passage.title else passage.text
    return Event(key, {"what": passage.title, "when": passage.when}, origin, tags=("read",))
