"""The FAISS index behind :class:`~memory.vectors.VectorIndex`: exact when small, an inverted file when large.

The inverted file follows Jégou, Douze and Schmid (2011): each row is in the list of its nearest k-means
centroid, and a search scans the lists of the few nearest centroids. Rows are stored with 16 bits per dimension.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from memory.store import Store

FLAT_LIMIT = 20_000
"""Greatest number of rows for which the search is exact."""

GROWTH = 4
"""The centroids are trained again when the number of rows has grown by this factor."""

POINTS_PER_CENTROID = 40
RECALL = 0.995
"""Share of the true eight nearest rows that a calibrated search finds, unless that needs too many lists."""

FEWEST, MOST = 32, 20
ROWS = 16_384
"""A search probes at least 1/FEWEST of the lists; at most 1/MOST of them, or as many as hold about ROWS rows,
whichever is more."""

_HASHTABLE = 2  # faiss::DirectMap::Hashtable: rows can be removed and read back by id
_CALIBRATION_CUES = 128
_NEIGHBOURS = 8


def make(db: sqlite3.Connection, dim: int) -> Any:
    """Make an empty index: inverted lists if the database holds centroids, else a flat index."""
    row = db.execute("SELECT nprobe, centroids FROM coarse").fetchone()
    if row is None:
        return faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    centroids = np.frombuffer(row[1], np.float32).reshape(-1, dim)
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dim, len(centroids), faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.is_trained = True
    index.set_direct_map_type(_HASHTABLE)
    index.nprobe = row[0]
    return index


def tune(db: sqlite3.Connection, index: Any) -> None:
    """Set how many lists a search probes, to the calibrated number."""
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = db.execute("SELECT nprobe FROM coarse").fetchone()[0]


def search_all(index: Any, query: NDArray[np.float32], k: int) -> tuple[Any, Any]:
    """Search every list; return scores and ids, each ``[1, k]``."""
    probed, index.nprobe = index.nprobe, index.nlist
    try:
        hits: tuple[Any, Any] = index.search(query[None], k)
    finally:
        index.nprobe = probed
    return hits


def outgrown(count: int, trained_on: int) -> bool:
    """Return whether an index of ``count`` rows needs centroids, or new ones."""
    return count > (GROWTH * trained_on if trained_on else FLAT_LIMIT)


def stacked(blobs: Sequence[bytes], dim: int) -> NDArray[np.float32]:
    """Return stored vectors as float32 ``[n, dim]``; one of another width becomes zeros, which are like nothing.

    `hippo memory verify` names such rows, and ``--repair`` embeds them again.
    """
    if all(len(blob) == 4 * dim for blob in blobs):
        return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), dim)
    none = bytes(4 * dim)
    return np.frombuffer(b"".join(b if len(b) == 4 * dim else none for b in blobs), np.float32).reshape(-1, dim)


def train(db: sqlite3.Connection, dim: int, count: int, last_id: int) -> None:
    """Train centroids on a sample of the rows and store them; the same rows give the same centroids."""
    lists = max(64, round(4 * count**0.5))
    wanted = min(count, POINTS_PER_CENTROID * lists)
    step = max(1, last_id // wanted)
    rows = db.execute("SELECT vector FROM traces WHERE id % ? = 0 ORDER BY id", (step,)).fetchall()
    if len(rows) < lists:
        rows = db.execute("SELECT vector FROM traces ORDER BY id LIMIT ?", (wanted,)).fetchall()
    sample = stacked([row[0] for row in rows], dim)
    kmeans = faiss.Kmeans(
        dim,
        lists,
        niter=10,
        seed=0,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_CENTROID,
    )
    kmeans.train(sample)
    centroids = np.asarray(kmeans.centroids, np.float32)
    db.execute(
        "INSERT OR REPLACE INTO coarse VALUES (1, ?, ?, ?)", (count, max(1, len(centroids) // 16), centroids.tobytes())
    )


def calibrate(store: Store, index: Any) -> None:
    """Find the fewest lists that reach :data:`RECALL`, within bounds, and store their number.

    Each cue is a mixture of two rows, with weights 0.8 and 0.6, because a cue that people give is
    similar to the trace that it means but not equal to it.
    """
    last = store.db.execute("SELECT max(id) FROM traces").fetchone()[0]
    picks = np.random.default_rng(0).integers(1, last + 1, 2 * _CALIBRATION_CUES)
    blobs = [
        store.db.execute("SELECT vector FROM traces WHERE id >= ? ORDER BY id LIMIT 1", (int(pick),)).fetchone()[0]
        for pick in picks
    ]
    rows = stacked(blobs, index.d).reshape(2, _CALIBRATION_CUES, index.d)
    cues = 0.8 * rows[0] + 0.6 * rows[1]
    cues /= np.maximum(np.linalg.norm(cues, axis=1, keepdims=True), 1e-9)
    index.nprobe = index.nlist
    true = index.search(cues, _NEIGHBOURS)[1]
    cheap = ROWS * index.nlist // index.ntotal
    low, high = max(1, index.nlist // FEWEST), min(index.nlist, max(1, index.nlist // MOST, cheap))
    while low < high:
        index.nprobe = middle = (low + high) // 2
        nearest = index.search(cues, _NEIGHBOURS)[1]
        share = np.mean(
            [len(set(a) & set(b)) / _NEIGHBOURS for a, b in zip(nearest.tolist(), true.tolist(), strict=True)]
        )
        low, high = (low, middle) if share >= RECALL else (middle + 1, high)
    index.nprobe = low
    with store.write(upkeep=True) as db:
        db.execute("UPDATE coarse SET nprobe = ?", (low,))


def remove(index: Any, ids: NDArray[np.int64]) -> None:
    """Remove rows from the index; ids that are not in it are ignored."""
    if len(ids):
        index.remove_ids(faiss.IDSelectorArray(len(ids), faiss.swig_ptr(ids)))


def ids_of(index: Any) -> NDArray[np.int64]:
    """Return every id in the index, in no particular order."""
    if isinstance(index, faiss.IndexIVF):
        lists: Any = index.invlists
        parts = [
            faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
            for number in range(index.nlist)
            if lists.list_size(number)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)
    return np.asarray(faiss.vector_to_array(index.id_map), np.int64)
