"""Answers of the graph: facts with their sources, and the subgraph that they form."""

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
        score: The value it is ranked by; only comparable within one answer.
        path: The facts that lead from an entity of the question to this one, in order; empty if the question
            names its head or tail.
        sources: Its origins, with the words.
    """

    fact: Fact
    score: float
    path: tuple[Fact, ...]
    sources: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The part of the graph that a question is about.

    Attributes:
        seeds: Entities that the question names, or those most similar to it if it names none.
        facts: The facts, best first.
        entities: For each name in the facts that is not its entity's name, the entity that it stands for.
    """

    seeds: tuple[str, ...]
    facts: tuple[FoundFact, ...]
    entities: Mapping[str, str] = field(default_factory=dict)

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The facts and the facts on the paths to them, as a separate graph."""
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for item in self.facts:
            for fact in (*item.path, item.fact):
                head, tail = (self.entities.get(name, name) for name in (fact.head, fact.tail))
                graph.add_edge(head, tail, fact.id, relation=fact.relation, strength=fact.strength)
        return graph
