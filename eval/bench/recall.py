"""Recall of one trace among many by its vector: exactness, speed, memory, build time, and other libraries.

::

    python -m eval.bench.recall --n 1000000 --json
    python -m eval.bench.recall --n 100000 --peers --plot docs/img/recall.png --json     # extras: bench, peers

Vectors are distributed like sentence embeddings (see ``eval/bench/vectors.py``); cues come from the same
clusters but are not stored. ``recall@8`` is relative to exact search over all rows. ``ratio_to_bare`` is the
median time of ``EpisodicStore.recall``, including traces and provenance, divided by that of its FAISS index
alone; both answer each cue in turn. The other libraries hold the same vectors and answer the same cues;
their search width is the smallest that reaches recall@8 of 0.99.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.report import tell
from eval.bench.torture import in_child
from eval.bench.vectors import Mixture, mixture, spread
from eval.plots import bars
from eval.probes.stories import ADJECTIVES, NAMES, ROOMS, SIDES, THINGS, VERBS
from eval.statistics import bootstrap_ci, median_ci, median_ratio_ci
from memory import HashingEmbedder, Memory
from memory.episodic import Event

K = 8
CHUNK = 50_000
MEMBERS = 100
"""Members of a cluster, in the mean."""

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass
class World:
    """The vectors of one size, drawn again whenever they are needed.

    Attributes:
        drawn: The mixture.
        count: How many rows.
        centres: Their clusters.
    """

    drawn: Mixture
    count: int
    centres: Vectors

    def chunks(self) -> Iterator[Vectors]:
        """All rows, in chunks."""
        for start in range(0, self.count, CHUNK):
            yield self.drawn.members(self.centres, min(CHUNK, self.count - start), seed=1 + start)

    def cues(self, count: int, seed: int = 2**31) -> Vectors:
        """Cues that are no rows."""
        return self.drawn.members(self.centres, count, seed)

    def nearest(self, cues: Vectors) -> Ids:
        """Row numbers of the true ``K`` nearest of each cue, from an exact scan."""
        scores = np.full((len(cues), K), -np.inf, np.float32)
        rows = np.zeros((len(cues), K), np.int64)
        start = 0
        for chunk in self.chunks():
            here = cues @ chunk.T
            best = np.argpartition(-here, min(K, here.shape[1]) - 1, axis=1)[:, :K]
            scores = np.concatenate([scores, np.take_along_axis(here, best, axis=1)], axis=1)
            rows = np.concatenate([rows, best + start], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
            scores, rows = np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
            start += len(chunk)
        return rows


def sentences(count: int, start: int) -> list[Event]:
    """Events with words of a small vocabulary and a number of their own."""
    rng = np.random.default_rng(start)
    lists = [NAMES, list(VERBS), list(ADJECTIVES), list(THINGS), list(SIDES), list(ROOMS)]
    picks = [rng.integers(len(words), size=count) for words in lists]
    events = []
    for i in range(count):
        who, verb, adjective, thing, side, room = (words[p[i]] for words, p in zip(lists, picks, strict=True))
        key = f"{who} {verb} the {adjective} {thing} in the {side} {room}, number {start + i}"
        events.append(Event(key, {"who": who, "where": f"{side} {room}"}, "bench"))
    return events


def resident() -> int:
    """Bytes of main memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def p50(work: Callable[[Vectors], object], cues: Vectors) -> list[float]:
    """Milliseconds of each cue."""
    times = []
    for cue in cues:
        began = time.perf_counter()
        work(cue)
        times.append(1e3 * (time.perf_counter() - began))
    return times


def overlap(found: Sequence[Sequence[int]], true: Ids) -> list[float]:
    """Share of the true nearest that was found, for each cue."""
    return [len(set(a) & set(b)) / K for a, b in zip(found, true.tolist(), strict=True)]


def fill(world: World, folder: Path) -> dict[str, float]:
    """Fill a memory and close it; seconds of writing, of building the index and of closing."""
    began = time.perf_counter()
    with Memory.open(folder, HashingEmbedder(world.centres.shape[1])) as memory:
        for number, chunk in enumerate(world.chunks()):
            memory.episodic.write_many(sentences(len(chunk), number * CHUNK), chunk)
        written = time.perf_counter() - began
        began = time.perf_counter()
        len(memory.episodic.index)
        built = time.perf_counter() - began
        began = time.perf_counter()
    return {"write_s": written, "build_s": built, "close_s": time.perf_counter() - began}


