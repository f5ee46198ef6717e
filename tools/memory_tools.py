"""The memories as tools: few verbs, short names, short answers."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from memory import InvalidItemError, Memory, Provenance
from memory.episodic import Recall, WriteGate
from memory.relational import Fact, Tuple
from memory.relational.names import canonical, normalise, relation_name
from memory.spatial import place_number
from tools.context import ToolContext
from tools.decorator import tool
from tools.errors import UnknownToolError
from tools.spatial_tools import SpatialTools
from tools.tool import MAX_CHOICES, Tool
from tools.toolbox import tools_of, unknown
from tools.types import ToolCall, ToolResult

MAX_CUE = 500
MAX_NOTE = 4000
"""Longest text of one note: a paragraph or a page. What a local model itself writes is shorter."""

Cue = Annotated[str, Field(min_length=1, max_length=MAX_CUE)]
SEEN_AT = "seen_at"
MAX_FACTS = 8
_SMALL = (
    "a an and are at by did do does for from has have in is it of on or that the this to was were what when where "
    "which who with"
)
EMPTY_WORDS = frozenset(_SMALL.split())
_NOTE = re.compile(r" \(without: [^)]*\)$", re.MULTILINE)
Name = Annotated[str, Field(min_length=1, max_length=24)]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _without(cue: str, text: str) -> str:
    """Return the words of a cue that a text lacks, as a note in brackets.

    Small models are bad at comparing texts, but read such a note well.
    """
    known_words = {*_words(text)} | EMPTY_WORDS
    cue_words = (word.removesuffix("'s") for word in re.findall(r"\w+(?:'\w+)?", cue))
    missing = dict.fromkeys(word for word in cue_words if not {*_words(word)} <= known_words)
    return f" (without: {' '.join(missing)})" if missing else ""


class MemoryTools(SpatialTools):
    """The tools of one :class:`~memory.Memory`.

    Args:
        memory: The memory.
        source: Source in the provenance of what the model itself writes.
        k: How many traces or facts an answer holds at most.
        gate: Scores what the model pins with ``remember``.
    """

    def __init__(self, memory: Memory, source: str = "agent", k: int = 3, gate: WriteGate | None = None) -> None:
        super().__init__(memory, k)
        self.source = source
        self.gate = gate or WriteGate()
        self._epoch = ""
        self._recalled: dict[int, list[str]] = {}

    def update(self, context: ToolContext) -> None:
        """Set what the tools may know of the moment; in a new episode, forget what was recalled in the last."""
        if context.episode != self.context.episode or not context.step:
            self._recalled.clear()
        super().update(context)

    def to_embed(self, call: ToolCall) -> list[str]:
        """Return the texts that a call will have embedded."""
        given = call.arguments.get({"recall": "cue", "remember": "text"}.get(call.name, ""))
        return [given] if isinstance(given, str) else []

    def _entities(self) -> list[str]:
        names = [name for name in self.memory.relational.entities() if place_number(name) is None]
        return self.memory.relational.surface_forms(names) if len(names) <= MAX_CHOICES else names

    def _origin(self, words: str, parents: Sequence[int] = ()) -> Provenance:
        derived = tuple(("traces", trace) for trace in parents)
        return Provenance(self.source, doc_id=self.context.episode, text_span=words, derived_from=derived)

    def _holding(self, text: str) -> list[int]:
        """Return the traces recalled in this episode that hold every word of ``text`` and still exist."""
        if not _words(text):
            return []
        if self._epoch != self.memory.store.epoch:  # a restored memory may give the same ids to other traces
            self._recalled.clear()
        holding = [trace for trace, words in self._recalled.items() if {*_words(text)} <= {*words}]
        return self.memory.episodic.existing(holding)

    def hits(self, cue: str) -> list[Recall]:
        """Return the traces that answer a cue."""
        return self.memory.episodic.answers(cue, self.k)

    def facts(self, entity: str) -> list[Fact]:
        """Return facts about an entity: those with it as head first, plans and where things were seen last."""
        facts = self.memory.relational.ask(entity, 8 * MAX_FACTS) + self.memory.relational.planned(entity, MAX_FACTS)
        names = {normalise(entity), *self.memory.relational.seeds(entity)}
        return sorted(facts, key=lambda fact: (fact.relation == SEEN_AT, fact.head not in names))[:MAX_FACTS]

    @tool
    def recall(self, cue: Cue) -> ToolResult:
        """Search what happened before."""
        hits = self.hits(cue)
        if not hits:
            known = len(self.memory.episodic)
            return ToolResult.ok("nothing remembered about that" if known else "nothing remembered yet", [])
        lines = []
        for hit in hits:
            slots = hit.trace.entity_slots
            where = f" at {slots['where']}" if slots["where"] else ""
            moment = f"{slots['when']}{where}".strip()
            line = f"[{moment}] {hit.trace.key}" if moment else hit.trace.key
            about = " ".join(filter(str.isalpha, re.findall(r"\w+", f"{slots['when']} {slots['where']}")))
            lines.append(line + _without(cue, f"{about} {hit.trace.key}"))  # step numbers are not asked for
            self._epoch = self.memory.store.epoch
            self._recalled[hit.trace.id] = _words(line)
        return ToolResult.ok("\n".join(lines), [[hit.trace.id, round(hit.score, 4)] for hit in hits])

    @tool
    def remember(self, text: Annotated[str, Field(min_length=1, max_length=MAX_NOTE)]) -> ToolResult:
        """Write down something for later."""
        text = _NOTE.sub("", text)
        if not text.strip():
            return ToolResult.invalid("remember(text: string) expected; text: it is blank")
        # What was recalled is never written again: the memory would fill up with its own contents.
        phrase = f" {' '.join(_words(text))} "
        echo = next((trace for trace in self._holding(text) if phrase in f" {' '.join(self._recalled[trace])} "), None)
        if echo is not None:
            return ToolResult.failed(f"that is trace {echo}, remembered already")
        score = self.gate.score(novelty=self.memory.episodic.novelty(text), pin=True)
        if not self.gate.opens(score):
            return ToolResult.failed(f"the write gate stayed shut (S {score:.2f})")
        trace_id = self.memory.episodic.write(
            text,
            {"who": self.source, "when": self.context.when},
            origin=self._origin(text),
            tags=("pin",),
            salience=score,
            pinned=True,
        )
        return ToolResult.ok("noted", {"trace": trace_id})

    @tool(choices={"entity": _entities}, extractive=["entity"])
    def ask_graph(self, entity: Cue) -> ToolResult:
        """Facts known about a thing or person."""
        facts = self.facts(entity)
        if not facts:
            return ToolResult.ok(f"nothing known about {entity}", [])
        return ToolResult.ok("; ".join(self.memory.relational.sentences(facts)), [fact.id for fact in facts])

    @tool(extractive=["head", "tail"])
    def tell(self, head: Name, relation: Name, tail: Name) -> ToolResult:
        """Add a fact to the graph."""
        parents = self._holding(f"{head} {tail}")  # told after recalling these: the fact is forgotten with them
        names = canonical(normalise(head), relation_name(relation), normalise(tail))
        try:
            ids = self.memory.relational.upsert(
                [Tuple(*names, provenance=self._origin(f"{head} {relation} {tail}", parents))]
            )
        except InvalidItemError as error:
            return ToolResult.invalid(str(error))
        return ToolResult.ok("noted", {"facts": ids})

    def select(self, names: list[str] | None = None) -> list[Tool]:
        """Return the tools of these names, or all tools.

        Raises:
            UnknownToolError: A name is not that of a memory tool.
        """
        ordered = sorted(
            tools_of(self), key=lambda item: not hasattr(MemoryTools, item.name) or item.name in vars(SpatialTools)
        )
        own = {item.name: item for item in ordered}
        for name in names or ():
            if not isinstance(name, str):
                raise UnknownToolError(
                    f"expected names of memory tools, got {name!r}: give tools of your own as plugins="
                )
            if name not in own:
                raise UnknownToolError(unknown("memory tool", name, own))
        return [own[name] for name in (own if names is None else names)]
