from pathlib import Path

import numpy as np
import pytest

from memory import (
    EmbedderError,
    HashingEmbedder,
    InvalidItemError,
    Memory,
    MiniLMEmbedder,
    Provenance,
    UnknownItemError,
)
from memory.embedding import by_name
from memory.episodic import WriteGate


def test_recall_finds_the_nearest(memory: Memory, origin: Provenance) -> None:
    for text in ("the red ball is by the door", "Ada lent a book to Bo", "the platform is in the north"):
        memory.episodic.write(text, {"where": "place 3"}, origin=origin)
    hit = memory.episodic.recall("who lent a book", 1)[0]
    assert hit.trace.key == "Ada lent a book to Bo"
    assert hit.trace.entity_slots == {"who": "", "what": "", "where": "place 3", "when": ""}
    assert hit.trace.provenance == (origin,)
    assert 0 < hit.score <= 1


def test_k_larger_than_the_store_gives_all(memory: Memory, origin: Provenance) -> None:
    assert memory.episodic.recall("anything", 9) == []
    memory.episodic.write("one", origin=origin)
    assert len(memory.episodic.recall("anything", 9)) == 1


def test_the_same_event_strengthens(memory: Memory, origin: Provenance) -> None:
    first = memory.episodic.write("a wall", {"where": "1"}, origin=origin, salience=0.2)
    again = memory.episodic.write("a wall", {"where": "1"}, origin=Provenance("other"), salience=0.9, pinned=True)
    elsewhere = memory.episodic.write("a wall", {"where": "2"}, origin=origin)
    trace = memory.episodic.get(first)
    assert again == first != elsewhere
    assert (trace.strength, trace.salience, trace.pinned) == (2, 0.9, True)
    assert [p.source for p in trace.provenance] == ["test", "other"]
    assert len(memory.episodic) == len(memory.episodic.index) == 2


def test_traces_are_read_with_all_their_origins(memory: Memory) -> None:
    origins = [Provenance(name, time=1.0) for name in "cab"]
    ids = [memory.episodic.write(f"wall {number}", {"what": "a wall"}, origin="sam") for number in range(80)]
    for origin in origins:
        memory.episodic.write("wall 3", {"what": "a wall"}, origin=origin)
    assert memory.episodic.get(ids[3]).provenance[1:] == tuple(origins)
    assert len({hit.trace.id for hit in memory.episodic.recall("wall 3", 80)}) == 80
    assert memory.episodic.existing([2**70, *ids]) == ids and memory.episodic.existing([2**70, ids[0]]) == ids[:1]
    with pytest.raises(AttributeError):
        memory.episodic.get(ids[3]).provenance[1].trust = 0.5  # type: ignore[misc]


def test_deleted_traces_are_not_recalled(memory: Memory, origin: Provenance) -> None:
    kept = memory.episodic.write("kept", origin=origin)
    gone = memory.episodic.write("gone", origin=origin)
    memory.episodic.delete(gone)
    assert [hit.trace.id for hit in memory.episodic.recall("gone", 5)] == [kept]
    assert memory.store.db.execute("SELECT count(*) FROM provenance WHERE item_id = ?", (gone,)).fetchone()[0] == 0
    with pytest.raises(UnknownItemError, match=f"id {gone}"):
        memory.episodic.delete(gone)


def test_novelty_falls_with_familiarity(memory: Memory, origin: Provenance) -> None:
    assert memory.episodic.novelty("a red ball") == 1.0
    memory.episodic.write("a red ball", origin=origin)
    assert memory.episodic.novelty("a red ball") == pytest.approx(0.0, abs=1e-5)
    assert 0 < memory.episodic.novelty("a red box") < 1


@pytest.mark.parametrize("bad", ["", "   "])
def test_empty_texts_are_refused(memory: Memory, origin: Provenance, bad: str) -> None:
    with pytest.raises(InvalidItemError):
        memory.episodic.write(bad, origin=origin)
    with pytest.raises(InvalidItemError):
        memory.episodic.recall(bad)


def test_bad_input_changes_nothing(memory: Memory, origin: Provenance) -> None:
    with pytest.raises(InvalidItemError, match="unknown slots"):
        memory.episodic.write("x", {"whom": "Ada"}, origin=origin)  # type: ignore[dict-item]
    with pytest.raises(InvalidItemError, match="k must be"):
        memory.episodic.recall("x", 0)
    with pytest.raises(InvalidItemError, match="shape"):
        memory.episodic.index.search(np.zeros(3, np.float32), 1)
    with pytest.raises(InvalidItemError, match="finite"):
        memory.episodic.index.search(np.full(384, np.nan, np.float32), 1)
    with pytest.raises(InvalidItemError, match="conf"):
        Provenance("x", conf=2.0)
    assert len(memory.episodic) == 0


def damaged(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[:-20])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_a_damaged_index_is_rebuilt(tmp_path: Path, origin: Provenance, how: str) -> None:
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        for i in range(20):
            memory.episodic.write(f"event number {i}", origin=origin)
        expected = memory.episodic.recall("event number 7", 5)
    damaged(tmp_path / "index" / "traces.faiss", how)
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        assert memory.episodic.recall("event number 7", 5) == expected


def test_a_stale_index_is_rebuilt(tmp_path: Path, origin: Provenance) -> None:
    file = tmp_path / "index" / "traces.faiss"
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        memory.episodic.write("old", origin=origin)
        memory.episodic.recall("old")
    stale = file.read_bytes()
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        memory.episodic.write("new", origin=origin)
        memory.episodic.recall("new")
    file.write_bytes(stale)
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        assert memory.episodic.recall("new", 1)[0].trace.key == "new"
        assert memory.episodic.index.loaded == "stale or damaged"


def test_another_embedder_is_refused(tmp_path: Path) -> None:
    Memory.open(tmp_path, HashingEmbedder(64)).close()
    with pytest.raises(EmbedderError, match="hashing-64"):
        Memory.open(tmp_path, HashingEmbedder(128))
    with pytest.raises(EmbedderError, match="expected one of"):
        by_name("word2vec")


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="hippo models fetch minilm"):
        MiniLMEmbedder(tmp_path).embed(["x"])


def test_gate_weighs_its_four_signals() -> None:
    gate = WriteGate(alpha=1, beta=2, gamma=3, delta=4, tau=1.5)
    assert gate.score(surprise=0.5) == 0.5
    assert gate.score(novelty=0.5) == 1.0
    assert gate.score(reward=-0.5) == 1.5
    assert gate.score(reward=99) == 3
    assert gate.score(pin=True) == 4
    assert not gate.opens(1.5)
    assert gate.opens(1.51)


@pytest.mark.model
def test_minilm_knows_meaning() -> None:
    from agent.hub import catalog

    catalog.fetch("minilm")
    vectors = MiniLMEmbedder().embed(["a big dog", "a large hound", "quarterly tax report"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
