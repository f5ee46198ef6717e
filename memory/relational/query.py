"""Answers from the graph: facts by name, and the part of it that a question is about."""

import heapq
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from memory import provenance
from memory.errors import InvalidItemError
from memory.provenance import Provenance
from memory.relational.extract import validate_text
from memory.relational.names import MAX_NAME_WORDS, normalise
from memory.relational.pagerank import Reached, personalized_pagerank
from memory.relational.stems import stems
from memory.relational.tuples import COLUMNS, Fact

if TYPE_CHECKING:
    from memory.relational.graph import KG

Vectors = NDArray[np.float32]

Made = dict[str, list[tuple[str, bytes]]]
"""Vectors to be kept, by table: names and half-precision bytes."""

_HUB = 1000
"""Edges of a node that is named that are looked at: of a node with more, the first ones."""

_FURTHER = 64
"""The same for a node that is only come to."""

_LEAST, _MOST = 1e-3, 300
"""Share of the walk below which a node isn't followed, and how many are."""

_LIKENED = 64
_EMBEDDED_AT_ONCE = 2000
_UNCONSOLIDATED = 0.25
_LIKE_MIN = 0.35


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A fact that may answer a question.

    Attributes:
        fact: The fact.
        score: What it is ranked by; to be compared within one answer only.
        path: The facts that lead from what the question names to this one, in turn; empty if it names one end.
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
        entities: What names in the facts stand for, where that is another name.
    """

    seeds: tuple[str, ...]
    facts: tuple[FoundFact, ...]
    entities: Mapping[str, str] = field(default_factory=dict)

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The facts and those on the ways to them, as a graph of their own."""
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for found in self.facts:
            for fact in (*found.path, found.fact):
                head, tail = (self.entities.get(name, name) for name in (fact.head, fact.tail))
                graph.add_edge(head, tail, fact.id, relation=fact.relation, strength=fact.strength)
        return graph