def ours(folder: Path, cues: Vectors, true: Ids, warm_up: Vectors) -> dict[str, Any]:
    """Open a memory that was filled, and measure after cues of other traces."""
    before = resident()
    began = time.perf_counter()
    with Memory.open(folder, HashingEmbedder(cues.shape[1])) as memory:
        bare = memory.episodic.index.bare
        reopened = time.perf_counter() - began
        held = resident() - before
        for cue in warm_up:
            memory.episodic.recall(cue, K)
        memory_ms: list[float] = []
        bare_ms: list[float] = []
        recalled: list[list[int]] = []
        for number, cue in enumerate(cues):
            jobs = [
                ("ours", lambda c=cue: memory.episodic.recall(c, K)),
                ("bare", lambda c=cue: bare.search(c[None], K)),
            ]
            for name, job in jobs if number % 2 else reversed(jobs):
                start = time.perf_counter()
                result = job()
                took = 1e3 * (time.perf_counter() - start)
                (memory_ms if name == "ours" else bare_ms).append(took)
                if name == "ours":
                    recalled.append([hit.trace.id for hit in result])
        count = len(memory.episodic)
        written = memory.store.db.execute("SELECT id FROM traces ORDER BY id").fetchall()
        place = {row[0]: number for number, row in enumerate(written)}
        shares = overlap([[place[row] for row in ids] for ids in recalled], true)
        words = [event.key.split(",")[0] for event in sentences(100, 0)]
        by_words = []
        for text in words:
            start = time.perf_counter()
            memory.episodic.recall(text, K)
            by_words.append(1e3 * (time.perf_counter() - start))
        lists = memory.store.db.execute("SELECT nprobe, length(centroids) FROM coarse").fetchone()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        f"recall@{K}": float(np.mean(shares)),
        "recall_ci95": bootstrap_ci(shares),
        "p50_ms": float(np.median(memory_ms)),
        "p95_ms": float(np.quantile(memory_ms, 0.95)),
        "bare_p50_ms": float(np.median(bare_ms)),
        "ratio_to_bare": float(np.median(memory_ms) / np.median(bare_ms)),
        "ratio_ci95": median_ratio_ci(memory_ms, bare_ms),
        "p50_ci95": median_ci(memory_ms),
        "text_p50_ms": float(np.median(by_words)),
        "lists": None if lists is None else lists[1] // (4 * cues.shape[1]),
        "probed": None if lists is None else lists[0],
        "reopen_s": reopened,
        "ram_bytes_per_trace": held / count,
        "disk_bytes_per_trace": size / count,
    }


def _peer(
    search: Callable[[Vectors], Sequence[int]],
    widen: Callable[[int], None],
    world: World,
    cues: Vectors,
    true: Ids,
) -> dict[str, Any]:
    """Find the smallest search width with recall of 0.99 on other cues, then measure."""
    tuning = world.cues(200, seed=2**30)
    nearest = world.nearest(tuning)
    for width in (8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024):
        widen(width)
        if float(np.mean(overlap([search(cue) for cue in tuning], nearest))) >= 0.99:
            break
    shares = overlap([search(cue) for cue in cues], true)
    times = p50(search, cues)
    return {
        f"recall@{K}": float(np.mean(shares)),
        "width": width,
        "p50_ms": float(np.median(times)),
        "p50_ci95": median_ci(times),
    }


def peers(world: World, cues: Vectors, true: Ids) -> list[dict[str, Any]]:
    """Peers: usearch and hnswlib (HNSW in main memory, M 16) and Chroma (persistent) on the same vectors.

    Each in a process of its own, so that what it holds in main memory is its own.
    """
    jobs = {"usearch, 16 bit": _usearch, "hnswlib, 32 bit": _hnswlib, "Chroma, 32 bit": _chroma}
    return [{"name": name, **in_child(job, world, cues, true)} for name, job in jobs.items()]


