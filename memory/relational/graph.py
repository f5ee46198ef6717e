"""What is true: facts with sources, as a multigraph over SQLite."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import networkx as nx

from memory import provenance
from memory.embedding import Embedder, HashingEmbedder
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance
from memory.relational import query as asking
from memory.relational import surface
from memory.relational.aliases import Alias, Aliases, candidates
from memory.relational.graph_cache import GraphCache
from memory.relational.names import FUNCTIONAL, SUPERSEDE_MIN, normalise, relation_name, spelling
from memory.relational.query import Subgraph
from memory.relational.schema import Routing, SchemaIndex
from memory.relational.tuples import COLUMNS, Fact, Tuple
from memory.relational.validity import Contradiction, Validity
from memory.store import Store


class KG:
    """A knowledge graph: a NetworkX multigraph in main memory, SQLite as the truth.

    A relation that is declared functional has one tail per head at a time: a newer one ends the
    validity of the older, which stays readable; what is told late finds its place in the past. Other
    relations accumulate.

    Args:
        store: The database.
        functional: Names of the functional relations.
        embedder: Turns names and facts into vectors.
        routing: How unfamiliar statements are treated; by default all are believed at once.

    Attributes:
        aliases: Several names of one entity.
        schemas: Frames, and what is usual for a relation.
    """

    def __init__(
        self,
        store: Store,
        functional: Collection[str] = FUNCTIONAL,
        embedder: Embedder | None = None,
        routing: Routing | None = None,
    ) -> None:
        self.store = store
        self.functional = frozenset(functional)
        self.embedder = embedder or HashingEmbedder()
        self.aliases = Aliases(store)
        self.schemas = SchemaIndex(store, self.embedder, routing)
        self._validity = Validity(store, self.aliases, self.functional)
        self._cache = GraphCache(store, self.aliases)

    @property
    def routing(self) -> Routing:
        """How unfamiliar statements are treated; it may be set."""
        return self.schemas.routing

    @routing.setter
    def routing(self, routing: Routing) -> None:
        self.schemas.routing = routing
        self.schemas.refresh()

    @property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """Facts that hold now; nodes are entities, an edge's key is the fact's id."""
        self._cache.sync()
        return self._cache.graph

    def __len__(self) -> int:
        """Count of facts that hold now."""
        return int(self.graph.number_of_edges())

    def entities(self) -> list[str]:
        """Names of the entities in facts that hold now, in the order they were learnt."""
        return list(self.graph.nodes)

    # telling

    def upsert(self, tuples: Iterable[Tuple]) -> list[int]:
        """Tell the graph; returns the id of each tuple's row, in order. All or nothing.

        Raises:
            InvalidItemError: An empty head, relation or tail, or a confidence outside [0, 1].
        """
        checked = [(item, *item.names()) for item in tuples]
        ids = []
        with self.store.write():
            self._cache.sync()
            fits = self._fits([names for _, *names in checked])
            for (item, head, relation, tail), fit in zip(checked, fits, strict=True):
                self._respell(head, item.provenance)
                self._respell(tail, item.provenance)
                ids.append(self._tell(item, head, relation, tail, fit))
        return ids

    def _tell(self, item: Tuple, head: str, relation: str, tail: str, fit: float) -> int:
        db = self.store.db
        conf, since = min(item.conf, item.provenance.conf), item.provenance.time
        fact_id = self._validity.same(head, relation, tail, since, conf * item.provenance.trust)
        if fact_id is not None:
            if relation in self.functional and conf >= SUPERSEDE_MIN and since < self.get(fact_id).valid_from:
                self._superseded(self._overtake(head, relation, tail, since), fact_id, since)
            if self._validity.strengthen(fact_id, since, conf, fit):
                self._cache.strengthen(fact_id, head, tail, fit)
        else:
            older: list[int] = []
            until: tuple[float, int] | None = None
            if relation in self.functional:
                until = self._validity.next(head, relation, tail, since, conf * item.provenance.trust)
                if until is None and conf >= SUPERSEDE_MIN:
                    until = self._resume(head, relation, tail, since)
                if conf >= SUPERSEDE_MIN and (until is None or until[0] > since):
                    older = self._overtake(head, relation, tail, since)
            cursor = db.execute(
                "INSERT INTO facts(head, relation, tail, context, conf, valid_from, valid_to, superseded_by, fit)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (head, relation, tail, item.context, conf, since, *(until or (None, None)), fit),
            )
            fact_id = int(cursor.lastrowid or 0)
            self._superseded(older, fact_id, since)
            if until is None:
                self._cache.add(fact_id, head, relation, tail, 1, fit)
        said = {"since": since} | ({"context": item.context} if item.context else {})
        provenance.add(db, ("facts", fact_id), replace(item.provenance, conf=conf), said)
        return fact_id

    def _resume(self, head: str, relation: str, tail: str, since: float) -> tuple[float, int] | None:
        for held in self._validity.holding(head, relation, tail, since):
            if (until := self._validity.resume(held, since)) is not None:
                self._cache.reread([held, until[1]])
                return until
        return None

    def _overtake(self, head: str, relation: str, tail: str, since: float) -> list[int]:
        """Leave what a statement ends out of the graph; returns the rows."""
        found = self._validity.overtaken(head, relation, tail, since)
        for fact in self.get_many([version.id for version in found if version.end is None]):
            self._cache.drop(fact.id, fact.head, fact.tail)
        return [version.id for version in found]

    def _superseded(self, older: Iterable[int], by: int, since: float) -> None:
        self.store.db.executemany(
            "UPDATE facts SET superseded_by = ?, valid_to = max(valid_from, ?) WHERE id = ?",
            [(by, since, fact) for fact in older],
        )

    def retire_place(self, tail: str, origin: Provenance) -> int:
        """End every fact that holds now and ends in ``tail``, which is no more; returns how many."""
        rows = self.store.db.execute(
            "SELECT head, relation FROM facts WHERE tail = ? AND valid_to IS NULL", (normalise(tail),)
        ).fetchall()
        return sum(self.retire(head, relation, tail, origin) for head, relation in rows)

    def retire(self, head: str, relation: str, tail: str, origin: Provenance) -> bool:
        """End the validity of a fact that was seen not to hold; true when there was one.

        Args:
            head: Of the fact.
            relation: Of the fact.
            tail: Of the fact.
            origin: Who saw it, and when. If that is forgotten, the fact holds again.
        """
        with self.store.write() as db:
            self._cache.sync()
            ended = self._end(normalise(head), relation_name(relation), normalise(tail), origin.time)
            for fact_id in ended:
                provenance.add(db, ("facts", fact_id), origin, role="ended")
            return bool(ended)

    def _end(self, head: str, relation: str, tail: str, time: float) -> list[int]:
        heads, tails = self.aliases.names(head), self.aliases.names(tail)
        rows = self.store.db.execute(
            f"SELECT id, head, tail FROM facts WHERE head IN ({', '.join('?' * len(heads))}) AND relation = ?"
            f" AND tail IN ({', '.join('?' * len(tails))}) AND valid_to IS NULL AND valid_from <= ?",
            (*heads, relation, *tails, time),
        ).fetchall()
        for fact_id, name, old in rows:
            self.store.db.execute("UPDATE facts SET valid_to = ? WHERE id = ?", (time, fact_id))
            self._cache.drop(fact_id, name, old)
        return [fact_id for fact_id, _, _ in rows]

    # names

    def merge(self, alias: str, entity: str, origin: Provenance | str | None = None) -> int:
        """Say that ``alias`` is another name of ``entity``; returns the alias's row.

        Where a functional relation now has two tails that hold, :meth:`contradictions` tells.

        Raises:
            InvalidItemError: An empty name, or the same name twice.
        """
        with self.store.write():
            row = self.aliases.add(alias, entity, provenance.origin_of(origin))
            self._cache.sync(anew=True)
        return row

    def unmerge(self, alias_id: int) -> Alias:
        """Undo a merge: the facts are told apart again, and what one ended of the other holds again.

        Raises:
            UnknownItemError: There is no such alias.
        """
        with self.store.write():
            undone = self.aliases.remove(alias_id)
            self._validity.reopened()
            self._cache.sync(anew=True)
        return undone

    def resolve(self, least: float = 0.6, origin: Provenance | str | None = None, dry_run: bool = False) -> list[Alias]:
        """Find names that are one entity's, and merge them; each merge can be undone.

        Two names are one if they are spelled alike (an acronym, a slip in a long word, a title or filler
        more; never other numbers) and their embeddings have at least the cosine ``least``.

        Args:
            least: Least cosine, in [0, 1].
            origin: Named as the source of the aliases.
            dry_run: Say what would be merged only; ids are 0 then.
        """
        found = []
        pairs = candidates(self.entities(), self.embedder, least)  # others may write meanwhile
        with self.store.write():
            for short, long, cosine in pairs:
                if self.aliases.entity(short) == self.aliases.entity(long):
                    continue
                row = 0
                if not dry_run:
                    source = provenance.origin_of(origin if origin is not None else "resolve")
                    row = self.aliases.add(short, long, source, "likeness", max(0.0, min(1.0, cosine)))
                found.append(Alias(row, short, long, "likeness", cosine))
            if found and not dry_run:
                self._cache.sync(anew=True)
        return found

    def _respell(self, name: str, origin: Provenance) -> None:
        """Join a new name with a known one that differs in accents, punctuation or a possessive only."""
        if name in self._cache.graph:
            return
        key = spelling(name)
        if not key:
            return
        known = self._cache.spellings.setdefault(key, name)
        was, entity = self.aliases.entity(name), self.aliases.entity(known)
        if known != name and was != entity:
            self.aliases.add(name, known, origin, "spelling")
            if was == name and self.aliases.entity(known) == entity:
                self._cache.unmoved()
            else:
                self._cache.sync(anew=True)

    def spelled(self, folded: str) -> str | None:
        """The entity in facts that hold now whose name folds to ``folded``."""
        self._cache.sync()
        return self._cache.folded(folded)

    def respelled(self, name: str) -> str | None:
        """The entity in facts that hold now whose name differs from ``name`` in accents or punctuation only."""
        graph = self.graph
        known = self._cache.spellings.get(spelling(name))
        entity = self.aliases.entity(known) if known else None
        return entity if entity in graph else None

    # asking

    def ask(self, question: str, k: int = 5, at: float | None = None) -> list[Fact]:
        """Facts about the entities that ``question`` names, best first.

        The entities' own facts come first (settled, strongest, newest), then those one hop away.

        Args:
            question: Names entities.
            k: At least 1.
            at: What held then, in seconds since the epoch; now if missing.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        asking.check(question, k)
        with self.store.read():
            return asking.ask(self, question, k) if at is None else asking.ask_past(self, question, k, at)

    def retrieve(self, query: str, k: int = 5) -> Subgraph:
        """The part of the graph that a question is about, each fact with its sources and the way to it.

        Facts are ranked by how near they are to what the question names (personalized PageRank), and by how much they
        say what is asked (cosine with the embedding of the relation, shared words). Its time is bounded, whatever the
        graph's size.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        asking.check(query, k)
        vector = self.embedder.embed([query])[0]
        made: asking.Made = {}
        with self.store.read():
            found = asking.retrieve(self, query, vector, k, made)
        asking.keep(self, made)
        return found

    def path(self, one: str, other: str) -> list[Fact]:
        """The fewest facts that lead from one entity to another, in turn; none where no way leads there.

        Raises:
            UnknownItemError: One is in no fact that holds now.
        """
        with self.store.lock:
            ends = [self.aliases.entity(normalise(name)) for name in (one, other)]
            for end, name in zip(ends, (one, other), strict=True):
                if end not in self.graph:
                    raise UnknownItemError(f"nothing is known of {name!r}: it is in no fact that holds now")
            return asking.path(self, *ends)

    def get(self, fact_id: int) -> Fact:
        """One fact, current or ended.

        Raises:
            InvalidItemError: There is no such row.
        """
        found = self.get_many([fact_id])
        if not found:
            raise InvalidItemError(f"no fact has id {fact_id}")
        return found[0]

    def get_many(self, fact_ids: Sequence[int]) -> list[Fact]:
        """Several facts in the order of their ids as given; ids without a row are left out."""
        wanted = json.dumps([number for number in fact_ids if abs(number) < 2**63])
        rows = self.store.db.execute(
            f"SELECT {COLUMNS} FROM facts WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
        )
        found = {row[0]: Fact(*row) for row in rows.fetchall()}
        return [found[fact_id] for fact_id in fact_ids if fact_id in found]

    def sentences(self, facts: Sequence[Fact]) -> list[str]:
        """Facts as short sentences, names as they were told: ``"Ida lives in Gdansk"``."""
        with self.store.read():
            return surface.sentences(self, facts)

    def surface_forms(self, entities: Sequence[str]) -> list[str]:
        """Entities' names as they were told; those of which no words are kept stay in lower case."""
        with self.store.read():
            return surface.surface_forms(self, entities)

    def history(self, head: str, relation: str) -> list[Fact]:
        """All facts ever told of ``head relation``, oldest first, ended ones included."""
        versions = self._validity.versions(normalise(head), relation_name(relation))
        return self.get_many([version.id for version in versions])

    def at(self, time: float, head: str, relation: str) -> list[Fact]:
        """The facts of ``head relation`` that held at ``time`` (seconds since the epoch)."""
        return [
            fact
            for fact in self.history(head, relation)
            if fact.valid_from <= time and (fact.valid_to is None or time < fact.valid_to)
        ]

    def contradictions(self) -> list[Contradiction]:
        """Pairs of facts of functional relations that can't both be so."""
        with self.store.read():
            return self._validity.contradictions()

    def pending(self) -> list[Fact]:
        """Facts that hold but were not settled yet: they fit no schema and were told too seldom."""
        with self.store.lock:
            waiting = [
                fact_id
                for _, _, fact_id, data in self.graph.edges(keys=True, data=True)
                if not self.routing.consolidated(data["fit"], data["strength"])
            ]
            return self.get_many(waiting)

    def rehearse(self, fact_ids: Iterable[int]) -> None:
        """Count one replay of each fact, as if it had been told once more."""
        with self.store.write() as db:
            db.executemany("UPDATE facts SET rehearsals = rehearsals + 1 WHERE id = ?", [(i,) for i in fact_ids])
            self._cache.sync(anew=True)

    def seeds(self, question: str, past: bool = False) -> set[str]:
        """Entities named in ``question``: whole words, the longest name where names overlap.

        Args:
            question: Any text.
            past: Names in ended facts count too.
        """
        self._cache.sync()
        return asking.seeds(self, question, past)

    def _fits(self, names: Sequence[Sequence[str]]) -> list[float]:
        return self.schemas.fits([tuple(n) for n in names]) if self.routing.enabled else [1.0] * len(names)  # type: ignore[misc]
