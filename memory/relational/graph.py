"""What is true: facts with sources, as a multigraph over SQLite."""

from collections.abc import Collection, Iterable, Sequence

import networkx as nx

from memory import provenance
from memory.embedding import Embedder, HashingEmbedder
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance
from memory.relational.aliases import Alias, Aliases, candidates
from memory.relational.contradictions import Contradiction, Contradictions
from memory.relational.endings import Ending
from memory.relational.fact_writer import FactWriter
from memory.relational.facts import FactTable, realised
from memory.relational.graph_cache import GraphCache
from memory.relational.name_vectors import NewVectors
from memory.relational.names import FUNCTIONAL, normalise, relation_name
from memory.relational.query import GraphQuery, validate_question
from memory.relational.schema import Routing, SchemaIndex
from memory.relational.subgraph import Subgraph
from memory.relational.surface import SurfaceForms
from memory.relational.tuples import Fact, Tuple
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
        self._cache = GraphCache(store, self.aliases)
        self._writer = FactWriter(store, self._cache, self.aliases, self.schemas, self.functional)
        self._query = GraphQuery(store, self._cache, self.aliases, self.schemas, self.embedder)
        self._facts = FactTable(store)
        self._surface = SurfaceForms(self._facts, self._cache)

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

    def upsert(self, tuples: Iterable[Tuple | Ending]) -> list[int]:
        """Tell the graph; returns the id of each tuple's row, in order. All or nothing.

        What an extractor returns is taken whole: its endings end facts, its plans are kept for their time.

        Raises:
            InvalidItemError: An empty head, relation or tail, or a confidence outside [0, 1].
        """
        return self._writer.upsert(tuples)

    def retire_place(self, tail: str, origin: Provenance) -> int:
        """End every fact that holds now and has ``tail``, which exists no longer, as its tail; returns how many."""
        return self._writer.retire_place(tail, origin)

    def retire(self, head: str, relation: str, tail: str, origin: Provenance) -> bool:
        """End the validity of a fact that was seen not to hold; returns whether there was one.

        Args:
            head: Of the fact.
            relation: Of the fact.
            tail: Of the fact.
            origin: Who saw it, and when. If that is forgotten, the fact holds again.
        """
        return self._writer.retire(head, relation, tail, origin)

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
            self._writer.validity.reopened()
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
        merged = []
        pairs = candidates(self.entities(), self.embedder, least)  # others may write meanwhile
        with self.store.write():
            for short, long, cosine in pairs:
                if self.aliases.entity(short) == self.aliases.entity(long):
                    continue
                row = 0
                if not dry_run:
                    source = provenance.origin_of(origin if origin is not None else "resolve")
                    row = self.aliases.add(short, long, source, "likeness", max(0.0, min(1.0, cosine)))
                merged.append(Alias(row, short, long, "likeness", cosine))
            if merged and not dry_run:
                self._cache.sync(anew=True)
        return merged

    def spelled(self, folded: str) -> str | None:
        """Return the entity in facts that hold now whose name folds to ``folded``."""
        self._cache.sync()
        return self._cache.folded(folded)

    # asking

    def seeds(self, question: str, past: bool = False) -> set[str]:
        """Return the entities that ``question`` names: whole words, the longest name where names overlap.

        Args:
            question: Any text.
            past: Whether names in ended facts count too.
        """
        return self._query.seeds(question, past)

    def ask(self, question: str, k: int = 5, at: float | None = None) -> list[Fact]:
        """Return facts about the entities that ``question`` names, best first.

        The entities' own facts come first (consolidated, strongest, newest), then those one hop away. Plans are not
        among them, even if their time has come: :meth:`planned` returns them, and ``at`` counts them as facts.

        Args:
            question: Names entities.
            k: At least 1.
            at: What held then, in seconds since the epoch; now if missing.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        validate_question(question, k)
        with self.store.read():
            if at is None:
                return self._query.ask(question, k)
            return realised(self._query.ask_past(question, 2 * k, at), self.functional)[:k]

    def planned(self, question: str, k: int = 5) -> list[Fact]:
        """Return the plans about the entities that ``question`` names, those that come first before others.

        A plan is a fact that was told before it held ("Ada is moving to Paris next year"), from its ``valid_from`` on;
        whether it came true is not known.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        validate_question(question, k)
        with self.store.read():
            return self._query.planned(question, k)

    def retrieve(self, query: str, k: int = 5) -> Subgraph:
        """Return the part of the graph that a question is about, each fact with its sources and the path to it.

        Facts are ranked by how near they are to what the question names (personalized PageRank), and by how much they
        say what is asked (cosine with the embedding of the relation, shared words). Its time is bounded, whatever the
        graph's size.

        Raises:
            InvalidItemError: An empty question, or ``k`` below 1.
        """
        validate_question(query, k)
        vector = self.embedder.embed([query])[0]
        new: NewVectors = {}
        with self.store.read():
            subgraph = self._query.retrieve(query, vector, k, new)
        self._query.vectors.keep(new)
        return subgraph

    def path(self, one: str, other: str) -> list[Fact]:
        """Return the fewest facts that lead from one entity to another, in order; none where no path leads there.

        Raises:
            UnknownItemError: One is in no fact that holds now.
        """
        with self.store.lock:
            ends = [self.aliases.entity(normalise(name)) for name in (one, other)]
            for end, name in zip(ends, (one, other), strict=True):
                if end not in self.graph:
                    raise UnknownItemError(f"nothing is known of {name!r}: it is in no fact that holds now")
            return self._query.path(*ends)

    def get(self, fact_id: int) -> Fact:
        """Return one fact, current or ended.

        Raises:
            InvalidItemError: There is no such row.
        """
        facts = self.get_many([fact_id])
        if not facts:
            raise InvalidItemError(f"no fact has id {fact_id}")
        return facts[0]

    def get_many(self, fact_ids: Sequence[int]) -> list[Fact]:
        """Return several facts in the order of their ids as given; ids without a row are left out."""
        return self._facts.get_many(fact_ids)

    def sentences(self, facts: Sequence[Fact]) -> list[str]:
        """Return facts as short sentences, names as they were told: ``"Ida lives in Gdansk"``.

        A plan ends with the day from which on it holds: ``"Ida lives in Oslo from 2027-01-01"``.
        """
        with self.store.read():
            return self._surface.sentences(facts)

    def surface_forms(self, entities: Sequence[str]) -> list[str]:
        """Return entities' names as they were told; those of which no words are kept stay in lower case."""
        with self.store.read():
            self._cache.sync()
            return self._surface.entities(entities)

    def history(self, head: str, relation: str) -> list[Fact]:
        """Return all facts ever told of ``head relation``, oldest first, ended ones included."""
        versions = self._writer.validity.versions(normalise(head), relation_name(relation), every=True)
        return self.get_many([version.id for version in versions])

    def at(self, time: float, head: str, relation: str) -> list[Fact]:
        """Return the facts of ``head relation`` that held at ``time`` (seconds since the epoch), plans included."""
        holding = [
            fact
            for fact in self.history(head, relation)
            if fact.valid_from <= time and (fact.valid_to is None or time < fact.valid_to)
        ]
        return realised(holding, self.functional)

    def contradictions(self) -> list[Contradiction]:
        """Return the pairs of facts that can't both be true, and those about namesakes that may be one or two."""
        with self.store.read():
            return Contradictions(self._writer.validity).all()

    def namesakes(self) -> list[Contradiction]:
        """Return the contradictions by which entities of one name were told apart; :meth:`merge` joins what is one."""
        with self.store.read():
            return Contradictions(self._writer.validity).namesakes()

    # consolidation

    def pending(self) -> list[Fact]:
        """Return the facts that hold but are not consolidated: they fit no schema and were told too seldom."""
        with self.store.lock:
            waiting = [
                fact_id
                for _, _, fact_id, data in self.graph.edges(keys=True, data=True)
                if not self.routing.consolidated(data["fit"], data["strength"])
            ]
            return self.get_many(waiting)

    def rehearse(self, fact_ids: Iterable[int]) -> None:
        """Count one replay of each fact, as if it had been told once more; :meth:`memory.Memory.replay` does this."""
        rehearsed = [(fact_id,) for fact_id in fact_ids]
        if not rehearsed:
            return
        with self.store.write() as db:
            db.executemany("UPDATE facts SET rehearsals = rehearsals + 1 WHERE id = ?", rehearsed)
            self._cache.sync(anew=True)

    def read_in(self, trace_ids: Sequence[int]) -> list[int]:
        """Return the ids of the facts that were read in some traces."""
        return self._facts.read_in(trace_ids)
