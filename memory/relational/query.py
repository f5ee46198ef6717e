"""Answers from the graph: facts by name, and the part of the graph that a question is about."""

import heapq
import math
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice, pairwise
from typing import Any

import networkx as nx
import numpy as np
import regex
from numpy.typing import NDArray

from memory import provenance
from memory.embedding import Embedder
from memory.errors import InvalidItemError
from memory.relational.aliases import Aliases
from memory.relational.extract import validate_text
from memory.relational.facts import FactTable
from memory.relational.graph_cache import GraphCache
from memory.relational.name_vectors import NameVectors, NewVectors
from memory.relational.names import MAX_NAME_WORDS, normalise, spelling
from memory.relational.pagerank import Reached, personalized_pagerank
from memory.relational.schema import SchemaIndex
from memory.relational.subgraph import FoundFact, Subgraph
from memory.relational.tuples import Fact
from memory.scripts import UNSPACED
from memory.stems import stems
from memory.store import Store

Vectors = NDArray[np.float32]

_WORDS = regex.compile(r"[\w\p{M}\u200c\u200d,.'’&/+#$!@*·・་׳״-]+")
_LONGEST_INSIDE = 16
"""Greatest number of characters of a name that is looked for inside a text without spaces."""

_HUB = 1000
"""Most edges of a named node that are looked at: of a node with more, the first ones."""

_FURTHER = 64
"""The same for a node that is not named."""

_LEAST, _MOST = 1e-3, 300
"""Residual mass below which the walk does not follow a node, and how many nodes it follows."""

_SCORED = 64
"""Facts near the seeds whose words are compared with the question."""

_UNCONSOLIDATED = 0.25
"""Weight of a fact that is not consolidated yet."""

_LIKE_MIN = 0.35
"""Least cosine of a question with the name of an entity that it does not name."""


def validate_question(question: str, k: int) -> None:
    """Raise if something can't be asked.

    Raises:
        InvalidItemError: No text or an empty one, or no ``k`` of at least 1.
    """
    if not isinstance(question, str) or not isinstance(k, int):
        raise InvalidItemError(f"expected a text and a whole number, got {question!r} and {k!r}")
    validate_text(question)
    if not question.strip():
        raise InvalidItemError("expected an entity or a question, got an empty text")
    if k < 1:
        raise InvalidItemError(f"k must be at least 1, got {k}")


