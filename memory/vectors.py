"""Nearest-neighbour search over the vectors in SQLite; the FAISS file is only a cache."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from memory.errors import InvalidItemError
from memory.store import Store


class VectorIndex:
    """Exact inner-product search over ``traces.vector``, rebuilt from SQLite when in doubt.

    Args:
        store: The database that owns the vectors.
        dim: Length of the vectors, float32.
        folder: Where the cache file lies; ``None`` keeps it in main memory only.
    """

    def __init__(self, store: Store, dim: int, folder: Path | None = None) -> None:
        self.store = store
        self.dim = dim
        self.file = None if folder is None else folder / "traces.faiss"
        self._stamp: tuple[int, int] | None = None
        self._index: Any = None

    def __len__(self) -> int:
        """Count of vectors."""
        with self.store.lock:
            self.sync()
            return int(self._index.ntotal)

    def search(self, vector: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
        """The ``k`` nearest rows as ``(id, cosine)``, best first; fewer if there are fewer.

        Args:
            vector: float32 ``[dim]`` of length 1.
            k: At least 1.

        Raises:
            InvalidItemError: Wrong shape, a value that is not finite, or ``k`` below 1.
        """
        if k < 1:
            raise InvalidItemError(f"k must be at least 1, got {k}")
        query = self.check(vector)
        with self.store.lock:
            self.sync()
            if self._index.ntotal == 0:
                return []
            scores, ids = self._index.search(query[None], min(k, self._index.ntotal))
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def check(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``vector`` as float32, or say what is wrong with it."""
        checked = np.asarray(vector, np.float32)
        if checked.shape != (self.dim,):
            raise InvalidItemError(f"vector must have shape ({self.dim},), got {checked.shape}")
        if not np.isfinite(checked).all():
            raise InvalidItemError("vector has values that are not finite")
        return checked

    def add(self, row_id: int, vector: NDArray[np.float32]) -> None:
        """Add one row that was just written to SQLite; ``sync`` came before the row was written."""
        self._index.add_with_ids(vector[None], np.array([row_id], np.int64))

    def remove(self, row_id: int) -> None:
        """Remove one row that was just deleted from SQLite; ``sync`` came before."""
        self._index.remove_ids(np.array([row_id], np.int64))

    def sync(self) -> None:
        """Take in what other processes wrote, or what was rolled back, since the last look."""
        stamp = self.store.stamp
        if self._index is not None and stamp == self._stamp:
            return
        self._index = (self._load() if self._index is None else None) or self._rebuild()
        self._stamp = stamp

    def _rebuild(self) -> Any:
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(self.dim))
        rows = self.store.db.execute("SELECT id, vector FROM traces ORDER BY id").fetchall()
        if rows:
            vectors = np.stack([np.frombuffer(blob, np.float32) for _, blob in rows])
            index.add_with_ids(vectors, np.array([row[0] for row in rows], np.int64))
        return index

    def _load(self) -> Any:
        """The cached index, or ``None`` when it is missing, damaged or of another generation."""
        if self.file is None:
            return None
        try:
            manifest = json.loads(self.file.with_suffix(".json").read_text())
            data = self.file.read_bytes()
            fits = (
                manifest["sha256"] == hashlib.sha256(data).hexdigest()
                and manifest["generation"] == self.store.generation
                and manifest["dim"] == self.dim
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not fits:
            return None
        index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        count = self.store.db.execute("SELECT count(*) FROM traces").fetchone()[0]
        return index if index.ntotal == count else None

    def save(self) -> None:
        """Write the cache file, atomically; a reader sees the old one or the new one."""
        if self.file is None or self._index is None:
            return
        with self.store.write():  # nobody may write between reading the rows and their generation
            self.sync()
            data = faiss.serialize_index(self._index).tobytes()
            generation = self.store.generation
        manifest = {"sha256": hashlib.sha256(data).hexdigest(), "generation": generation, "dim": self.dim}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        _replace(self.file, data)
        _replace(self.file.with_suffix(".json"), json.dumps(manifest).encode())


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
