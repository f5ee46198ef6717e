"""Stress tests of the store, and the cost of a durable write compared with a bare SQLite insert and commit.

::

    python -m eval.bench.durability --json --plot docs/img/durability.png     # also: make torture

Latency: the same rows, with given vectors, are written through ``EpisodicStore.write_many`` (trace,
provenance, full text, de-duplication) and by one ``INSERT`` and ``COMMIT`` into a table with the same
columns, in alternating order, both with WAL and ``synchronous=FULL``.
"""

import argparse
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench import torture
from eval.bench.report import tell
from eval.plots import histogram
from eval.statistics import median_ratio_ci
from memory import HashingEmbedder, Memory, Provenance
from memory.episodic import Event

_BARE = (
    "CREATE TABLE traces(id INTEGER PRIMARY KEY, hash TEXT UNIQUE, key TEXT, vector BLOB, who TEXT, what TEXT,"
    " place TEXT, day TEXT, source TEXT, doc_id TEXT, text_span TEXT, time REAL, conf REAL, trust REAL) STRICT"
)


def latency(path: Path, writes: int) -> tuple[list[float], list[float]]:
    """Seconds of each durable write: ours, and the bare insert."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((writes, 384), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bare = sqlite3.connect(path / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute(_BARE)
    memory_seconds: list[float] = []
    bare_seconds: list[float] = []
    with Memory.open(path / "m", HashingEmbedder(384)) as memory:
        for number in range(writes):
            key = f"Ada hid the silver lamp {number} in the north kitchen"
            slots = {"who": "Ada", "what": f"silver lamp {number}", "where": "north kitchen", "when": "Monday"}
            event = Event(key, slots, Provenance("env:test", "episode 1", key, time=float(number)))  # type: ignore[arg-type]
            row = (
                number,
                event.digest,
                key,
                vectors[number].tobytes(),
                *slots.values(),
                "env:test",
                "episode 1",
                key,
                float(number),
                1.0,
                1.0,
            )
            for in_memory in (True, False) if number % 2 else (False, True):
                began = time.perf_counter()
                if in_memory:
                    memory.episodic.write_many([event], vectors[number : number + 1])
                else:
                    bare.execute("BEGIN IMMEDIATE")
                    bare.execute("INSERT INTO traces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                    bare.execute("COMMIT")
                (memory_seconds if in_memory else bare_seconds).append(time.perf_counter() - began)
    bare.close()
    return memory_seconds, bare_seconds


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything; returns the figures."""
    figures: dict[str, Any] = {}
    folder = torture.scratch()
    try:
        memory_seconds: list[float] = []
        bare_seconds: list[float] = []
        ratios = []
        for number in range(options.rounds):
            (folder / f"round {number}").mkdir()
            round_seconds, bare = latency(folder / f"round {number}", options.writes // options.rounds)
            ratios.append(float(np.median(round_seconds) / np.median(bare)))
            memory_seconds += round_seconds
            bare_seconds += bare
        figures |= {
            "writes": options.writes,
            "write_p50_ms": 1e3 * float(np.median(memory_seconds)),
            "write_p95_ms": 1e3 * float(np.quantile(memory_seconds, 0.95)),
            "bare_p50_ms": 1e3 * float(np.median(bare_seconds)),
            "bare_p95_ms": 1e3 * float(np.quantile(bare_seconds, 0.95)),
            "ratio_to_bare": float(np.median(memory_seconds) / np.median(bare_seconds)),
            "ratio_ci95": median_ratio_ci(memory_seconds, bare_seconds),
            "ratio_by_round": ratios,
        }
        jobs: dict[str, tuple[Any, ...]] = {
            "crowd": (torture.crowd, folder / "crowd", options.writers, options.writes_each, options.readers),
            "indexes": (torture.damaged_indexes, folder / "indexes", options.damages),
            "snapshots": (torture.damaged_snapshots, folder / "snapshots", options.damages),
            "disks": (torture.full_disks, folder / "disks", options.disks),
            "poison": (torture.poison, folder / "poison", options.traces, options.traces // 100),
            "kills": (torture.kills, folder / "kills", options.kills),
        }
        for name, (job, *arguments) in jobs.items():
            began = time.perf_counter()
            figures |= job(*arguments)
            print(f"{name:<10} held, {time.perf_counter() - began:.0f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.plot:
        milliseconds = {"memory": [1e3 * s for s in memory_seconds], "bare SQLite": [1e3 * s for s in bare_seconds]}
        title = "A durable write: insert and commit, WAL, synchronous=FULL"
        histogram(options.plot, milliseconds, title, "milliseconds", "writes")
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=7500, help="writes whose latency is compared")
    parser.add_argument("--rounds", type=int, default=5, help="each in a memory of its own, as disks have moods")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--writes-each", type=int, default=2000)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--damages", type=int, default=1000, help="damaged index files, and damaged snapshots")
    parser.add_argument("--disks", type=int, default=50, help="offsets at which the disk is full")
    parser.add_argument("--traces", type=int, default=10_000, help="traces of which one in a hundred is poisoned")
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    figures = measure(options)
    tell(figures, options.json)


if __name__ == "__main__":
    main()
