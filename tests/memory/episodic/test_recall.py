"""Cues of every kind, and the ways to rank."""

from collections.abc import Iterator

import numpy as np
import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, RecallConfig
from memory.episodic import DGKey, Event, lexical
from memory.episodic.completion import CompletionConfig, newest, partial_cue, train

PEOPLE = ["Ada", "Bo", "Cy", "Dee", "Eli"]
ROOMS = ["kitchen", "attic", "cellar", "garden"]
THINGS = ["lamp", "rope", "map", "coin", "book", "key"]


def events() -> list[Event]:
    return [
        Event(f"{who} left the {what} in the {where}", {"who": who, "what": what, "where": where}, "test")
        for who in PEOPLE
        for what in THINGS
        for where in ROOMS
    ]


def opened(**settings: object) -> Memory:
    memory = Memory.open(None, HashingEmbedder(128), recall=RecallConfig.model_validate(settings))
    memory.episodic.write_many(events())
    return memory


@pytest.fixture
def stories() -> Iterator[Memory]:
    with opened() as memory:
        yield memory


def test_two_slots_are_enough_of_a_cue(stories: Memory) -> None:
    hits = stories.episodic.recall({"who": "Cy", "where": "attic"}, 6)
    assert {(h.trace.entity_slots["who"], h.trace.entity_slots["where"]) for h in hits} == {("Cy", "attic")}
    assert hits[0].coverage == 1.0
    text = stories.episodic.recall("attic Cy rope", 1)[0]
    assert text.trace.key == "Cy left the rope in the attic"


def test_words_count_beside_similarity(stories: Memory) -> None:
    hit = stories.episodic.recall("who left a coin in the cellar, was it Eli?", 1)[0]
    assert hit.trace.key == "Eli left the coin in the cellar"
    assert hit.score == pytest.approx((hit.similarity + 2 * hit.coverage) / 3)
    with opened(lexical=0.0) as dense:
        hit = dense.episodic.recall("coin cellar Eli", 1)[0]
        assert hit.coverage == 0.0
        assert hit.score == hit.similarity


def test_a_slot_must_hold_the_word_itself(stories: Memory) -> None:
    stories.episodic.write("the cellar was painted by attic people", {"where": "Bo"}, origin="test")
    hits = stories.episodic.recall({"where": "Bo"}, 1)
    assert hits[0].trace.entity_slots["where"] == "Bo"


def test_common_words_do_not_cost_more_with_size(monkeypatch: pytest.MonkeyPatch, stories: Memory) -> None:
    monkeypatch.setattr(lexical, "LIST_LIMIT", 10)
    hits = stories.episodic.recall({"who": "Cy", "what": "rope", "where": "attic"}, 3)
    assert hits[0].trace.key == "Cy left the rope in the attic"
    assert hits[0].coverage > 0.99
    stories.episodic.write("Cy saw a zebra", {"who": "Cy"}, origin="test")
    assert stories.episodic.recall("the zebra and Cy", 1)[0].trace.key == "Cy saw a zebra"
    assert stories.episodic.recall("in the", 3)


def test_operators_in_a_cue_are_only_words(stories: Memory) -> None:
    for cue in (
        'Cy AND "rope',
        "NEAR(rope, attic)",
        "rope*",
        "who:Cy",
        "-rope",
        "it's",
        "(",
        "ünïcode ropé",
        "red_ball",
        "_ rope",
    ):
        assert stories.episodic.recall(cue, 2)


def test_the_exact_text_is_found_among_many_that_hold_its_words(memory: Memory) -> None:
    memory.episodic.write_many([Event(f"the red ball fell on stone {i} again", origin="t") for i in range(100)])
    exact = memory.episodic.write("red ball", origin="t")
    for k in (1, 5, 101):
        hit = memory.episodic.recall("red ball", k)[0]
        assert (hit.trace.id, hit.score, hit.coverage) == (exact, pytest.approx(1.0), 1.0)


def test_of_equals_in_words_the_newest_count(monkeypatch: pytest.MonkeyPatch, memory: Memory) -> None:
    monkeypatch.setattr(lexical, "LIST_LIMIT", 10)
    ids = memory.episodic.write_many([Event(f"it rains {'x' * i}", origin="t") for i in range(300)])
    found = memory.episodic._searcher._lexical.search(lexical.words_of("it rains"), limit=5)
    assert set(found) == set(ids[-5:])


def test_the_newest_words_are_found_before_and_after_they_enter_the_database(memory: Memory) -> None:
    for number in range(600):
        memory.episodic.write(f"word{number} here", origin="t")
        memory.episodic.write("a refrain", origin="t")  # a duplicate uses up no id
        if number % 97 == 0:
            assert memory.episodic.recall(f"word{number}", 1)[0].trace.key == f"word{number} here"
    assert memory.store.db.execute("SELECT last_id FROM text_state").fetchone()[0] > 500
    last = memory.episodic.recall("word599", 1)[0].trace
    memory.episodic.delete(last.id)
    assert memory.episodic.recall("word599", 1)[0].coverage == 0.0
    memory.episodic.move({"": "place 1"})
    assert memory.episodic.recall({"where": "place 1"}, 1)[0].coverage == 1.0
    assert memory.verify().problems == []


