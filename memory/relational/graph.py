"""What is true: facts with sources, as a multigraph over SQLite."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import networkx as nx

from memory import provenance
from memory.errors import InvalidItemError
from memory.provenance import Provenance
from memory.store import Store

MAX_NAME_WORDS = 8
FUNCTIONAL = frozenset({"lives_in", "located_in", "is_at", "owned_by"})


@dataclass(frozen=True, slots=True)
class Tuple:
    """One statement to be told to the graph: ``head relation tail``."""

    head: str
    relation: str
    tail: str
    provenance: Provenance
    context: str = ""
    conf: float = 1.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of ``facts``; ``valid_to`` is ``None`` while it holds (seconds since the epoch)."""

    id: int
    head: str
    relation: str
    tail: str
    context: str
    conf: float
    valid_from: float
    valid_to: float | None
    strength: int

    def __str__(self) -> str:
        """The fact as a short sentence."""
        return f"{self.head} {self.relation.replace('_', ' ')} {self.tail}"


def normalise(name: str) -> str:
    """Entity and relation names as they are compared: lower case, single spaces, no article."""
    return re.sub(r"^(the|a|an) ", "", " ".join(name.lower().split()))


class KG:
    """A knowledge graph: a NetworkX multigraph in main memory, SQLite as the truth.

    A relation that is declared functional has one current tail per head: a new tail ends the
    validity of the old fact, which stays readable. Other relations accumulate.

    Args:
        store: The database.
        functional: Names of the functional relations.
    """

    def __init__(self, store: Store, functional: Collection[str] = FUNCTIONAL) -> None:
        self.store = store
        self.functional = frozenset(functional)
        self._graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self._stamp: tuple[int, int] | None = None

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """Facts that hold now; nodes are entity names, an edge's key is the fact's id."""
        self._sync()
        return self._graph

    def __len__(self) -> int:
        """Count of facts that hold now."""
        return int(self.graph.number_of_edges())

    def entities(self) -> list[str]:
        """Names of the entities in facts that hold now, in the order they were learnt."""
        return list(self.graph.nodes)

    def upsert(self, tuples: Iterable[Tuple]) -> list[int]:
        """Tell the graph; returns the id of each tuple's row, in order. All or nothing.

        Raises:
            InvalidItemError: An empty head, relation or tail, or a confidence outside [0, 1].
        """
        checked = [(item, *self._check(item)) for item in tuples]
        ids = []
        with self.store.write() as db:
            self._sync()
            for item, head, relation, tail in checked:
                found = db.execute(
                    "SELECT id FROM facts WHERE head = ? AND relation = ? AND tail = ? AND valid_to IS NULL",
                    (head, relation, tail),
                ).fetchone()
                conf, since = min(item.conf, item.provenance.conf), item.provenance.time
                if found:
                    fact_id = int(found[0])
                    db.execute(
                        "UPDATE facts SET strength = strength + 1, conf = max(conf, ?) WHERE id = ?",
                        (conf, fact_id),
                    )
                    self._graph.edges[head, tail, fact_id]["strength"] += 1
                else:
                    older = self._end(head, relation, None, since) if relation in self.functional else []
                    cursor = db.execute(
                        "INSERT INTO facts(head, relation, tail, context, conf, valid_from) VALUES (?, ?, ?, ?, ?, ?)",
                        (head, relation, tail, item.context, conf, since),
                    )
                    fact_id = int(cursor.lastrowid or 0)
                    db.executemany("UPDATE facts SET superseded_by = ? WHERE id = ?", [(fact_id, o) for o in older])
                    self._graph.add_edge(head, tail, fact_id, relation=relation, strength=1)
                said = {"since": since} | ({"context": item.context} if item.context else {})
                provenance.add(db, ("facts", fact_id), replace(item.provenance, conf=conf), said, fresh=not found)
                ids.append(fact_id)
        return ids

    def retire(self, head: str, relation: str, tail: str, origin: Provenance) -> bool:
        """End the validity of a fact that was seen not to hold; true when there was one.

        Args:
            head: Of the fact.
            relation: Of the fact.
            tail: Of the fact.
            origin: Who saw it, and when. If that is forgotten, the fact holds again.
        """
        with self.store.write() as db:
            self._sync()
            relation = normalise(relation).replace(" ", "_")
            ended = self._end(normalise(head), relation, normalise(tail), origin.time)
            for fact_id in ended:
                provenance.add(db, ("facts", fact_id), origin, role="ended")
            return bool(ended)

    def ask(self, question: str, k: int = 5) -> list[Fact]:
        """Facts that hold now about the entities that ``question`` names, best first.

        The entities' own facts come first (strongest, then newest), then those one hop away.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        if not question.strip():
            raise InvalidItemError("ask needs an entity or a question, got an empty text")
        if k < 1:
            raise InvalidItemError(f"k must be at least 1, got {k}")
        with self.store.read():
            graph = self.graph
            seeds = self._seeds(question)
            ranked: dict[int, tuple[int, int, int]] = {}
            for hop, nodes in enumerate((seeds, {n for s in seeds for n in nx.all_neighbors(graph, s)})):
                for node in nodes:
                    for _, _, fact_id, data in [
                        *graph.out_edges(node, keys=True, data=True),
                        *graph.in_edges(node, keys=True, data=True),
                    ]:
                        ranked.setdefault(fact_id, (hop, -data["strength"], -fact_id))
            best = sorted(ranked, key=lambda fact_id: ranked[fact_id])[:k]
            return [self.get(fact_id) for fact_id in best]

    def get(self, fact_id: int) -> Fact:
        """One fact, current or ended.

        Raises:
            InvalidItemError: There is no such row.
        """
        row = self.store.db.execute(
            "SELECT id, head, relation, tail, context, conf, valid_from, valid_to, strength FROM facts WHERE id = ?",
            (fact_id,),
        ).fetchone()
        if row is None:
            raise InvalidItemError(f"no fact has id {fact_id}")
        return Fact(*row)

    def history(self, head: str, relation: str) -> list[Fact]:
        """All facts ever told of ``head relation``, oldest first, ended ones included."""
        rows = self.store.db.execute(
            "SELECT id FROM facts WHERE head = ? AND relation = ? ORDER BY valid_from, id",
            (normalise(head), normalise(relation).replace(" ", "_")),
        )
        return [self.get(int(row[0])) for row in rows.fetchall()]

    def _seeds(self, question: str) -> set[str]:
        """Entities named in ``question``: whole words, the longest name where names overlap."""
        text = normalise(question)
        if text in self._graph:
            return {text}
        seeds = set()
        words = re.findall(r"[\w,.'-]+", text)
        for size in range(min(len(words), MAX_NAME_WORDS), 0, -1):
            for start in range(len(words) - size + 1):
                phrase = " ".join(words[start : start + size])
                name = next((n for n in (phrase, phrase.strip(",.")) if n in self._graph), None)
                if name is not None:
                    seeds.add(name)
                    words[start : start + size] = ["\0"] * size
        return seeds

    def _end(self, head: str, relation: str, tail: str | None, time: float) -> list[int]:
        where = "head = ? AND relation = ? AND valid_to IS NULL" + (" AND tail = ?" if tail is not None else "")
        values = (head, relation, tail) if tail is not None else (head, relation)
        rows = self.store.db.execute(f"SELECT id, tail FROM facts WHERE {where}", values).fetchall()
        for fact_id, old in rows:
            self.store.db.execute("UPDATE facts SET valid_to = ? WHERE id = ?", (time, fact_id))
            self._graph.remove_edge(head, old, fact_id)
            self._graph.remove_nodes_from([n for n in {head, old} if n in self._graph and not self._graph.degree(n)])
        return [fact_id for fact_id, _ in rows]

    @staticmethod
    def _check(item: Tuple) -> tuple[str, str, str]:
        head, tail = normalise(item.head), normalise(item.tail)
        relation = normalise(item.relation).replace(" ", "_")
        if not (head and relation and tail):
            raise InvalidItemError(
                f"a tuple needs head, relation and tail, got ({item.head!r}, {item.relation!r}, {item.tail!r})"
            )
        if not 0.0 <= item.conf <= 1.0:
            raise InvalidItemError(f"a tuple's conf must be in [0, 1], got {item.conf}")
        return head, relation, tail

    def _sync(self) -> None:
        with self.store.lock:
            stamp = self.store.stamp
            if stamp != self._stamp:
                self._graph, self._stamp = self._read(), stamp

    def _read(self) -> "nx.MultiDiGraph[str]":
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for fact_id, head, relation, tail, strength in self.store.db.execute(
            "SELECT id, head, relation, tail, strength FROM facts WHERE valid_to IS NULL ORDER BY id"
        ):
            graph.add_edge(head, tail, fact_id, relation=relation, strength=strength)
        return graph