class GraphQuery:
    """Finds facts for a question. Callers hold a read transaction, so that it sees one state of the graph.

    Args:
        store: The database.
        cache: The facts that hold now.
        aliases: Several names of one entity.
        schemas: Say which facts are consolidated.
        embedder: Turns names and facts into vectors.
    """

    def __init__(
        self, store: Store, cache: GraphCache, aliases: Aliases, schemas: SchemaIndex, embedder: Embedder
    ) -> None:
        self.store = store
        self.cache = cache
        self.aliases = aliases
        self.schemas = schemas
        self.facts = FactTable(store)
        self.vectors = NameVectors(store, cache, embedder)

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The facts that hold now."""
        self.cache.sync()
        return self.cache.graph

    def respelled(self, name: str) -> str | None:
        """Return the entity that is spelled like ``name``, or else the only one that is so but for accents."""
        graph = self.graph
        known = self.cache.spellings.get(spelling(name))
        entity = self.aliases.entity(known) if known else None
        return entity if entity in graph else self.cache.suggested(name)

    def seeds(self, question: str, past: bool = False) -> set[str]:
        """Return the entities that a question names: whole words, the longest name where names overlap.

        Args:
            question: Any text.
            past: Whether names in ended facts count too.
        """
        named = self._named(question, past)
        return named.union(*(self.cache.namesakes(name) for name in named))

    def _named(self, question: str, past: bool) -> set[str]:
        text = normalise(question)
        if (whole := self._known(text, past)) is not None:
            return {whole}
        seeds = set()
        words = _WORDS.findall(text)
        for size in range(min(len(words), MAX_NAME_WORDS), 0, -1):
            for start in range(len(words) - size + 1):
                phrase = " ".join(words[start : start + size])
                bare = phrase.strip(",.!*")
                spellings = (phrase, phrase.rstrip(",!*"), bare, re.sub(r"['’]s$", "", bare))
                name = next((entity for words_ in spellings if (entity := self._known(words_, past)) is not None), None)
                if name is not None:
                    seeds.add(name)
                    words[start : start + size] = ["\0"] * size
        return seeds | {name for word in words for name in self._inside(word, past)}

    def _inside(self, word: str, past: bool) -> Iterator[str]:
        """Yield the entities named inside a run of letters of a script that writes no spaces, the longest first."""
        for run in UNSPACED.findall(word):
            start = 0
            while start < len(run):
                ends = range(min(len(run), start + _LONGEST_INSIDE), start + 1, -1)
                known = ((end, name) for end in ends if (name := self._known(run[start:end], past)) is not None)
                end, found = next(known, (start + 1, None))
                if found is not None:
                    yield found
                start = end

    def _known(self, name: str, past: bool) -> str | None:
        """Return the entity that a name stands for, if a fact names it."""
        entity = self.aliases.entity(name)
        if entity in self.graph or (past and self.facts.names_entity(name)):
            return entity
        return self.respelled(name)

    def ask(self, question: str, k: int) -> list[Fact]:
        """Return facts about the entities that a question names: their own first, then those one hop away."""
        graph, consolidated = self.graph, self.schemas.routing.consolidated
        named = self.seeds(question)
        ranked: dict[int, tuple[int, bool, int, int]] = {}
        for hop, nodes in enumerate((named, {n for s in named for n in nx.all_neighbors(graph, s)})):
            for node in nodes:
                for _, _, fact_id, data in _edges(graph, node):
                    waits = not consolidated(data["fit"], data["strength"])
                    ranked.setdefault(fact_id, (hop, waits, -data["strength"], -fact_id))
            if len(ranked) >= k:
                break
        return self.facts.get_many(heapq.nsmallest(k, ranked, key=lambda fact_id: ranked[fact_id]))

    def ask_past(self, question: str, k: int, at: float) -> list[Fact]:
        """Return facts about the entities that a question names which held at a time, in seconds since the epoch."""
        names = [name for seed in self.seeds(question, past=True) for name in self.aliases.names(seed)]
        return self.facts.holding_at(names, at, k)

    def planned(self, question: str, k: int) -> list[Fact]:
        """Return the plans about the entities that a question names, those that come first before others."""
        names = [name for seed in self.seeds(question, past=True) for name in self.aliases.names(seed)]
        return self.facts.plans_of(names, k)

    def retrieve(self, question: str, query: Vectors, k: int, new: NewVectors) -> Subgraph:
        """Return the ``k`` facts nearest to what a question names and most like what it says.

        Args:
            question: The question.
            query: Its embedding, float32 ``[dim]``.
            k: How many.
            new: Receives the vectors that had to be made, for :meth:`NameVectors.keep`.
        """
        graph = self.graph
        named = {entity: 1.0 / math.log2(2 + graph.degree(entity)) for entity in self.seeds(question)}
        named = named or self._alike(query, new)
        walk = personalized_pagerank(
            named, lambda node: self._neighbours(graph, node, node in named), least=_LEAST, most=_MOST
        )
        nearest = heapq.nlargest(_SCORED, _candidates(graph, walk, named), key=lambda pair: (pair[1], -pair[0]))
        facts = {fact.id: fact for fact in self.facts.get_many([fact_id for fact_id, _ in nearest])}
        likeness = self._likeness(list(facts.values()), query, question, new)
        scored = []
        for fact_id, near in nearest:
            fact = facts.get(fact_id)
            if fact is not None:
                scored.append((near * (0.1 + likeness[fact_id]) * self._weight(graph, fact), fact))
        scored.sort(key=lambda pair: (-pair[0], pair[1].id))
        sources = provenance.of_many(self.store.db, "facts", [fact.id for _, fact in scored[:k]])
        best = [
            FoundFact(fact, float(score), self._path_to(walk, fact), sources.get(fact.id, ()))
            for score, fact in scored[:k]
        ]
        names = {name for item in best for fact in (*item.path, item.fact) for name in (fact.head, fact.tail)}
        entities = {name: entity for name in names if (entity := self.aliases.entity(name)) != name}
        return Subgraph(tuple(sorted(named, key=lambda entity: (-named[entity], entity))), tuple(best), entities)

    def _weight(self, graph: "nx.MultiDiGraph[str]", fact: Fact) -> float:
        """Return the weight of a fact: less while it is not consolidated."""
        data = graph.edges[self.aliases.entity(fact.head), self.aliases.entity(fact.tail), fact.id]
        return 1.0 if self.schemas.routing.consolidated(data["fit"], data["strength"]) else _UNCONSOLIDATED

    def path(self, start: str, end: str) -> list[Fact]:
        """Return the fewest facts that lead from one entity to another, in order; none where no path leads there."""
        try:
            nodes = nx.bidirectional_shortest_path(self.graph.to_undirected(as_view=True), start, end)
        except nx.NetworkXNoPath:
            return []
        return self.facts.get_many([self._joining(*pair) for pair in pairwise(nodes)])

    def _joining(self, one: str, other: str) -> int:
        """Return the strongest fact between two neighbours."""
        edges: list[tuple[Any, Any]] = []
        for pair in ((one, other), (other, one)):
            edges += (self.graph.get_edge_data(*pair) or {}).items()
        return max(edges, key=lambda edge: (edge[1]["strength"], -edge[0]))[0]  # type: ignore[no-any-return]

    def _neighbours(self, graph: "nx.MultiDiGraph[str]", node: str, named: bool) -> Iterator[tuple[str, float]]:
        """Yield the neighbours of a node, weighted by strength; less if a neighbour is joined with everything."""
        consolidated, succ, pred = self.schemas.routing.consolidated, graph.succ, graph.pred
        for near in (succ[node], pred[node]):
            for other, edges in islice(near.items(), _HUB if named else _FURTHER):
                weight = sum(
                    math.sqrt(edge["strength"]) if consolidated(edge["fit"], edge["strength"]) else _UNCONSOLIDATED
                    for edge in edges.values()
                )
                yield other, weight / math.log2(2 + len(succ[other]) + len(pred[other]))

    def _path_to(self, walk: Reached[str], fact: Fact) -> tuple[Fact, ...]:
        """Return the facts on the walk from a seed to a fact."""
        ends = {self.aliases.entity(fact.head), self.aliases.entity(fact.tail)}
        nodes = min((walk.path(end) for end in sorted(ends) if end in walk.score), key=len, default=[])
        steps = [self._joining(*pair) for pair in pairwise(nodes)]
        return tuple(step for step in self.facts.get_many(steps) if step.id != fact.id)

    def _likeness(self, facts: list[Fact], query: Vectors, question: str, new: NewVectors) -> dict[int, float]:
        """Return how much each fact says what is asked: the cosine of its relation, and words that it shares."""
        relations = list(dict.fromkeys(fact.relation for fact in facts))
        vectors = self.vectors.relations(relations, new)
        cosines = {relation: max(0.0, float(vectors[relation] @ query)) for relation in relations}
        asked = set(stems(question))
        return {
            fact.id: cosines[fact.relation]
            + _shared(asked, fact.relation.replace("_", " "))
            + _shared(asked, fact.tail)
            for fact in facts
        }

    def _alike(self, query: Vectors, new: NewVectors) -> dict[str, float]:
        """Return the entities whose names are most like a question that names none, with their cosines."""
        names, vectors = self.vectors.entities(new)
        if not names:
            return {}
        cosines = vectors @ query
        best = np.argsort(-cosines)[:5]
        return {names[i]: float(cosines[i]) for i in best if cosines[i] >= _LIKE_MIN}


def _edges(
    graph: "nx.MultiDiGraph[str]", node: str, most: int = _HUB
) -> Iterator[tuple[str, str, int, Mapping[str, Any]]]:
    yield from islice(graph.out_edges(node, keys=True, data=True), most)
    yield from islice(graph.in_edges(node, keys=True, data=True), most)


def _candidates(
    graph: "nx.MultiDiGraph[str]", walk: Reached[str], named: Collection[str]
) -> Iterator[tuple[int, float]]:
    """Yield the facts at the nodes that the walk reached, each once, with the walk's score of its ends."""
    seen: set[int] = set()
    score = walk.score
    for node in heapq.nlargest(_SCORED, score, key=lambda n: (score[n], n)):
        for head, tail, fact_id, _ in _edges(graph, node, _HUB if node in named else _FURTHER):
            if fact_id not in seen:
                seen.add(fact_id)
                yield fact_id, score.get(head, 0.0) + score.get(tail, 0.0)


def _shared(asked: Collection[str], words: str) -> float:
    """Return the share of some words that the question has."""
    own = set(stems(words))
    return len(own.intersection(asked)) / len(own) if own else 0.0
