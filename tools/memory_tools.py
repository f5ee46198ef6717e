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
from tools.errors import UnknownToolError
from tools.spatial_tools import SpatialTools
from tools.tool import MAX_CHOICES, Tool, tool
from tools.toolbox import tools_of, unknown
from tools.types import ToolResult

Cue = Annotated[str, Field(min_length=1, max_length=60)]
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
    """Words of a cue that a text does not hold, in brackets; small models compare badly, and read well."""
    held = {*_words(text)} | EMPTY_WORDS
    said = (word.removesuffix("'s") for word in re.findall(r"\w+(?:'\w+)?", cue))
    missing = dict.fromkeys(word for word in said if not {*_words(word)} <= held)
    return f" (without: {' '.join(missing)})" if missing else ""


class MemoryTools(SpatialTools):
    """The tools over one :class:`~memory.Memory`.

    Args:
        memory: The memory.
        source: Named as the source of what the model itself writes.
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
        """Take over what tools may know of the moment; a new episode forgets what was recalled in the last."""
        if context.episode != self.context.episode or not context.step:
            self._recalled.clear()
        super().update(context)

    def _entities(self) -> list[str]:
        names = [name for name in self.memory.relational.entities() if place_number(name) is None]
        return self.memory.relational.surface_forms(names) if len(names) <= MAX_CHOICES else names

    def _origin(self, words: str, parents: Sequence[int] = ()) -> Provenance:
        derived = tuple(("traces", trace) for trace in parents)
        return Provenance(self.source, doc_id=self.context.episode, text_span=words, derived_from=derived)

    def _holding(self, text: str) -> list[int]:
        """Traces recalled in this episode that hold every word of ``text`` and are still there."""
        if not _words(text):
            return []
        if self._epoch != self.memory.store.epoch:  # a restored memory may give the same ids to other traces
            self._recalled.clear()
        holding = [trace for trace, words in self._recalled.items() if {*_words(text)} <= {*words}]
        return self.memory.episodic.existing(holding)

    def hits(self, cue: str) -> list[Recall]:
        """Traces that answer a cue."""
        return self.memory.episodic.recall(cue, self.k)

    def facts(self, entity: str) -> list[Fact]:
        """Facts about an entity, its own first."""
        found = self.memory.relational.ask(entity, 8 * MAX_FACTS)
        names = {normalise(entity), *self.memory.relational.seeds(entity)}
        return sorted(found, key=lambda fact: (fact.relation == SEEN_AT, fact.head not in names))[:MAX_FACTS]

    @tool
    def recall(self, cue: Cue) -> ToolResult:
        """Search what happened before."""
        hits = self.hits(cue)
        if not hits:
            return ToolResult.ok("nothing remembered yet", [])
        lines = []
        for hit in hits:
            slots = hit.trace.entity_slots
            where = f" at {slots['where']}" if slots["where"] else ""
            line = f"[{slots['when']}{where}] {hit.trace.key}"
            about = " ".join(filter(str.isalpha, re.findall(r"\w+", f"{slots['when']} {slots['where']}")))
            lines.append(line + _without(cue, f"{about} {hit.trace.key}"))  # numbers of steps are not what is asked for
            self._epoch = self.memory.store.epoch
            self._recalled[hit.trace.id] = _words(line)
        return ToolResult.ok("\n".join(lines), [[hit.trace.id, round(hit.score, 4)] for hit in hits])

    @tool
    def remember(self, text: Annotated[str, Field(min_length=1, max_length=80)]) -> ToolResult:
        """Write down something for later."""
        text = _NOTE.sub("", text)
        if not text.strip():
            return ToolResult.invalid("remember(text: string) expected; text: it is blank")
        # What was recalled is never written again, or memory would feed on itself.
        said = f" {' '.join(_words(text))} "
        echo = next((trace for trace in self._holding(text) if said in f" {' '.join(self._recalled[trace])} "), None)
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
        parents = self._holding(f"{head} {tail}")  # said after recalling them: forgotten with them
        names = canonical(normalise(head), relation_name(relation), normalise(tail))
        try:
            ids = self.memory.relational.upsert([Tuple(*names, self._origin(f"{head} {relation} {tail}", parents))])
        except InvalidItemError as error:
            return ToolResult.invalid(str(error))
        return ToolResult.ok("noted", {"facts": ids})

    def select(self, names: list[str] | None = None) -> list[Tool]:
        """The tools of these names, or all.

        Raises:
            UnknownToolError: A name that is none of them.
        """
        found = sorted(
            tools_of(self), key=lambda item: not hasattr(MemoryTools, item.name) or item.name in vars(SpatialTools)
        )
        own = {item.name: item for item in found}
        for name in names or ():
            if name not in own:
                raise UnknownToolError(unknown("memory tool", name, own))
        return [own[name] for name in (own if names is None else names)]
