"""Record of the embedder of a memory: vectors of two embedders, or of two versions of one, are never mixed."""

import json

import numpy as np

from memory.embedding import Embedder
from memory.errors import EmbedderError
from memory.store import Store

PROBE = "The keeper of the lighthouse wrote down the names of 12 ships."
"""Text whose vector is stored, to notice other weights under the same name."""

_SAME = 0.99
"""Least cosine of two vectors of the probe; rounding on other processors stays far above it."""


class EmbedderRecord:
    """Name, width and probe of the embedder that a memory was written with.

    Args:
        store: The database.
        embedder: The embedder that the memory is opened with.
    """

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self.store = store
        self.embedder = embedder
        self._probed: str | None = None

    def check(self) -> None:
        """Compare name and width with those on record, and record them in a new memory.

        Raises:
            EmbedderError: The memory was written with another embedder.
        """
        name, width = self.store.meta("embedder"), self._width()
        if name not in (None, self.embedder.name):
            raise EmbedderError(
                f"this memory was written with the embedder {name!r}, not {self.embedder.name!r}: open it with that"
                " one, or embed everything anew with Memory.open(..., reembed=True)"
            )
        if width not in (None, self.embedder.dim):
            raise EmbedderError(
                f"this memory was written with vectors of {width} values, and the embedder {self.embedder.name!r} now"
                f" makes {self.embedder.dim}: open it with the old one, or run `hippo memory verify FOLDER --repair`"
            )
        if name is None:
            self.write()

    def _width(self) -> int | None:
        known = self.store.meta("embedder_dim")
        if known is not None:
            return int(known)
        row = self.store.db.execute("SELECT length(vector) / 4 FROM traces ORDER BY id LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def write(self) -> None:
        """Record name and width; the probe is recorded at the first write."""
        self.store.set_meta("embedder", self.embedder.name)
        self.store.set_meta("embedder_dim", str(self.embedder.dim))

    def check_probe(self) -> None:
        """Compare the vector of the probe with the one on record, once for each opened memory and epoch.

        Raises:
            EmbedderError: The embedder has other weights than the one that the memory was written with, or makes
                vectors of
                another width than it says.
        """
        if self._probed == self.store.epoch:
            return
        vector = np.asarray(self.embedder.embed([PROBE])[0], np.float32)
        if vector.shape != (self.embedder.dim,):
            raise EmbedderError(
                f"the embedder {self.embedder.name!r} says that its vectors have {self.embedder.dim} values, and made"
                f" one of shape {vector.shape}"
            )
        known = self.store.meta("embedder_probe")
        if known is None:
            self.store.set_meta("embedder_probe", json.dumps([round(float(value), 5) for value in vector]))
        else:
            then = np.array(json.loads(known), np.float32)
            if then.shape != vector.shape or float(then @ vector) < _SAME * float(np.linalg.norm(then)):
                raise EmbedderError(
                    f"the embedder {self.embedder.name!r} makes other vectors than when this memory was written: its"
                    " weights changed; use the old ones, or run `hippo memory verify FOLDER --repair`, which embeds"
                    " everything anew"
                )
        self._probed = self.store.epoch

    def reembed(self) -> int:
        """Embed the keys of all traces again, and forget all other vectors; return the count of traces.

        Raises:
            StorageError: The memory can't be written.
        """
        db = self.store.db
        with self.store.write():
            rows = db.execute("SELECT id, key FROM traces ORDER BY id").fetchall()
            for start in range(0, len(rows), 256):
                part = rows[start : start + 256]
                vectors = np.asarray(self.embedder.embed([key for _, key in part]), np.float32)
                db.executemany(
                    "UPDATE traces SET vector = ? WHERE id = ?",
                    [(vector.tobytes(), row[0]) for row, vector in zip(part, vectors, strict=True)],
                )
            for table in ("entity_vectors", "relation_vectors", "coarse"):
                db.execute(f"DELETE FROM {table}")
            db.execute("DELETE FROM meta WHERE key IN ('embedder_probe', 'cache')")
            self.write()
            self.store.new_epoch()
        self.store.invalidate()
        self.check_probe()
        return len(rows)