def check(question: str, k: int) -> None:
    """Refuse what can't be asked.

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


def seeds(kg: "KG", question: str, past: bool) -> set[str]:
    """Entities that a question names: whole words, the longest name where names overlap."""

    def known(name: str) -> str | None:
        entity = kg.aliases.entity(name)
        if entity in kg.graph:
            return entity
        told = (
            past
            and kg.store.db.execute(
                "SELECT 1 FROM facts WHERE head = ? UNION ALL SELECT 1 FROM facts WHERE tail = ? LIMIT 1",
                (name, name),
            ).fetchone()
        )
        return entity if told else kg.respelled(name)

    text = normalise(question)
    if (whole := known(text)) is not None:
        return {whole}
    found = set()
    words = re.findall(r"[\w,.'’&/+#-]+", text)
    for size in range(min(len(words), MAX_NAME_WORDS), 0, -1):
        for start in range(len(words) - size + 1):
            phrase = " ".join(words[start : start + size])
            spellings = (phrase, phrase.strip(",."), re.sub(r"['’]s$", "", phrase))
            name = next((entity for entity in map(known, spellings) if entity is not None), None)
            if name is not None:
                found.add(name)
                words[start : start + size] = ["\0"] * size
    return found


def ask(kg: "KG", question: str, k: int) -> list[Fact]:
    """Facts about the entities that a question names: their own first, then those one hop away."""
    graph = kg.graph
    named = kg.seeds(question)
    ranked: dict[int, tuple[int, bool, int, int]] = {}
    for hop, nodes in enumerate((named, {n for s in named for n in nx.all_neighbors(graph, s)})):
        for node in nodes:
            for _, _, fact_id, data in _edges(graph, node):
                waits = not kg.routing.consolidated(data["fit"], data["strength"])
                ranked.setdefault(fact_id, (hop, waits, -data["strength"], -fact_id))
        if len(ranked) >= k:
            break
    return kg.get_many(heapq.nsmallest(k, ranked, key=lambda fact_id: ranked[fact_id]))


def ask_past(kg: "KG", question: str, k: int, at: float) -> list[Fact]:
    """Facts about the entities that a question names which held at a time."""
    names = [name for seed in kg.seeds(question, past=True) for name in kg.aliases.names(seed)]
    marks = ", ".join("?" * len(names))
    rows = kg.store.db.execute(
        f"SELECT {COLUMNS} FROM facts WHERE (head IN ({marks}) OR tail IN ({marks}))"
        " AND valid_from <= ? AND (valid_to IS NULL OR ? < valid_to) ORDER BY strength DESC, id DESC LIMIT ?",
        (*names, *names, at, at, k),
    )
    return [Fact(*row) for row in rows.fetchall()]


def retrieve(kg: "KG", question: str, query: Vectors, k: int, made: Made) -> Subgraph:
    """The ``k`` facts nearest to what a question names and most like what it says; one state of the graph.

    Args:
        kg: The graph.
        question: The question.
        query: Its embedding.
        k: How many.
        made: Takes the vectors that had to be made, for :func:`keep`.
    """
    graph = kg.graph
    named = {entity: 1.0 / math.log2(2 + graph.degree(entity)) for entity in kg.seeds(question)}
    named = named or _alike(kg, query, made)
    walk = personalized_pagerank(
        named, lambda node: _neighbours(kg, graph, node, node in named), least=_LEAST, most=_MOST
    )
    nearest = heapq.nlargest(_LIKENED, _candidates(graph, walk, named), key=lambda pair: (pair[1], -pair[0]))
    facts = {fact.id: fact for fact in kg.get_many([fact_id for fact_id, _ in nearest])}
    likeness = _likeness(kg, list(facts.values()), query, question, made)
    scored = []
    for fact_id, near in nearest:
        edge = facts.get(fact_id)
        if edge is not None:
            data = graph.edges[kg.aliases.entity(edge.head), kg.aliases.entity(edge.tail), fact_id]
            weight = 1.0 if kg.routing.consolidated(data["fit"], data["strength"]) else _UNCONSOLIDATED
            scored.append((near * (0.1 + likeness[fact_id]) * weight, edge))
    scored.sort(key=lambda pair: (-pair[0], pair[1].id))
    sources = provenance.of_many(kg.store.db, "facts", [fact.id for _, fact in scored[:k]])
    found = [
        FoundFact(fact, float(score), _path(kg, walk, fact), sources.get(fact.id, ())) for score, fact in scored[:k]
    ]
    told = {n for item in found for fact in (*item.path, item.fact) for n in (fact.head, fact.tail)}
    entities = {name: entity for name in told if (entity := kg.aliases.entity(name)) != name}
    return Subgraph(tuple(sorted(named, key=lambda entity: (-named[entity], entity))), tuple(found), entities)


def path(kg: "KG", one: str, other: str) -> list[Fact]:
    """The fewest facts that lead from one entity to another, in turn; none where no way leads there."""
    try:
        nodes = nx.bidirectional_shortest_path(kg.graph.to_undirected(as_view=True), one, other)
    except nx.NetworkXNoPath:
        return []
    return kg.get_many([_joining(kg, *pair) for pair in pairwise(nodes)])


def _joining(kg: "KG", one: str, other: str) -> int:
    """The strongest fact between two neighbours."""
    edges: list[tuple[Any, Any]] = []
    for pair in ((one, other), (other, one)):
        edges += (kg.graph.get_edge_data(*pair) or {}).items()
    return max(edges, key=lambda edge: (edge[1]["strength"], -edge[0]))[0]  # type: ignore[no-any-return]


def _edges(
    graph: "nx.MultiDiGraph[str]", node: str, most: int = _HUB
) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    yield from islice(graph.out_edges(node, keys=True, data=True), most)
    yield from islice(graph.in_edges(node, keys=True, data=True), most)


def _neighbours(kg: "KG", graph: "nx.MultiDiGraph[str]", node: str, named: bool) -> Iterator[tuple[str, float]]:
    """What a node is joined with: by strength, and less if it is joined with everything."""
    consolidated, succ, pred = kg.routing.consolidated, graph.succ, graph.pred
    for near in (succ[node], pred[node]):
        for other, edges in islice(near.items(), _HUB if named else _FURTHER):
            weight = sum(
                math.sqrt(e["strength"]) if consolidated(e["fit"], e["strength"]) else _UNCONSOLIDATED
                for e in edges.values()
            )
            yield other, weight / math.log2(2 + len(succ[other]) + len(pred[other]))


def _candidates(
    graph: "nx.MultiDiGraph[str]", walk: Reached[str], named: Collection[str]
) -> Iterator[tuple[int, float]]:
    """Facts at the nodes that the walk came to, each once, with the walk's score of its ends."""
    seen: set[int] = set()
    score = walk.score
    for node in heapq.nlargest(_LIKENED, score, key=lambda n: (score[n], n)):
        for head, tail, fact_id, _ in _edges(graph, node, _HUB if node in named else _FURTHER):
            if fact_id not in seen:
                seen.add(fact_id)
                yield fact_id, score.get(head, 0.0) + score.get(tail, 0.0)


