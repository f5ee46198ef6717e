"""Reading of facts by the language model: an adapter trained to say what holds, held, is planned, and is over."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.chat import Chat, Message
from agent.models.base import Model, Turn
from memory import Provenance
from memory.provenance import origin_of
from memory.relational import RuleExtractor, Tuple
from memory.relational.endings import Ending, ends
from memory.relational.extract import Extraction, validate_text, with_span
from memory.relational.names import SAME_AS, canonical, normalise, relation_name
from tools import ToolCall, ToolSpec

ADAPTER = "hippo-reader"
"""The adapter that reads, which comes with the package."""

MISSION = "State what the message says: now (holds), was (held before), will (is planned), over (holds no longer)."
WHEN = ("now", "was", "will", "over")
CONF = 0.7
"""Confidence of what the model reads: 7 of 10 facts are right (docs/results/reports.md)."""

_SENTENCES, _LONGEST, _MOST = 3, 400, 8
_END = re.compile(r"(?<=[.!?])\s+")
_EXAMPLES: tuple[tuple[str, list[tuple[str, str, str, str]]], ...] = (
    ("Nora lives in Oslo.", [("now", "Nora", "lives_in", "Oslo")]),
    ("Is the door open?", []),
    ("Hans sold the boat.", [("over", "Hans", "has", "boat")]),
)
_TEXT = {"type": "string", "minLength": 1, "maxLength": 60}
_FACT = {
    "type": "object",
    "properties": {
        "is": {"type": "string", "enum": [*WHEN]},
        "head": _TEXT,
        "relation": {**_TEXT, "maxLength": 32},
        "tail": _TEXT,
    },
    "required": ["is", "head", "relation", "tail"],
    "additionalProperties": False,
}
SPEC = ToolSpec(
    "state",
    "State facts.",
    {
        "type": "object",
        "properties": {"facts": {"type": "array", "items": _FACT, "maxItems": _MOST}},
        "required": ["facts"],
        "additionalProperties": False,
    },
)
"""The one tool of a message: the facts that it states."""


def message(text: str, speaker: str = "") -> Message:
    """Return a text as the model reads it, with the name of who speaks before it."""
    return Message("user", f"{speaker}: {text}" if speaker else text)


def statement(facts: Iterable[Mapping[str, str]]) -> Message:
    """Return the call that states facts, each with the keys ``is``, ``head``, ``relation`` and ``tail``."""
    listed = [{key: fact[key] for key in ("is", "head", "relation", "tail")} for fact in facts]
    call = ToolCall(name=SPEC.name, arguments={"facts": listed})
    return Message("assistant", call.text(), call)


class ModelExtractor:
    """Extractor of facts from English messages with a language model.

    It reads up to three sentences at once, so that pronouns find their names. Facts with words that the text does not
    have are dropped.

    Args:
        model: The model that decides under the grammar; by default the 135 M model with the adapter ``hippo-reader``.
            Another model is shown three examples first.
        batch: Number of texts that are decided at once.
    """

    name = "lm"

    def __init__(self, model: Model | None = None, batch: int = 8) -> None:
        self.examples = _EXAMPLES if model is not None else ()
        if model is None:
            from agent.models.local import LocalModel, LocalModelConfig

            model = LocalModel(LocalModelConfig(adapter=ADAPTER, max_call_tokens=320))
        self.model = model
        self.batch = batch

    def extract(self, text: str, origin: Provenance | str | None = None) -> Extraction:
        """Return the statements in the order of the text; see :class:`~memory.relational.extract.Extractor`."""
        return self.extract_many([text], [origin])[0]

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[Extraction]:
        """Return the statements of each text; the texts are read in batches."""
        known = [origin_of(origin) for origin in origins or [None] * len(texts)]
        parts = [(at, part) for at, text in enumerate(texts) for part in _parts(validate_text(text))]
        read: list[list[Tuple | Ending]] = [[] for _ in texts]
        for start in range(0, len(parts), self.batch):
            several = parts[start : start + self.batch]
            turns = [self._turn(part, known[at].speaker) for at, part in several]
            for turn, (at, part), decision in zip(turns, several, self.model.decide(turns), strict=True):
                self.model.release(turn.chat)
                read[at] += _statements(decision.text, part, known[at])
        return [Extraction(dict.fromkeys(statements)) for statements in read]

    def _turn(self, text: str, speaker: str) -> Turn:
        chat = Chat(MISSION, [SPEC])
        for example, facts in self.examples:
            chat.add(message(example))
            chat.add(statement(dict(zip(("is", "head", "relation", "tail"), fact, strict=True)) for fact in facts))
        chat.add(message(text, speaker))
        return Turn(chat, [SPEC])


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts of at most three sentences and 400 characters, where sentences allow it."""
    part: list[str] = []
    for sentence in _END.split(text.strip()):
        if part and (len(part) == _SENTENCES or len(" ".join([*part, sentence])) > _LONGEST):
            yield " ".join(part)
            part = []
        part.append(sentence)
    if any(part):
        yield " ".join(part)


