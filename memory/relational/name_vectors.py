"""Embeddings of relations and of names of entities, stored in the database in half precision."""

import json
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from memory.embedding import Embedder
from memory.relational.graph_cache import GraphCache
from memory.store import Store

Vectors = NDArray[np.float32]

NewVectors = dict[str, list[tuple[str, bytes]]]
"""Vectors that were computed for a question, by table: names and half-precision bytes."""

_EMBEDDED_AT_ONCE = 2000


class NameVectors:
    """Store of the vectors of names; vectors of new names are computed when a question needs them.

    Args:
        store: The database.
        cache: The facts that hold now.
        embedder: Turns names into vectors.
    """

    def __init__(self, store: Store, cache: GraphCache, embedder: Embedder) -> None:
        self.store = store
        self.cache = cache
        self.embedder = embedder

    def relations(self, relations: Sequence[str], new: NewVectors) -> dict[str, Vectors]:
        """Return the vectors of relations, float32 ``[dim]`` each.

        Args:
            relations: Names of relations.
            new: Receives the vectors that were made, for :meth:`keep`.
        """
        rows = self.store.db.execute(
            "SELECT name, vector FROM relation_vectors WHERE name IN (SELECT value FROM json_each(?))",
            (json.dumps(list(relations)),),
        )
        known = {name: np.frombuffer(vector, np.float16).astype(np.float32) for name, vector in rows.fetchall()}
        missing = [name for name in relations if name not in known]
        if missing:
            vectors = self.embedder.embed([name.replace("_", " ") for name in missing]).astype(np.float16)
            new["relation_vectors"] = [(name, vector.tobytes()) for name, vector in zip(missing, vectors, strict=True)]
            known |= zip(missing, vectors.astype(np.float32), strict=True)
        return known

    def entities(self, new: NewVectors) -> tuple[list[str], Vectors]:
        """Return the names of entities with their vectors, float32 ``[names, dim]``.

        At most 2,000 new names are embedded each time, the latest first.

        Args:
            new: Receives the vectors that were made, for :meth:`keep`.
        """
        graph = self.cache.graph
        known = dict(self.store.db.execute("SELECT name, vector FROM entity_vectors").fetchall())
        missing = list(islice((name for name in reversed(list(graph)) if name not in known), _EMBEDDED_AT_ONCE))
        if missing:
            vectors = self.embedder.embed(missing).astype(np.float16)
            new["entity_vectors"] = [(name, vector.tobytes()) for name, vector in zip(missing, vectors, strict=True)]
            known |= new["entity_vectors"]
        names = [name for name in known if name in graph]
        joined = np.frombuffer(b"".join(known[name] for name in names), np.float16).astype(np.float32)
        return names, joined.reshape(len(names), self.embedder.dim)

    def keep(self, new: NewVectors) -> None:
        """Store the vectors that were computed for a question, except those of names that no fact has any more."""
        if not any(new.values()) or self.store.db.in_transaction:
            return
        with self.store.write(upkeep=True) as db:
            self.cache.sync()
            db.executemany(
                "INSERT OR IGNORE INTO relation_vectors SELECT ?1, ?2"
                " WHERE EXISTS (SELECT 1 FROM facts WHERE relation = ?1)",
                new.get("relation_vectors", []),
            )
            rows = [(name, vector) for name, vector in new.get("entity_vectors", []) if name in self.cache.graph]
            db.executemany("INSERT OR IGNORE INTO entity_vectors VALUES (?, ?)", rows)
