"""The facts that hold now as a NetworkX multigraph in main memory, kept level with the database."""

import networkx as nx

from memory.relational.aliases import Aliases
from memory.relational.names import fold
from memory.store import Store


class Mirror:
    """A multigraph over the table ``facts``; whoever changes a row tells it, or has it read anew.

    Args:
        store: The database.
        aliases: Nodes are entities, whatever name was told.

    Attributes:
        graph: Edges have the fact's id as key and ``relation``, ``strength`` and ``fit``.
    """

    def __init__(self, store: Store, aliases: Aliases) -> None:
        self.store = store
        self.aliases = aliases
        self.graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self._stamp: tuple[int, int, int] | None = None
        self._spellings: dict[str, str] | None = None

    def sync(self, anew: bool = False) -> None:
        """Read the rows again if others wrote, a transaction was undone, or names were joined since.

        Args:
            anew: Read them whatever happened.
        """
        with self.store.lock:
            now = self._now()
            if anew or now != self._stamp:
                self.graph, self._stamp, self._spellings = self._read(), now, None

    def unmoved(self) -> None:
        """Take note that what was joined just now is in no fact yet."""
        self._stamp = self._now()

    def _now(self) -> tuple[int, int, int]:
        self.aliases.entity("")  # brings the names level first
        return (*self.store.stamp, self.aliases.version)

    def add(self, fact_id: int, head: str, relation: str, tail: str, strength: int, fit: float) -> None:
        """Take in a fact that holds."""
        ends = self.aliases.entity(head), self.aliases.entity(tail)
        self.graph.add_edge(*ends, fact_id, relation=relation, strength=strength, fit=fit)

    def strengthen(self, fact_id: int, head: str, tail: str, fit: float) -> None:
        """Count a fact that was told again."""
        edge = self.graph.edges[self.aliases.entity(head), self.aliases.entity(tail), fact_id]
        edge["strength"] += 1
        edge["fit"] = max(edge["fit"], fit)

    def drop(self, fact_id: int, head: str, tail: str) -> None:
        """Leave out a fact that ended, and entities that nothing holds of any more."""
        ends = self.aliases.entity(head), self.aliases.entity(tail)
        if self.graph.has_edge(*ends, fact_id):
            self.graph.remove_edge(*ends, fact_id)
        self.graph.remove_nodes_from([n for n in {*ends} if n in self.graph and not self.graph.degree(n)])

    @property
    def spelled(self) -> dict[str, str]:
        """Entities by their folded names."""
        if self._spellings is None:
            self._spellings = {}
            for known in self.graph:
                self._spellings.setdefault(fold(known), known)
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