def _usearch(world: World, cues: Vectors, true: Ids) -> dict[str, Any]:
    from usearch.index import Index

    before, began = resident(), time.perf_counter()
    index = Index(ndim=cues.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
    for number, chunk in enumerate(world.chunks()):
        index.add(np.arange(len(chunk)) + number * CHUNK, chunk)
    built, held = time.perf_counter() - began, resident() - before

    def widen(width: int) -> None:
        index.expansion_search = width

    figures = _peer(lambda cue: index.search(cue, K).keys.tolist(), widen, world, cues, true)
    return {**figures, "build_s": built, "ram_bytes_per_trace": held / world.count}


def _hnswlib(world: World, cues: Vectors, true: Ids) -> dict[str, Any]:
    import hnswlib

    before, began = resident(), time.perf_counter()
    index = hnswlib.Index(space="ip", dim=cues.shape[1])
    index.init_index(max_elements=world.count, ef_construction=128, M=16)
    for number, chunk in enumerate(world.chunks()):
        index.add_items(chunk, np.arange(len(chunk)) + number * CHUNK)
    built, held = time.perf_counter() - began, resident() - before

    def search(cue: Vectors) -> list[int]:
        return list(index.knn_query(cue, k=K)[0][0].tolist())

    figures = _peer(search, index.set_ef, world, cues, true)
    return {**figures, "build_s": built, "ram_bytes_per_trace": held / world.count}


def _chroma(world: World, cues: Vectors, true: Ids) -> dict[str, Any]:
    import chromadb
    from chromadb.config import Settings

    folder = tempfile.mkdtemp(prefix="hippo-chroma-")
    try:
        before, began = resident(), time.perf_counter()
        client = chromadb.PersistentClient(folder, Settings(anonymized_telemetry=False))
        shelf = client.create_collection(
            "traces",
            configuration={"hnsw": {"space": "ip", "ef_construction": 128, "max_neighbors": 16, "ef_search": 64}},
            embedding_function=None,
        )
        start = 0
        for chunk in world.chunks():
            for part in range(0, len(chunk), 5000):
                some = chunk[part : part + 5000]
                shelf.add(ids=[str(start + part + i) for i in range(len(some))], embeddings=some)
            start += len(chunk)
        built, held = time.perf_counter() - began, resident() - before

        def search(cue: Vectors) -> list[int]:
            answer = shelf.query(query_embeddings=cue[None], n_results=K, include=["distances"])
            return [int(row) for row in answer["ids"][0]]

        def widen(width: int) -> None:
            shelf.modify(configuration={"hnsw": {"ef_search": width}})

        figures = _peer(search, widen, world, cues, true)
        return {**figures, "build_s": built, "ram_bytes_per_trace": held / world.count}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(count: int, cues: int, with_peers: bool) -> dict[str, Any]:
    """Run everything; returns the figures."""
    drawn = mixture()
    world = World(drawn, count, drawn.centres(max(20, count // MEMBERS), seed=1))
    asked = world.cues(cues)
    true = world.nearest(asked)
    folder = Path(tempfile.mkdtemp(prefix="hippo-recall-"))
    try:
        filled = in_child(fill, world, folder / "m")
        figures: dict[str, Any] = {"n": count, "dim": asked.shape[1], "cues": cues}
        figures |= in_child(ours, folder / "m", asked, true, world.cues(cues, seed=2**28)) | filled
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures |= {"real": spread(drawn.real), "searched": _searched(world), "real_sentences": len(drawn.real)}
    if with_peers:
        figures["peers"] = peers(world, asked, true)
    return figures


def _searched(world: World) -> dict[str, float]:
    """How the vectors that are searched lie: as many of them as there are real ones, and the cues' nearest."""
    some = next(iter(world.chunks()))[: len(world.drawn.real)]
    probes = world.cues(200, seed=2**29)
    best = np.max([(probes @ chunk.T).max(1) for chunk in world.chunks()], axis=0)
    return {**spread(some), "nearest_of_a_cue": float(np.median(best))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="traces")
    parser.add_argument("--cues", type=int, default=500)
    parser.add_argument("--peers", action="store_true", help="usearch, hnswlib and Chroma beside (extra: peers)")
    parser.add_argument("--plot", type=Path, help="PNG to draw (with --peers)")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    if options.n < K or options.cues < 1:
        parser.error(f"expected --n of at least {K} and --cues of at least 1")
    figures = measure(options.n, options.cues, options.peers)
    if options.plot and options.peers:
        rows = [{"name": "this memory, 16 bit", **figures}, *figures["peers"]]
        points = {
            f"{r['name']} (recall@8 {r[f'recall@{K}']:.4f})": {"p50": (r["p50_ms"], *r["p50_ci95"])} for r in rows
        }
        bars(options.plot, points, f"One recall by vector among {options.n:,} traces", "milliseconds")
    tell(figures, options.json)


if __name__ == "__main__":
    main()