def _statements(answer: str, text: str, origin: Provenance) -> Iterator[Tuple | Ending]:
    """Yield what an answer states about a text, as far as its words are the text's."""
    try:
        facts: list[dict[str, Any]] = ToolCall.parse(answer).arguments["facts"]
    except (ValueError, KeyError):
        return  # the answer was cut off: it is not a whole call
    seen = _words(f"{origin.speaker} {text}")
    source = with_span(origin, text, CONF)
    for fact in facts:
        if not all(isinstance(fact.get(key), str) for key in ("is", "head", "relation", "tail")):
            continue  # from a model without a grammar
        head, relation, tail = normalise(fact["head"]), relation_name(fact["relation"]), normalise(fact["tail"])
        if not (head and relation and tail) or head == tail or not _words(f"{head} {tail}") <= seen:
            continue
        names = canonical(head, relation, tail)
        if fact["is"] == "over":
            owned = "owned_by" if relation in ("owns", "possesses") else SAME_AS.get(relation, relation)
            yield Ending(head, ends(owned), tail, None, source)
        elif fact["is"] == "now":
            yield Tuple(*names, conf=CONF, provenance=source)
        elif fact["is"] == "was":
            yield replace(Tuple(*names, conf=CONF, provenance=source), since=origin.time, until=origin.time)


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W_]+", text)} | {"s"}


class JointExtractor:
    """Extractor that lets both the rules and the language model read; each finds what the other misses.

    Where both name the same pair of entities, the rules' statement is kept: its relation is the graph's word, and it
    has dates.

    Args:
        rules: Extractor by rules.
        reader: Extractor with a language model.
    """

    name = "both"

    def __init__(self, rules: RuleExtractor | None = None, reader: ModelExtractor | None = None) -> None:
        self.rules = rules or RuleExtractor()
        self.reader = reader or ModelExtractor()

    def extract(self, text: str, origin: Provenance | str | None = None) -> Extraction:
        """Return the statements of both; see :class:`~memory.relational.extract.Extractor`."""
        return self.extract_many([text], [origin])[0]

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[Extraction]:
        """Return the statements of both about each text."""
        pairs = zip(self.rules.extract_many(texts, origins), self.reader.extract_many(texts, origins), strict=True)
        return [_joined(ruled, read) for ruled, read in pairs]


def _joined(ruled: Extraction, read: Extraction) -> Extraction:
    """Return what the model reads of other pairs of entities, then what the rules read."""
    known = {frozenset((item.head, item.tail)) for item in ruled.statements if isinstance(item, Tuple)}
    more = [
        item for item in read.statements if isinstance(item, Ending) or frozenset((item.head, item.tail)) not in known
    ]
    return Extraction([*more, *ruled.statements])
