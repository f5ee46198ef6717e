"""Stress test: damaged index files and damaged snapshots."""

import random
from pathlib import Path

from eval.bench.torture.harness import DIM, dump, opened
from memory import DamagedError
from memory.episodic import Event
from memory.vectors import VectorIndex


def _damaged(whole: bytes, number: int, rng: random.Random) -> bytes:
    """A few flipped bits, or every fourth time a cut tail; never the same as it was."""
    if number % 4 == 3:
        return whole[: rng.randrange(len(whole))]
    changed = bytearray(whole)
    for place in rng.sample(range(len(whole)), rng.randint(1, 4)):
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged_indexes(path: Path, rounds: int, seed: int = 0) -> dict[str, int]:
    """Damage the index file in many ways: each is noticed, and the answers stay the same."""
    rng = random.Random(seed)
    with opened(path) as memory:
        memory.episodic.write_many([Event(f"event {i} of {i % 17}", origin="t") for i in range(200)])
        cue = memory.embedder.embed(["event 5 of 5"])[0]
        expected = memory.episodic.index.search(cue, 8)
        memory.episodic.index.save()
        file = path / "index" / "traces.faiss"
        whole = file.read_bytes()
        for number in range(rounds):
            file.write_bytes(_damaged(whole, number, rng))
            index = VectorIndex(memory.store, DIM, path / "index")
            assert index.search(cue, 8) == expected, f"damage {number} changed the answers"
            assert index.loaded == "stale or damaged", f"damage {number} went unnoticed"
        file.write_bytes(whole)
        index = VectorIndex(memory.store, DIM, path / "index")
        assert index.search(cue, 8) == expected
        assert index.loaded == "whole"
    return {"damaged_indexes": rounds}


def damaged_snapshots(path: Path, rounds: int, seed: int = 0) -> dict[str, int]:
    """Damage a snapshot's database or manifest in many ways: each is refused whole, the store untouched."""
    rng = random.Random(seed)
    with opened(path) as memory:
        memory.episodic.write_many([Event(f"event {i}", origin="t") for i in range(30)])
        name = memory.snapshot().name
        memory.episodic.write("later", origin="t")
        before = dump(memory)
        files = [path / "snapshots" / name / file for file in ("memory.db", "manifest.json")]
        for number in range(rounds):
            file = files[number % 2]
            whole = file.read_bytes()
            file.write_bytes(_damaged(whole, number // 2, rng))
            try:
                memory.restore(name)
            except DamagedError:
                pass
            else:
                raise AssertionError(f"damage {number} to {file.name} was restored")
            file.write_bytes(whole)
        assert dump(memory) == before
        assert memory.snapshots.names() == [name]
        memory.restore(name)
    return {"damaged_snapshots": rounds}
