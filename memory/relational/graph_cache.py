"""Cache of the facts that hold now, as a NetworkX multigraph in main memory."""

from collections.abc import Iterable

import networkx as nx

from memory.relational.aliases import Aliases
from memory.relational.names import fold, spelling
from memory.scripts import without_accents
from memory.store import Store


class GraphCache:
    """Multigraph of the table ``facts``; code that changes a row must report the change or have the cache read again.

    Args:
        store: The database.
        aliases: Groups of names; a node is an entity, whatever name was told.

    Attributes:
        graph: The multigraph; the key of an edge is the fact's id, its data ``relation``, ``strength`` and ``fit``.
    """

    def __init__(self, store: Store, aliases: Aliases) -> None:
        self.store = store
        self.aliases = aliases
        self.graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self._stamp: tuple[int, int, int] | None = None
        self._folded: dict[str, str] | None = None
        self._spellings: dict[str, str] | None = None
        self._unaccented: dict[str, list[str]] | None = None
        self._qualified: dict[str, list[str]] | None = None

    def sync(self, anew: bool = False) -> None:
        """Read the rows again if other processes wrote, a transaction was rolled back, or aliases changed.

        Args:
            anew: Read them in any case.
        """
        with self.store.lock:
            now = self._now()
            if anew or now != self._stamp:
                self.graph, self._stamp = self._read(), now
                self._folded = self._spellings = self._unaccented = self._qualified = None

    def unmoved(self) -> None:
        """Mark the cache as up to date after an alias was added whose names are in no fact yet."""
        self._stamp = self._now()

    def _now(self) -> tuple[int, int, int]:
        self.aliases.entity("")  # makes the aliases read new rows first
        return (*self.store.stamp, self.aliases.version)

    def add(self, fact_id: int, head: str, relation: str, tail: str, strength: int, fit: float) -> None:
        """Add a fact that holds."""
        ends = self.aliases.entity(head), self.aliases.entity(tail)
        if not all(end in self.graph for end in ends):
            self._unaccented = self._qualified = None
        self.graph.add_edge(*ends, fact_id, relation=relation, strength=strength, fit=fit)
        if self._folded is not None:
            for end in ends:
                if self._folded.setdefault(fold(end), end) not in self.graph:
                    self._folded[fold(end)] = end

    def strengthen(self, fact_id: int, head: str, tail: str, fit: float) -> None:
        """Update the edge of a fact that was told again."""
        edge = self.graph.edges[self.aliases.entity(head), self.aliases.entity(tail), fact_id]
        edge["strength"] += 1
        edge["fit"] = max(edge["fit"], fit)

    def drop(self, fact_id: int, head: str, tail: str) -> None:
        """Remove a fact that ended, and entities without any fact left."""
        ends = self.aliases.entity(head), self.aliases.entity(tail)
        if self.graph.has_edge(*ends, fact_id):
            self.graph.remove_edge(*ends, fact_id)
        self.graph.remove_nodes_from([n for n in {*ends} if n in self.graph and not self.graph.degree(n)])

    def reread(self, fact_ids: Iterable[int]) -> None:
        """Update single facts from their rows."""
        for fact_id in fact_ids:
            row = self.store.db.execute(
                "SELECT head, relation, tail, strength + rehearsals, fit, valid_to FROM facts WHERE id = ?", (fact_id,)
            ).fetchone()
            self.drop(fact_id, row[0], row[2])
            if row[5] is None:
                self.add(fact_id, *row[:5])

    def suggested(self, name: str) -> str | None:
        """Return the only node whose name without accents is that of ``name``; ``None`` if there are several."""
        if self._unaccented is None:
            self._unaccented = {}
            for known in self.graph:
                self._unaccented.setdefault(spelling(without_accents(known)), []).append(known)
        nodes = [node for node in self._unaccented.get(spelling(without_accents(name)), ()) if node in self.graph]
        return nodes[0] if len(nodes) == 1 else None

    def namesakes(self, name: str) -> list[str]:
        """Return the nodes that have ``name`` with something in parentheses, such as those told apart from it."""
        if self._qualified is None:
            self._qualified = {}
            for known in self.graph:
                bare, opening, rest = known.rpartition(" (")
                if opening and rest.endswith(")"):
                    self._qualified.setdefault(bare, []).append(known)
        return [node for node in self._qualified.get(name, ()) if node in self.graph]

    def folded(self, name: str) -> str | None:
        """Return the node whose folded name is ``name``, or ``None``."""
        if self._folded is None:
            self._folded = {}
            for known in self.graph:
                self._folded.setdefault(fold(known), known)
        node = self._folded.get(name)
        return node if node in self.graph else None

    @property
    def spellings(self) -> dict[str, str]:
        """Entities by the spelling of their names; see :func:`memory.relational.names.spelling`."""
        if self._spellings is None:
            self._spellings = {}
            for known in self.graph:
                self._spellings.setdefault(spelling(known), known)
        return self._spellings

    def _read(self) -> "nx.MultiDiGraph[str]":
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        entity = self.aliases.entity
        named = bool(self.aliases.all())
        rows = self.store.db.execute(
            "SELECT id, head, relation, tail, strength + rehearsals, fit FROM facts WHERE valid_to IS NULL ORDER BY id"
        )
        graph.add_edges_from(
            (
                *((entity(head), entity(tail)) if named else (head, tail)),
                fact_id,
                {"relation": relation, "strength": strength, "fit": fit},
            )
            for fact_id, head, relation, tail, strength, fit in rows
        )
        return graph
