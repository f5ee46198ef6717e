"""What the graph answers with: facts with their sources, and the part of the graph that they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import networkx as nx

from memory.provenance import Provenance
from memory.relational.tuples import Fact


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A fact that may answer a question.

    Attributes:
        fact: The fact.
        score: What it is ranked by; comparable within one answer only.
        path: The facts that lead from what the question names to this one, in order; empty if it names one end.
        sources: Who said it, with the words.
    """

    fact: Fact
    score: float
    path: tuple[Fact, ...]
    sources: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The part of the graph that a question is about.

    Attributes:
        seeds: Entities that the question names, or those most like it where it names none.
        facts: Best first.
        entities: The entity that a name in the facts stands for, where that is another name.
    """

    seeds: tuple[str, ...]
    facts: tuple[FoundFact, ...]
    entities: Mapping[str, str] = field(default_factory=dict)

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The facts and those on the paths to them, as a graph of their own."""
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for item in self.facts:
            for fact in (*item.path, item.fact):
                head, tail = (self.entities.get(name, name) for name in (fact.head, fact.tail))
                graph.add_edge(head, tail, fact.id, relation=fact.relation, strength=fact.strength)
        return graph
