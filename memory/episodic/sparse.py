"""Sparse keys in the manner of the dentate gyrus: project keys to many units, keep the winners, search inverted lists.

A random projection maps a key to many more units, of which only the k most active stay (k-winners-take-all,
k-WTA), as in the fly's olfactory circuit (Dasgupta, Stevens and Navlakha 2017) and models of the dentate gyrus
(O'Reilly and McClelland 1994). Off by default; docs/results/cues.md reports its effect.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from memory.coarse import stacked
from memory.store import Store

Vectors = NDArray[np.float32]
_TAIL_SHARE = 0.1
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class SparseKeys:
    """Sparse keys: the winning units of some dense keys.

    Attributes:
        indices: int32 ``[n, k]``, units in ascending order.
        values: float32 ``[n, k]``, their activities; rows have length 1.
    """

    indices: NDArray[np.int32]
    values: Vectors


class DGKey(BaseModel):
    """Settings of the k-WTA projection of a dense key: ``dim -> d_k`` units, of which ``k`` stay active."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    d_k: int = Field(4096, ge=2, description="Number of units.")
    k: int = Field(128, ge=1, description="Number of winners.")
    seed: int = Field(0, description="Seed of the projection.")

    @model_validator(mode="after")
    def _fits(self) -> "DGKey":
        if self.k > self.d_k:
            raise ValueError(f"expected at most d_k = {self.d_k} winners, got k = {self.k}")
        return self

    def projection(self, dim: int) -> Vectors:
        """Return the random weights, float32 ``[dim, d_k]``; the same seed gives the same weights."""
        return np.random.default_rng(self.seed).standard_normal((dim, self.d_k), np.float32)

    def encode(self, dense: Vectors, weights: Vectors | None = None) -> SparseKeys:
        """Return the winners of dense keys, float32 ``[n, dim]``; ``weights`` avoids drawing the projection again."""
        activity = dense @ (self.projection(dense.shape[1]) if weights is None else weights)
        winners = np.sort(np.argpartition(-activity, self.k - 1, axis=1)[:, : self.k], axis=1)
        values = np.maximum(np.take_along_axis(activity, winners, axis=1), 0.0)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
        return SparseKeys(winners.astype(np.int32), values.astype(np.float32))


class SparseIndex:
    """Inverted lists over the sparse keys of all traces, with a short tail of new keys that no list holds yet.

    Args:
        store: The database.
        dim: Length of the dense keys.
        key: The projection.
    """

    def __init__(self, store: Store, dim: int, key: DGKey) -> None:
        self.store = store
        self.dim = dim
        self.key = key
        self.weights = key.projection(dim)
        self._look: object = None
        self._removed: object = None
        self._ids = np.zeros(0, np.int64)
        self._keys = SparseKeys(np.zeros((0, key.k), np.int32), np.zeros((0, key.k), np.float32))
        self._sorted = 0
        self._rows, self._values = np.zeros(0, np.int64), np.zeros(0, np.float32)
        self._starts = np.zeros(key.d_k + 1, np.int64)

    def search(self, dense: Vectors, k: int) -> list[tuple[int, float]]:
        """Return the ``k`` rows whose sparse keys overlap most with that of ``dense``, as ``(id, overlap)``."""
        with self.store.lock:
            self._sync()
            if not len(self._ids):
                return []
            query = self.key.encode(dense[None], self.weights)
            scores = np.zeros(len(self._ids), np.float32)
            for unit, value in zip(query.indices[0], query.values[0], strict=True):
                span = slice(self._starts[unit], self._starts[unit + 1])
                scores[self._rows[span]] += value * self._values[span]
            active = np.zeros(self.key.d_k, np.float32)
            active[query.indices[0]] = query.values[0]
            tail = slice(self._sorted, None)
            scores[tail] = (active[self._keys.indices[tail]] * self._keys.values[tail]).sum(1)
            best = np.argsort(-scores, kind="stable")[:k]
            return [(int(self._ids[row]), float(scores[row])) for row in best]

    def _sync(self) -> None:
        look = (self.store.stamp, self.store.db.total_changes)
        if look == self._look:
            return
        removed = self.store.db.execute(
            "SELECT (SELECT value FROM meta WHERE key = 'epoch'), (SELECT max(seq) FROM removed), ?",
            (self.store.rollbacks,),
        ).fetchone()
        if removed != self._removed:
            self._ids, self._sorted, self._removed = self._ids[:0], 0, removed
            self._keys = SparseKeys(self._keys.indices[:0], self._keys.values[:0])
        last = int(self._ids[-1]) if len(self._ids) else 0
        rows = self.store.db.execute("SELECT id, vector FROM traces WHERE id > ? ORDER BY id", (last,))
        ids, indices, values = [self._ids], [self._keys.indices], [self._keys.values]
        while chunk := rows.fetchmany(_CHUNK):
            dense = stacked([row[1] for row in chunk], self.dim)
            new = self.key.encode(dense, self.weights)
            ids.append(np.array([row[0] for row in chunk], np.int64))
            indices.append(new.indices)
            values.append(new.values)
        self._ids = np.concatenate(ids)
        self._keys = SparseKeys(np.concatenate(indices), np.concatenate(values))
        if len(self._ids) - self._sorted > _TAIL_SHARE * len(self._ids) or not self._sorted:
            self._sort()
        self._look = look

    def _sort(self) -> None:
        """Build the inverted lists of all keys."""
        units = self._keys.indices.ravel()
        order = np.argsort(units, kind="stable")
        self._rows = np.repeat(np.arange(len(self._ids)), self._keys.indices.shape[1])[order]
        self._values = self._keys.values.ravel()[order]
        self._starts = np.searchsorted(units[order], np.arange(self.key.d_k + 1))
        self._sorted = len(self._ids)
