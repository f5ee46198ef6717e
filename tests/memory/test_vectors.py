"""The vector index stays level with SQLite, exact or with inverted lists."""

from pathlib import Path

import numpy as np
import pytest

from memory import HashingEmbedder, Memory, coarse
from memory.episodic import Event


def clustered(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    centres = np.random.default_rng(99).standard_normal((20, dim))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(20, size=count)] + 0.4 * rng.standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fill(memory: Memory, vectors: np.ndarray, first: int = 0) -> list[int]:
    return memory.episodic.write_many([Event(f"e {first + i}", origin="t") for i in range(len(vectors))], vectors)


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarse, "FLAT_LIMIT", 1000)


def recall_at_8(memory: Memory, vectors: np.ndarray, cues: np.ndarray) -> float:
    ids = np.array([r[0] for r in memory.store.db.execute("SELECT id FROM traces ORDER BY id")])
    true = ids[np.argsort(-(cues @ vectors.T), axis=1)[:, :8]]
    found = [[h.trace.id for h in memory.episodic.recall(cue, 8)] for cue in cues]
    return float(np.mean([len(set(a) & set(b)) / 8 for a, b in zip(found, true.tolist(), strict=True)]))


@pytest.mark.usefixtures("small_limit")
def test_a_grown_index_probes_lists_and_finds_nearly_all(tmp_path: Path) -> None:
    vectors = clustered(3000)
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        fill(memory, vectors[:500])
        assert memory.store.db.execute("SELECT count(*) FROM coarse").fetchone()[0] == 0
        assert recall_at_8(memory, vectors[:500], clustered(50, seed=1)) == 1.0
        fill(memory, vectors[500:], 500)
        assert recall_at_8(memory, vectors, clustered(100, seed=1)) >= 0.99
        trained, probes = memory.store.db.execute("SELECT trained_on, nprobe FROM coarse").fetchone()
        assert trained == 3000
        assert 1 <= probes < memory.episodic.index.bare.nlist
        before = [memory.episodic.index.search(cue, 8) for cue in clustered(30, seed=2)]
    (tmp_path / "index" / "traces.faiss").unlink()
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        after = [memory.episodic.index.search(cue, 8) for cue in clustered(30, seed=2)]
        assert after == before  # built anew from the same centroids
        memory.episodic.delete(before[0][0][0])
        assert memory.episodic.index.search(clustered(30, seed=2)[0], 8)[0] == before[0][1]
        assert len(memory.episodic.index) == 2999
        assert memory.verify().problems == []


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("count", [40, 1500])
def test_rollbacks_leave_no_trace_in_the_index(memory: Memory, count: int) -> None:
    memory = Memory.open(None, HashingEmbedder(32))
    vectors = clustered(count + 20)
    ids = fill(memory, vectors[:count])
    cue = vectors[0]
    before = memory.episodic.index.search(cue, 5)
    with pytest.raises(RuntimeError), memory.transaction():
        memory.episodic.delete(ids[0])
        new = fill(memory, vectors[count:], count)
        assert memory.episodic.index.ids().tolist() == [*ids[1:], *new]
        raise RuntimeError
    assert memory.episodic.index.ids().tolist() == ids
    assert memory.episodic.index.search(cue, 5) == before
    with memory.transaction():
        fill(memory, vectors[count : count + 3], count)
        len(memory.episodic.index)
        with pytest.raises(RuntimeError), memory.transaction():
            memory.episodic.delete(ids[1])
            len(memory.episodic.index)
            raise RuntimeError
    assert memory.episodic.index.ids().tolist() == [*ids, count + 1, count + 2, count + 3]


def test_another_process_is_followed_row_by_row(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder(32)) as one, Memory.open(tmp_path, HashingEmbedder(32)) as two:
        ids = fill(one, clustered(20))
        index = two.episodic.index
        assert index.ids().tolist() == ids
        kept = index.bare
        one.episodic.delete(ids[3])
        more = fill(one, clustered(5, seed=3), 20)
        assert index.ids().tolist() == [*ids[:3], *ids[4:], *more]
        assert index.bare is kept  # not built anew


def test_a_cache_of_earlier_is_brought_level_not_thrown_away(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        ids = fill(memory, clustered(20))
        len(memory.episodic.index)
    memory = Memory.open(tmp_path, HashingEmbedder(32))
    more = fill(memory, clustered(3, seed=3), 20)
    memory.episodic.delete(ids[0])
    memory.store.close()  # as a killed process would: no new cache
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        assert memory.episodic.index.ids().tolist() == [*ids[1:], *more]
        assert memory.episodic.index.loaded == "whole"


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder(384)) as memory:
        for number in range(1500):
            memory.episodic.write(f"event {number}", origin="t")
        assert (tmp_path / "memory.db-wal").stat().st_size < 16 * 2**20


@pytest.mark.usefixtures("small_limit")
def test_a_flat_cache_is_stale_once_lists_were_trained(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        fill(memory, clustered(500))
        len(memory.episodic.index)
    memory = Memory.open(tmp_path, HashingEmbedder(32))
    fill(memory, clustered(800, seed=3), 500)
    len(memory.episodic.index)
    memory.store.close()  # killed: the cache is still the flat one
    with Memory.open(tmp_path, HashingEmbedder(32)) as memory:
        assert len(memory.episodic.index) == 1300
        assert memory.episodic.index.loaded == "stale or damaged"
        assert len(memory.episodic.recall(clustered(1)[0], 1200)) == 1200  # more than the probed lists hold


def test_an_interrupted_catch_up_begins_anew(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory.open(None, HashingEmbedder(32))
    ids = fill(memory, clustered(30))
    index = memory.episodic.index
    rows = index.rows

    def broken(after: int) -> object:
        yield from rows(after)
        raise KeyboardInterrupt

    monkeypatch.setattr(index, "rows", broken)
    with pytest.raises(KeyboardInterrupt):
        index.ids()
    monkeypatch.undo()
    assert index.ids().tolist() == ids
