"""Nearest-neighbour search over the vectors in SQLite; the FAISS file is only a cache."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from memory import coarse
from memory.errors import InvalidItemError
from memory.files import atomic_write
from memory.store import Store

Vectors = NDArray[np.float32]
CHUNK = 65_536
KEEP_REMOVED = 10_000
"""How many removals are kept in the database for processes whose index is not up to date."""


@dataclass(frozen=True, slots=True)
class State:
    """State of the database that an index reflects.

    Attributes:
        epoch: Name of the epoch of the database; see :attr:`Store.epoch`.
        trained_on: Count of rows that the coarse quantizer was trained on; 0 for exact search.
        last_id: Greatest id in the index so far.
        last_removed: Number of the latest removal that was applied.
    """

    epoch: str = ""
    trained_on: int = 0
    last_id: int = 0
    last_removed: int = 0


class VectorIndex:
    """Inner-product search over ``traces.vector``; the index follows inserts and deletes in SQLite.

    Up to :data:`coarse.FLAT_LIMIT` rows the search is exact. Above that it uses an inverted file
    (``IndexIVFScalarQuantizer``, 16-bit). Its centroids are stored in the database, so that a rebuilt index
    gives the same answers; the number of lists that a search probes is calibrated on the data.

    Args:
        store: The database that owns the vectors.
        dim: Length of the vectors, float32.
        folder: Folder of the cache file; ``None`` keeps the index in main memory only.
    """

    def __init__(self, store: Store, dim: int, folder: Path | None = None) -> None:
        self.store = store
        self.dim = dim
        self.file = None if folder is None else folder / "traces.faiss"
        self.loaded = ""  # result of the last try to load the cache file
        self._index: Any = None
        self._state = State()
        self._saved: State | None = None
        self._look: tuple[tuple[int, int], int] | None = None
        self._rollbacks = store.rollbacks
        self._unsure: list[tuple[bool, NDArray[np.int64], Vectors]] = []
        self._sure = State()

    def __len__(self) -> int:
        """Return the count of vectors."""
        with self.store.lock:
            self.sync()
            return int(self._index.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids in the index, ascending, int64 ``[n]``."""
        with self.store.lock:
            self.sync()
            return np.sort(coarse.ids_of(self._index))

    def search(self, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Return the ``k`` nearest rows as ``(id, cosine)``, best first; fewer if the index has fewer.

        Args:
            vector: float32 ``[dim]`` of length 1.
            k: At least 1.

        Raises:
            InvalidItemError: Wrong shape, a value that is not finite, or ``k`` below 1.
        """
        if k < 1:
            raise InvalidItemError(f"k must be at least 1, got {k}")
        return self.nearest(self.check(vector), k)

    def nearest(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """Search as :meth:`search` does, with a vector that :meth:`check` returned and ``k`` of at least 1."""
        with self.store.lock:
            self.sync()
            if self._index.ntotal == 0:
                return []
            k = min(k, self._index.ntotal)
            scores, ids = self._index.search(query[None], k)
            if ids[0, -1] < 0:  # the probed lists hold fewer than k rows: search all lists
                scores, ids = coarse.search_all(self._index, query, k)
        return [(i, s) for i, s in zip(ids[0].tolist(), scores[0].tolist(), strict=True) if i >= 0]

    def check(self, vector: Vectors) -> Vectors:
        """Return ``vector`` as float32.

        Raises:
            InvalidItemError: Wrong shape, or a value that is not finite.
        """
        try:
            checked = np.asarray(vector, np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidItemError(f"expected {self.dim} numbers, got {vector!r}") from error
        if checked.shape != (self.dim,):
            raise InvalidItemError(f"vector must have shape ({self.dim},), got {checked.shape}")
        if not np.isfinite(checked).all():
            raise InvalidItemError("vector has values that are not finite")
        return checked

    @property
    def bare(self) -> Any:
        """The FAISS index itself, for benchmarks; it is out of date after the next write."""
        with self.store.lock:
            self.sync()
            return self._index

    def sync(self) -> None:
        """Apply what was written, removed or rolled back since the last call."""
        look = (self.store.stamp, self.store.db.total_changes)
        if self._index is not None and look == self._look:
            return
        try:
            with self.store.read():
                self._level()
            self._train_if_grown()
        except BaseException:
            self._index, self._saved = None, None  # the index may hold half of a change: load it again next time
            self._unsure.clear()
            raise
        self._look = (self.store.stamp, self.store.db.total_changes)

    def _level(self) -> None:
        """Update the index to one consistent state of the database."""
        if self._index is None:
            self._load()
        if self.store.rollbacks != self._rollbacks:
            self._revert()
        elif not self.store.in_transaction:
            self._unsure.clear()
        if not self._unsure:
            self._sure = self._state
        if not self._catch_up():
            self._rebuild()
        coarse.tune(self.store.db, self._index)

    def _truth(self) -> tuple[State, int]:
        """Return the present state of the database, and the number of the oldest removal that it still keeps."""
        row = self.store.db.execute(
            "SELECT (SELECT value FROM meta WHERE key = 'epoch'),"
            " coalesce((SELECT trained_on FROM coarse), 0),"
            " coalesce((SELECT max(id) FROM traces), 0),"
            " coalesce((SELECT max(seq) FROM removed), 0),"
            " coalesce((SELECT min(seq) FROM removed), 0)"
        ).fetchone()
        return State(*row[:4]), row[4]

    def _catch_up(self) -> bool:
        """Apply removals, then additions; return false if the index has to be rebuilt instead."""
        truth, first_removed = self._truth()
        here = self._state
        if (truth.epoch, truth.trained_on) != (here.epoch, here.trained_on) or here.last_removed > truth.last_removed:
            return False
        if truth.last_removed > here.last_removed:
            if here.last_removed < first_removed - 1:
                return False
            gone = self.store.db.execute(
                "SELECT trace_id FROM removed WHERE seq > ? AND trace_id <= ?", (here.last_removed, here.last_id)
            )
            self._drop(np.array([row[0] for row in gone.fetchall()], np.int64))
        for ids, vectors in self.rows(here.last_id):
            self._add(ids, vectors)
            if self.store.in_transaction:
                self._unsure.append((True, ids, vectors))
        self._state = replace(truth, last_id=max(truth.last_id, here.last_id))
        return True

    def _add(self, ids: NDArray[np.int64], vectors: Vectors) -> None:
        self._index.add_with_ids(vectors, ids)

    def _drop(self, ids: NDArray[np.int64]) -> None:
        if not len(ids):
            return
        if self.store.in_transaction:
            self._unsure.append((False, ids, np.stack([self._index.reconstruct(int(i)) for i in ids])))
        coarse.remove(self._index, ids)

    def _revert(self) -> None:
        """Undo the changes to the index from a transaction that was rolled back."""
        for added, ids, vectors in reversed(self._unsure):
            if added:
                coarse.remove(self._index, ids)
            else:
                self._index.add_with_ids(vectors, ids)
        if self._unsure:
            self._unsure.clear()
            self._state = self._sure
        self._rollbacks = self.store.rollbacks

    def rows(self, after: int) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Yield ids and vectors of the rows with ids greater than ``after``, in chunks."""
        rows = self.store.db.execute("SELECT id, vector FROM traces WHERE id > ? ORDER BY id", (after,))
        while chunk := rows.fetchmany(CHUNK):
            ids = np.array([row[0] for row in chunk], np.int64)
            yield ids, coarse.stacked([row[1] for row in chunk], self.dim)

    def _rebuild(self) -> None:
        truth = self._truth()[0]
        self._index = coarse.make(self.store.db, self.dim)
        self._unsure.clear()
        for ids, vectors in self.rows(0):
            self._index.add_with_ids(vectors, ids)
        self._state = truth
        if self.store.in_transaction:  # the index may hold rows that a rollback removes
            self._sure = State()
            self._unsure.append((True, np.zeros(0, np.int64), np.zeros((0, self.dim), np.float32)))

    def _train_if_grown(self) -> None:
        count = int(self._index.ntotal)
        if self.store.in_transaction or not coarse.outgrown(count, self._state.trained_on):
            return
        with self.store.write(upkeep=True) as db:
            if coarse.outgrown(count, self._truth()[0].trained_on):  # unless another process was quicker
                coarse.train(db, self.dim, count, self._state.last_id)
        with self.store.read():
            self._rebuild()
        coarse.calibrate(self.store, self._index)

    def _load(self) -> None:
        """Load the cached index if it is intact and fits an earlier state of the database; else make an empty one."""
        self._index = coarse.make(self.store.db, self.dim)
        self._state, self.loaded = State(), "missing"
        if self.file is None or not self.file.is_file():
            return
        self.loaded = "stale or damaged"
        known = json.loads(self.store.meta("cache") or "{}")
        try:
            with self.file.open("rb") as file:
                data = _bytes_if(file, known.get("sha256"))
        except OSError:
            return
        if data is None or known["dim"] != self.dim:
            return
        state = State(**known["state"])
        if state.trained_on != self._truth()[0].trained_on:
            return
        self._index = faiss.deserialize_index(data)
        self._state = self._saved = state
        self.loaded = "whole"

    def save(self) -> None:
        """Write the cache file and store its hash in the database; only a file with that hash is loaded later."""
        if self.file is None or self._index is None or self.store.read_only:
            return
        with self.store.write() as db:  # no other writer may come between reading the rows and storing their state
            self.sync()
            if self._state == self._saved:
                return
            data = faiss.serialize_index(self._index)
            with atomic_write(self.file, "wb", sync=True) as file:
                file.write(data.data)
            known = {"sha256": hashlib.sha256(data.data).hexdigest(), "dim": self.dim, "state": asdict(self._state)}
            db.execute("INSERT OR REPLACE INTO meta VALUES ('cache', ?)", (json.dumps(known),))
            db.execute("DELETE FROM removed WHERE seq <= ?", (self._state.last_removed - KEEP_REMOVED,))
            self._saved = self._state

    def discard(self) -> None:
        """Delete the cache file and the index in main memory."""
        self._index, self._saved, self._look = None, None, None
        self._unsure.clear()
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _bytes_if(file: io.BufferedReader, sha256: str | None) -> NDArray[np.uint8] | None:
    """Return the content of ``file`` if it has this hash, else ``None``."""
    data = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
    if file.readinto(data.data) != len(data) or hashlib.sha256(data.data).hexdigest() != sha256:
        return None
    return data