def _path(kg: "KG", walk: Reached[str], fact: Fact) -> tuple[Fact, ...]:
    ends = {kg.aliases.entity(fact.head), kg.aliases.entity(fact.tail)}
    nodes = min((walk.path(end) for end in sorted(ends) if end in walk.score), key=len, default=[])
    steps = [_joining(kg, *pair) for pair in pairwise(nodes)]
    return tuple(step for step in kg.get_many(steps) if step.id != fact.id)


def _likeness(kg: "KG", facts: list[Fact], query: Vectors, question: str, made: Made) -> dict[int, float]:
    """How much each fact says what is asked: cosine of its relation with the question, and words of it in there."""
    relations = list(dict.fromkeys(fact.relation for fact in facts))
    vectors = _vectors(kg, relations, made)
    alike = {relation: max(0.0, float(vectors[relation] @ query)) for relation in relations}
    asked = set(stems(question))
    return {
        fact.id: alike[fact.relation] + _shared(asked, fact.relation.replace("_", " ")) + _shared(asked, fact.tail)
        for fact in facts
    }


def _shared(asked: Collection[str], words: str) -> float:
    """Share of some words that the question has."""
    own = set(stems(words))
    return len(own.intersection(asked)) / len(own) if own else 0.0


def _vectors(kg: "KG", relations: Sequence[str], made: Made) -> dict[str, Vectors]:
    """Vectors of relations; those of new ones are made."""
    rows = kg.store.db.execute(
        "SELECT name, vector FROM relation_vectors WHERE name IN (SELECT value FROM json_each(?))",
        (json.dumps(list(relations)),),
    )
    known = {name: np.frombuffer(vector, np.float16).astype(np.float32) for name, vector in rows.fetchall()}
    missing = [name for name in relations if name not in known]
    if missing:
        vectors = kg.embedder.embed([name.replace("_", " ") for name in missing]).astype(np.float16)
        made["relation_vectors"] = [(name, vector.tobytes()) for name, vector in zip(missing, vectors, strict=True)]
        known |= zip(missing, vectors.astype(np.float32), strict=True)
    return known


def _alike(kg: "KG", query: Vectors, made: Made) -> dict[str, float]:
    """Entities whose names are most like a question that names none."""
    names, vectors = _entity_vectors(kg, made)
    if not names:
        return {}
    cosines = vectors @ query
    best = np.argsort(-cosines)[:5]
    return {names[i]: float(cosines[i]) for i in best if cosines[i] >= _LIKE_MIN}


def _entity_vectors(kg: "KG", made: Made) -> tuple[list[str], Vectors]:
    """Vectors of the entities' names; of new ones at most 2,000 are embedded a time, the latest first."""
    known = dict(kg.store.db.execute("SELECT name, vector FROM entity_vectors").fetchall())
    missing = list(islice((name for name in reversed(list(kg.graph)) if name not in known), _EMBEDDED_AT_ONCE))
    if missing:
        vectors = kg.embedder.embed(missing).astype(np.float16)
        made["entity_vectors"] = [(name, vector.tobytes()) for name, vector in zip(missing, vectors, strict=True)]
        known |= made["entity_vectors"]
    kept = [name for name in known if name in kg.graph]
    joined = np.frombuffer(b"".join(known[name] for name in kept), np.float16).astype(np.float32)
    return kept, joined.reshape(len(kept), kg.embedder.dim)


def keep(kg: "KG", made: Made) -> None:
    """Write vectors down that a question made, unless what they are of is gone by now."""
    if not any(made.values()) or kg.store.db.in_transaction:
        return
    with kg.store.write() as db:
        db.executemany(
            "INSERT OR IGNORE INTO relation_vectors SELECT ?1, ?2"
            " WHERE EXISTS (SELECT 1 FROM facts WHERE relation = ?1)",
            made.get("relation_vectors", []),
        )
        rows = [(name, vector) for name, vector in made.get("entity_vectors", []) if name in kg.graph]
        db.executemany("INSERT OR IGNORE INTO entity_vectors VALUES (?, ?)", rows)
