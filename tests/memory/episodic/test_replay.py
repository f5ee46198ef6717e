"""The replay queue and the retention."""

from pathlib import Path

import numpy as np
import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance, Retention
from memory.episodic import Event, ReplayConfig
from memory.relational import Tuple


def fill(memory: Memory, count: int, salience: float = 0.5) -> list[int]:
    events = [
        Event(f"event {i} of {i * 7 % 13}", origin=Provenance("t", time=float(i)), salience=salience)
        for i in range(count)
    ]
    return memory.episodic.write_many(events)


def test_a_queue_goes_on_where_it_stood(tmp_path: Path) -> None:
    with (
        Memory.open(tmp_path / "a", HashingEmbedder(32)) as one,
        Memory.open(tmp_path / "b", HashingEmbedder(32)) as two,
    ):
        fill(one, 60)
        fill(two, 60)
        straight = [[i.key_id for i in one.episodic.replay.draw(8)] for _ in range(4)]
        first = [[i.key_id for i in two.episodic.replay.draw(8)] for _ in range(2)]
    with Memory.open(tmp_path / "b", HashingEmbedder(32)) as two:
        rest = [[i.key_id for i in two.episodic.replay.draw(8)] for _ in range(2)]
        assert first + rest == straight
        assert two.episodic.replay.draws == 4
    for seed, same in ((0, True), (1, False)):
        with Memory.open(None, HashingEmbedder(32)) as other:
            fill(other, 60)
            batch = other.episodic.replay.draw(8, ReplayConfig(seed=seed))
            assert ([item.key_id for item in batch] == straight[0]) is same


def test_salient_and_recent_traces_come_more_often(memory: Memory) -> None:
    fill(memory, 200, 0.1)
    loud = memory.episodic.write("a fire broke out", origin=Provenance("t", time=0.0), salience=5.0)
    queue = memory.episodic.replay
    assert queue.peek(1)[0].key_id == loud
    config = ReplayConfig(max_similarity=1, w_diversity=0, w_salience=0, half_life=20)
    drawn = [item.key_id for _ in range(40) for item in queue.draw(5, config)]
    assert np.mean(np.array(drawn) > 150) > 0.5
    items = queue.peek(201)
    assert items[0].priority >= items[-1].priority
    assert {i.recency for i in items if i.timestamp == 199.0} == {1.0}


def test_a_batch_holds_nothing_alike(memory: Memory) -> None:
    events = [Event(f"the same old story told again {'x' * i}", origin="t") for i in range(20)]
    memory.episodic.write_many([*events, *(Event(f"{w} {w}{w}", origin="t") for w in ("sun", "sea", "fog"))])
    batch = memory.episodic.replay.draw(10, ReplayConfig(max_similarity=0.5))
    vectors = memory.embedder.embed([memory.episodic.get(i.key_id).key for i in batch])
    likeness = vectors @ vectors.T - np.eye(len(batch))
    assert likeness.max() <= 0.5
    assert len(batch) == 4


def test_old_and_new_are_interleaved(memory: Memory) -> None:
    fill(memory, 100)
    queue = memory.episodic.replay
    config = ReplayConfig(old_share=0.25, max_similarity=1)
    assert all(item.replays == 0 for item in queue.draw(20, config))
    assert sum(item.replays > 0 for item in queue.draw(20, config)) == 5
    rare = ReplayConfig(old_share=1.0, max_similarity=1)
    assert all(item.replays > 0 for item in queue.draw(20, rare))
    assert len(queue.draw(500, config)) == 100


def test_a_batch_needs_a_size(memory: Memory) -> None:
    with pytest.raises(InvalidItemError, match="at least 1"):
        memory.episodic.replay.draw(0)
    assert memory.episodic.replay.draw(3) == []


def test_a_full_store_lets_the_least_valuable_go() -> None:
    retention = Retention(max_traces=50, half_life=1e9)
    with Memory.open(None, HashingEmbedder(32), retention=retention) as memory:
        pinned = memory.episodic.write("pinned", origin="t", pinned=True)
        dear = memory.episodic.write("dear", origin="t", salience=9.0)
        dull = memory.episodic.write("dull", origin="t", salience=0.0)
        for i in range(60):
            memory.episodic.write(f"event {i}", origin="t", salience=0.5)
            assert len(memory.episodic) <= 50
        ids = memory.episodic.index.ids()
        assert {pinned, dear} <= set(ids.tolist())
        assert dull not in ids
        assert memory.verify().problems == []


def test_old_traces_expire_but_not_what_was_made_of_them() -> None:
    with Memory.open(None, HashingEmbedder(32), retention=Retention(ttl=100)) as memory:
        old = memory.episodic.write("old", origin=Provenance("t", time=1.0))
        memory.episodic.write("new", origin=Provenance("t"))
        assert len(memory.episodic) == 1  # it was over before it came, and gone with the next write
        memory.episodic.delete(memory.episodic.recall("new", 1)[0].trace.id)
        memory.episodic.retention = Retention()
        old = memory.episodic.write("old", origin=Provenance("t", time=1000.0))
        kept = memory.episodic.write("kept", origin=Provenance("t", time=1000.0), pinned=True)
        memory.relational.upsert([Tuple("a", "likes", "b", Provenance("x", derived_from=(("traces", old),)))])
        memory.episodic.retention = Retention(ttl=100)
        assert memory.episodic.evict(time=1050.0) == []
        assert memory.episodic.evict(time=1200.0) == [old]
        assert [h.trace.id for h in memory.episodic.recall("old", 3)] == [kept]
        assert len(memory.relational.ask("a")) == 1
        assert memory.verify().problems == []
