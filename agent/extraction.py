"""Extraction of tuples by the loop's language model, under a grammar that allows only names from the sentence."""

import re
from collections.abc import Sequence

from agent.chat import Chat, Message
from agent.models.base import Model, Turn
from memory import Provenance
from memory.relational import Tuple
from memory.relational.extract import validate_text, with_span
from memory.relational.names import canonical, normalise, relation_name
from tools import ToolCall, ToolSpec

_MISSION = "State the facts that each sentence says are so, and nothing else: not what is denied, asked or supposed."
_CONF = 0.6
_LONGEST = 6
_MOST = 4
_EXAMPLES: tuple[tuple[str, list[tuple[str, str, str]]], ...] = (
    ("Nora lives in Oslo.", [("Nora", "lives in", "Oslo")]),
    ("The door is not open.", []),
    ("The bridge was built by Hans, a mason.", [("Hans", "builds", "bridge"), ("Hans", "is a", "mason")]),
)


def _spec(spans: Sequence[str]) -> ToolSpec:
    """Return the one tool of a sentence: a list of facts whose heads and tails are runs of the sentence's words."""
    end = {"type": "string", "enum": list(spans)}
    fact = {
        "type": "object",
        "properties": {"head": end, "relation": {"type": "string", "minLength": 1, "maxLength": 24}, "tail": end},
        "required": ["head", "relation", "tail"],
        "additionalProperties": False,
    }
    facts = {"type": "array", "items": fact, "maxItems": _MOST}
    parameters = {
        "type": "object",
        "properties": {"facts": facts},
        "required": ["facts"],
        "additionalProperties": False,
    }
    return ToolSpec("state", "State facts.", parameters)


def _spans(sentence: str) -> list[str]:
    words = re.findall(r"[\w'’-]+(?:[.,][\w'’-]+)*", sentence)
    runs = [" ".join(words[i : i + size]) for size in range(1, _LONGEST + 1) for i in range(len(words) - size + 1)]
    return list(dict.fromkeys(runs))


def _call(facts: Sequence[tuple[str, str, str]]) -> Message:
    listed = [dict(zip(("head", "relation", "tail"), fact, strict=True)) for fact in facts]
    call = ToolCall(name="state", arguments={"facts": listed})
    return Message("assistant", call.text(), call)


class ModelExtractor:
    """Extractor of tuples from English sentences with a language model; it reads each sentence by itself.

    Args:
        model: The model that decides under the grammar; by default the 135 M model.
        batch: Number of sentences that are decided at once.
    """

    name = "lm"

    def __init__(self, model: Model | None = None, batch: int = 8) -> None:
        if model is None:
            from agent.models.local import LocalModel, LocalModelConfig

            model = LocalModel(LocalModelConfig())
        self.model = model
        self.batch = batch

    def extract(self, text: str, origin: Provenance | str | None = None) -> list[Tuple]:
        """Return the tuples in the order of the text; those whose head and tail are the same are dropped."""
        sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", validate_text(text)) if _spans(s)]
        tuples = []
        for start in range(0, len(sentences), self.batch):
            part = sentences[start : start + self.batch]
            turns = [self._turn(sentence) for sentence in part]
            decisions = self.model.decide(turns)
            for turn, sentence, decision in zip(turns, part, decisions, strict=True):
                self.model.release(turn.chat)
                tuples += _read(decision.text, sentence, origin)
        return list({(item.head, item.relation, item.tail): item for item in tuples}.values())

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[list[Tuple]]:
        """Return the tuples of each text."""
        return [self.extract(text, origin) for text, origin in zip(texts, origins or [None] * len(texts), strict=True)]

    def _turn(self, sentence: str) -> Turn:
        spec = _spec(_spans(sentence)[:400])
        chat = Chat(_MISSION, [spec])
        for number, (example, facts) in enumerate(_EXAMPLES):
            chat.add(Message("tool" if number else "user", example))
            chat.add(_call(facts))
        chat.add(Message("tool", sentence))
        return Turn(chat, [spec])


def _read(text: str, sentence: str, origin: Provenance | str | None) -> list[Tuple]:
    try:
        facts = ToolCall.parse(text).arguments["facts"]
    except (ValueError, KeyError):
        return []  # the answer was cut off: it is not a whole call
    tuples = []
    for fact in facts:
        names = canonical(normalise(fact["head"]), relation_name(fact["relation"]), normalise(fact["tail"]))
        if all(names) and names[0] != names[2]:
            tuples.append(Tuple(*names, conf=_CONF, provenance=with_span(origin, sentence, _CONF)))
    return tuples
