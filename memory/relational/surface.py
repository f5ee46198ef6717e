"""Names as they were told: the graph compares names in lower case, and shows them in their surface form."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import networkx as nx

from memory.relational.facts import FactTable
from memory.relational.graph_cache import GraphCache
from memory.relational.language.tense import PLAN_END
from memory.relational.tuples import Fact


@lru_cache(4096)  # every decision asks for all names again
def surface_form(name: str, texts: tuple[str, ...]) -> str:
    """Return a stored name as the first of several texts spells it; the name itself if none does.

    If a text has it more than once, one with a capital inside a sentence is preferred: ``surface_form("will", ("One
    day Will will come",))`` is ``"Will"``.
    """
    spaced = r"\s+".join(map(re.escape, name.split()))
    pattern = re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)
    for text in texts:
        matches = [*pattern.finditer(text)]
        if matches:
            capitals = (m for m in matches if m.group() != m.group().lower() and not _begins(text, m.start()))
            return " ".join(next(capitals, matches[0]).group().split())
    return name


def _begins(text: str, at: int) -> bool:
    """Return whether a sentence begins at a position of a text."""
    return re.search(r"(^|[.!?:])\s*$", text[:at]) is not None


class SurfaceForms:
    """Shows names in the form in which they were told.

    Args:
        facts: The facts, with the sentences in which they were told.
        cache: The facts that hold now.
    """

    def __init__(self, facts: FactTable, cache: GraphCache) -> None:
        self.facts = facts
        self.cache = cache

    def sentences(self, facts: Sequence[Fact]) -> list[str]:
        """Return facts as short sentences, each name as the fact's oldest origin spells it."""
        spans = self.facts.spans([fact.id for fact in facts])
        return [
            f"{surface_form(fact.head, spans.get(fact.id, ()))} {fact.relation.replace('_', ' ')}"
            f" {surface_form(fact.tail, spans.get(fact.id, ()))}{_from(fact)}"
            for fact in facts
        ]

    def entities(self, names: Sequence[str]) -> list[str]:
        """Return names of entities of facts that hold now, as the first fact of each was told."""
        graph = self.cache.graph
        first = {name: next((edge[2] for edge in _edges(graph, name)), 0) for name in names}
        spans = self.facts.spans(first.values())
        return [surface_form(name, spans.get(fact_id, ())) for name, fact_id in first.items()]


def _from(fact: Fact) -> str:
    """Return from which day on a plan holds, in words; nothing for other facts."""
    if fact.valid_to != PLAN_END:
        return ""
    return f" from {datetime.fromtimestamp(fact.valid_from, UTC):%Y-%m-%d}"


def _edges(graph: "nx.MultiDiGraph[str]", name: str) -> Iterator[tuple[str, str, int]]:
    yield from graph.out_edges(name, keys=True)
    yield from graph.in_edges(name, keys=True)
