"""Backends of the search for similar vectors: FAISS, or one of your own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory.errors import InvalidItemError
from memory.nearest import did_you_mean
from memory.registered import names, registered
from memory.store import Store
from memory.vectors import State, VectorIndex, Vectors

GROUP = "hippo.memory"
"""Group of entry points with which an installed package offers a backend."""

Ids = NDArray[np.int64]


class VectorBackend(Protocol):
    """A search over vectors of length 1, which a class of your own can do with any library or server.

    The vectors are kept in the memory's own database, which is the truth: a backend is filled from it when a memory is
    opened. It is made with the length of the vectors, ``MyBackend(dim)``. Three lines of a package's
    pyproject.toml register it::

        [project.entry-points."hippo.memory"]
        mine = "my_package:MyBackend"
    """

    def __len__(self) -> int:
        """Return the count of vectors."""
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, float32 ``[n, dim]``, under new ids, int64 ``[n]``."""
        ...

    def remove(self, ids: Ids) -> None:
        """Remove vectors; ids that are not there are passed over."""
        ...

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """Return ids and inner products of the at most ``k`` nearest vectors, best first.

        Args:
            query: float32 ``[dim]`` of length 1.
            k: At least 1.
        """
        ...


Backend = str | Callable[[int], VectorBackend]
"""A backend by name (``faiss``, or one that a package registered), or what makes one of the length of vectors."""


def index_of(backend: Backend, store: Store, dim: int, folder: Any) -> VectorIndex:
    """Return the index of a memory's vectors.

    Raises:
        InvalidItemError: There is no such backend, or it lacks a method.
        PluginError: It can't be imported.
    """
    if backend == "faiss":
        return VectorIndex(store, dim, folder)
    make: Any = registered(GROUP, backend) if isinstance(backend, str) else backend
    if make is None:
        known = ["faiss", *names(GROUP)]
        raise InvalidItemError(f"unknown backend {backend!r} of the memory: {did_you_mean(str(backend), known)}")
    if not callable(make):
        raise InvalidItemError(f"backend {backend!r} of the memory: expected a name, or what makes one of a dimension")
    made = make(dim)
    if lacking := [name for name in ("__len__", "add", "remove", "search") if not callable(getattr(made, name, None))]:
        raise InvalidItemError(f"backend {backend!r} lacks {', '.join(lacking)}: see memory.backends.VectorBackend")
    return BackedIndex(store, dim, lambda: make(dim), made)


class BackedIndex(VectorIndex):
    """An index over a backend; it follows what is written, removed or rolled back in the database.

    Args:
        store: The database that owns the vectors.
        dim: Length of the vectors, float32.
        make: Makes an empty backend.
        first: One that was made already.
    """

    def __init__(
        self, store: Store, dim: int, make: Callable[[], VectorBackend], first: VectorBackend | None = None
    ) -> None:
        super().__init__(store, dim)
        self._make = make
        self._first = first

    def __len__(self) -> int:
        """Return the count of vectors."""
        with self.store.lock:
            self.sync()
            return len(self._index)

    def ids(self) -> Ids:
        """Return the ids in the index, ascending, int64 ``[n]``."""
        with self.store.lock:
            self.sync()
            rows = self.store.db.execute("SELECT id FROM traces ORDER BY id").fetchall()
            known = np.array([row[0] for row in rows], np.int64)
            return known if len(self._index) == len(known) else known[:0]  # a backend can't be asked for its ids

    def nearest(self, query: Vectors, k: int) -> list[tuple[int, float]]:
        """Search as :meth:`search` does, with a vector that :meth:`check` returned and ``k`` of at least 1."""
        with self.store.lock:
            self.sync()
            count = len(self._index)
            if count == 0:
                return []
            ids, scores = self._index.search(query, min(k, count))
        return [(int(i), float(s)) for i, s in zip(ids, scores, strict=True)]

    def _level(self) -> None:
        if self._index is None or self.store.rollbacks != self._rollbacks:
            self._rebuild()
            self._rollbacks = self.store.rollbacks
        elif not self._catch_up():
            self._rebuild()

    def _add(self, ids: Ids, vectors: Vectors) -> None:
        self._index.add(ids, vectors)

    def _drop(self, ids: Ids) -> None:
        if len(ids):
            self._index.remove(ids)

    def _rebuild(self) -> None:
        truth = self._truth()[0]
        first, self._first = self._first, None
        self._index = self._make() if first is None else first
        for ids, vectors in self.rows(0):
            self._index.add(ids, vectors)
        self._state = replace(State(), epoch=truth.epoch, last_id=truth.last_id, last_removed=truth.last_removed)

    def _truth(self) -> tuple[State, int]:
        """Return the present state of the database; a backend has no centroids that were trained."""
        state, first = super()._truth()
        return replace(state, trained_on=0), first

    def _train_if_grown(self) -> None:
        """Do nothing: a backend sees to its own speed."""

    def save(self) -> None:
        """Do nothing: the database has the vectors."""