def test_bad_cues_say_what_is_wrong(stories: Memory) -> None:
    for cue in ("", "  \n", {}, {"who": ""}):
        with pytest.raises(InvalidItemError, match="empty text"):
            stories.episodic.recall(cue)  # type: ignore[arg-type]
    with pytest.raises(InvalidItemError, match="unknown slots"):
        stories.episodic.recall({"whom": "Ada"})  # type: ignore[dict-item]
    with pytest.raises(InvalidItemError, match=r"shape \(128,\)"):
        stories.episodic.recall(np.zeros(3, np.float32))
    with pytest.raises(InvalidItemError, match="not finite"):
        stories.episodic.recall(np.full(128, np.nan, np.float32))
    with pytest.raises(InvalidItemError, match="k must be at least 1"):
        stories.episodic.recall("x", 0)
    with pytest.raises(InvalidItemError, match="shape"):
        stories.episodic.write_many([Event("x")], np.zeros((1, 3), np.float32))
    with pytest.raises(InvalidItemError, match="not finite"):
        stories.episodic.write_many([Event("x")], np.full((1, 128), np.inf, np.float32))
    with pytest.raises(InvalidItemError, match="length 1"):
        stories.episodic.write_many([Event("x")], np.full((1, 128), 2.0, np.float32))
    with pytest.raises(ValueError, match="at most d_k"):
        DGKey(d_k=4, k=8)
    assert len(stories.episodic) == len(PEOPLE) * len(THINGS) * len(ROOMS)


def test_sparse_keys_rank_like_a_scan_of_them() -> None:
    with opened(keys="sparse", lexical=0.0, dg={"d_k": 512, "k": 24}) as memory:
        key = DGKey(d_k=512, k=24)
        rows = memory.store.db.execute("SELECT id, vector FROM traces ORDER BY id").fetchall()
        ids = [row[0] for row in rows]

        def expected(cue: str) -> list[float]:
            dense = np.stack([np.frombuffer(row[1], np.float32) for row in rows])
            codes = key.encode(np.concatenate([memory.embedder.embed([cue]), dense]))
            wide = np.zeros((len(rows) + 1, 512), np.float32)
            np.put_along_axis(wide, codes.indices.astype(np.int64), codes.values, axis=1)
            return sorted(wide[1:] @ wide[0], reverse=True)[:5]

        assert key.encode(np.eye(8, 128, dtype=np.float32)).indices.shape == (8, 24)
        cue = "Ada left the lamp in the kitchen"
        assert [h.score for h in memory.episodic.recall(cue, 5)] == pytest.approx(expected(cue), abs=1e-5)
        new = memory.episodic.write("Zoe left the drum in the hall", origin="test")
        memory.episodic.delete(ids[0])
        hits = memory.episodic.recall("Zoe left the drum in the hall", 1)
        assert (hits[0].trace.id, hits[0].score) == (new, pytest.approx(1.0))
        assert ids[0] not in [h.trace.id for h in memory.episodic.recall(cue, 9)]


def test_completion_is_trained_kept_and_forgotten_with_its_data() -> None:
    with opened(lexical=0.0, completion=True) as memory:
        cue = partial_cue(*(events()[7].key, list(events()[7].slots.values())), rng=np.random.default_rng(3))
        before = memory.episodic.recall(cue, 3)
        config = CompletionConfig(hidden=64, epochs=3, cues=2)
        assert train(memory.store, memory.embedder, config, dry_run=True)["traces"] == 120
        assert newest(memory.store.db) is None
        card = train(memory.store, memory.embedder, config)
        again = train(memory.store, memory.embedder, config)
        assert again["recall@1_completed"] == card["recall@1_completed"]
        assert memory.verify().problems == []
        card = again
        assert newest(memory.store.db)[0] == card["id"]  # type: ignore[index]
        after = memory.episodic.recall(cue, 3)
        assert [h.similarity for h in after] != [h.similarity for h in before]
        done = memory.forget(rows=[("traces", 1)])
        assert done.removed == {"traces": 1, "artifacts": 1}
        assert done.artifacts[0]["kind"] == "completion"
        assert newest(memory.store.db) is None
        memory.undo()
        assert [h.similarity for h in memory.episodic.recall(cue, 3)] == [h.similarity for h in after]


def test_completion_wants_something_to_learn_from(memory: Memory) -> None:
    with pytest.raises(InvalidItemError, match="at least 64 traces"):
        train(memory.store, memory.embedder)
