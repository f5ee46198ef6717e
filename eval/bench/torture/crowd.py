"""Stress test: several processes write at once while others read."""

import time
from pathlib import Path
from typing import Any

from eval.bench.torture.harness import PROCESSES, in_child, opened, report


def crowd(path: Path, writers: int, writes: int, readers: int) -> dict[str, float]:
    """Several processes write at once beside readers: no error, loss or duplicate.

    Every tenth write of each writer is one that all of them make: it must become one trace.
    """
    opened(path).close()
    stop = PROCESSES.Event()
    began = time.perf_counter()
    pipes = [PROCESSES.Pipe() for _ in range(writers + readers)]
    work: list[Any] = [(_write_many, (path, number, writes)) for number in range(writers)]
    work += [(_read_until, (path, stop))] * readers
    processes = [
        PROCESSES.Process(target=report, args=(there, job, arguments))
        for (_, there), (job, arguments) in zip(pipes, work, strict=True)
    ]
    for process in processes:
        process.start()
    for _, there in pipes:
        there.close()
    results = [here.recv() for here, _ in pipes[:writers]]
    seconds = time.perf_counter() - began
    stop.set()
    results += [here.recv() for here, _ in pipes[writers:]]
    for process in processes:
        process.join()
    for ok, result in results:
        assert ok, result
    in_child(_all_there, path, writers, writes)
    return {
        "writers": writers,
        "writes_each": writes,
        "readers": readers,
        "reads": sum(int(result) for _, result in results[writers:]),
        "writes_per_second": writers * writes / seconds,
    }


def _write_many(path: Path, number: int, writes: int) -> int:
    with opened(path) as memory:
        for step in range(writes):
            key = f"shared {step}" if step % 10 == 0 else f"writer {number} step {step}"
            memory.episodic.write(key, origin=f"writer {number}")
    return writes


def _read_until(path: Path, stop: Any) -> int:
    reads, last = 0, 0
    with opened(path) as memory:
        while not stop.is_set():
            hits = memory.episodic.recall(f"writer {reads % 8} step {reads}", 5)
            count = len(memory.episodic)
            assert count >= last, "traces went while one read"
            assert all(hit.trace.provenance for hit in hits)
            last, reads = count, reads + 1
    return reads


def _all_there(path: Path, writers: int, writes: int) -> None:
    with opened(path) as memory:
        strengths = dict(memory.store.db.execute("SELECT key, strength FROM traces").fetchall())
        shared = {f"shared {step}": writers for step in range(0, writes, 10)}
        own = {f"writer {n} step {s}": 1 for n in range(writers) for s in range(writes) if s % 10}
        assert strengths == shared | own
        report = memory.verify()
        assert report.ok, report.problems
