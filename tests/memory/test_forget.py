"""Forgetting by provenance, and undoing it."""

import sqlite3
from pathlib import Path

import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance, UnknownItemError
from memory.describe import contents
from memory.relational import Tuple
from memory.spatial import Cell, View


def said(source: str, time: float = 1.0, *parents: tuple[str, int], trust: float = 1.0) -> Provenance:
    return Provenance(source, "doc", f"words of {source}", time, trust=trust, derived_from=parents)


def tell(memory: Memory, head: str, relation: str, tail: str, origin: Provenance) -> int:
    return memory.relational.upsert([Tuple(head, relation, tail, origin)])[0]


def test_what_came_from_a_source_goes_and_comes_back(memory: Memory) -> None:
    good = memory.episodic.write("Ada has the key", origin=said("ada"))
    bad = memory.episodic.write("the key is poisoned", origin=said("mallory"))
    before = contents(memory.store.db)
    done = memory.forget(source="mallory")
    assert done.removed == {"traces": 1}
    assert [hit.trace.id for hit in memory.episodic.recall("key", 5)] == [good]
    assert "poisoned" not in str(contents(memory.store.db))
    assert memory.undo().returned == {"traces": 1}
    assert contents(memory.store.db) == before
    assert memory.episodic.recall("the key is poisoned", 1)[0].trace.id == bad
    with pytest.raises(UnknownItemError, match="nothing to undo"):
        memory.undo()


def test_what_was_derived_goes_along_through_every_store(memory: Memory) -> None:
    trace = memory.episodic.write("Bo moved out", origin=said("mallory"))
    fact = tell(memory, "Bo", "likes", "rain", said("extractor", 2, ("traces", trace)))
    memory.spatial.enter("w")
    place = memory.spatial.observe("a hall", origin=said("mapper", 3, ("facts", fact))).place
    memory.spatial.observe("a door", action="go", origin=said("mapper", 4))
    memory.macros.add([("go", {})], origin=said("miner", 5, ("places", place)))
    kept = tell(memory, "Cy", "likes", "tea", said("extractor", 6))
    before = contents(memory.store.db)
    done = memory.forget(rows=[("traces", trace)])
    assert done.removed == {"places": 1, "edges": 1, "traces": 1, "facts": 1, "macros": 1}
    assert [f.id for f in memory.relational.ask("Cy")] == [kept]
    assert memory.relational.ask("Bo") == []
    assert len(memory.macros) == 0
    assert memory.verify().problems == []
    memory.undo()
    assert contents(memory.store.db) == before
    assert memory.verify().problems == []


def test_a_row_that_others_said_too_stays_without_the_lost_part(memory: Memory) -> None:
    trace = memory.episodic.write("it rains", origin=said("ada", 1), salience=0.2)
    memory.episodic.write("it rains", origin=said("mallory", 9), salience=0.9, pinned=True)
    fact = tell(memory, "Ada", "likes", "tea", said("ada"))
    memory.relational.upsert([Tuple("Ada", "likes", "tea", said("mallory"), conf=1.0)])
    done = memory.forget(source="mallory")
    assert done.removed == {}
    assert done.changed == {"traces": 1, "facts": 1}
    found = memory.episodic.get(trace)
    assert (found.strength, found.salience, found.pinned, found.time) == (1, 0.2, False, 1.0)
    assert memory.relational.get(fact).strength == 1
    memory.undo()
    found = memory.episodic.get(trace)
    assert (found.strength, found.salience, found.pinned, found.time) == (2, 0.9, True, 9.0)


def test_a_fact_that_poison_superseded_holds_again(memory: Memory) -> None:
    rome = tell(memory, "Ada", "lives_in", "Rome", said("ada", 1))
    tell(memory, "Ada", "lives_in", "Hell", said("mallory", 2))
    before = contents(memory.store.db)
    memory.forget(source="mallory")
    assert memory.relational.get(rome).valid_to is None
    assert [f.tail for f in memory.relational.ask("Ada")] == ["rome"]
    memory.undo()
    assert contents(memory.store.db) == before
    assert [f.tail for f in memory.relational.ask("Ada")] == ["hell"]


def test_a_chain_of_facts_closes_over_the_gap(memory: Memory) -> None:
    first = tell(memory, "Ada", "lives_in", "Rome", said("ada", 1))
    tell(memory, "Ada", "lives_in", "Hell", said("mallory", 2))
    last = tell(memory, "Ada", "lives_in", "Oslo", said("ada", 3))
    memory.forget(source="mallory")
    assert memory.relational.get(first).valid_to == 3
    assert memory.relational.get(last).valid_to is None
    assert [f.tail for f in memory.relational.history("Ada", "lives_in")] == ["rome", "oslo"]


def test_a_retirement_that_poison_told_is_taken_back(memory: Memory) -> None:
    fact = tell(memory, "ball", "seen_at", "place 1", said("eye", 1))
    assert memory.relational.retire("ball", "seen_at", "place 1", said("mallory", 2))
    memory.forget(source="mallory")
    assert memory.relational.get(fact).valid_to is None
    assert [f.id for f in memory.relational.ask("ball")] == [fact]


def look(memory: Memory, content: str, source: str, time: float) -> None:
    """See one cell ahead from the same spot, in another visit that is at once recognised as the same map."""
    view = View((Cell(1, 0, content, content == ""),))
    if memory.spatial.pose is None:
        memory.spatial.enter("w")
    memory.spatial.observe("x", view, "wait", origin=Provenance(source, f"visit of {source}", "seen", time=time))


def test_a_place_shows_again_what_the_others_saw(memory: Memory) -> None:
    look(memory, "", "ada", 1)
    look(memory, "bomb", "mallory", 2)
    place = memory.store.db.execute("SELECT id FROM places WHERE content = 'bomb'").fetchone()[0]
    before = contents(memory.store.db)
    memory.forget(source="mallory")
    row = memory.store.db.execute("SELECT content, passable FROM places WHERE id = ?", (place,)).fetchone()
    assert row == ("", 1)
    memory.undo()
    assert contents(memory.store.db) == before


def test_a_map_that_two_visits_saw_survives_forgetting_one(memory: Memory) -> None:
    look(memory, "key", "ada", 1)
    look(memory, "key", "bo", 2)
    assert memory.forget(source="ada").removed == {}
    row = memory.store.db.execute("SELECT content, visits FROM places ORDER BY id").fetchall()
    assert sorted(row) == [("", 1), ("key", 0)]
    assert memory.verify().problems == []


def test_standing_on_a_forgotten_place_begins_a_new_map(memory: Memory) -> None:
    look(memory, "key", "mallory", 1)
    memory.forget(source="mallory")
    with pytest.raises(InvalidItemError, match="observed place"):
        memory.spatial.mark("goal")
    look(memory, "lamp", "ada", 2)
    memory.spatial.mark("goal")
    assert memory.spatial.goals()[:2] == ["goal", "lamp"]
    assert memory.verify().problems == []


def test_a_fact_told_again_by_poison_reopens_once(memory: Memory) -> None:
    tell(memory, "Ada", "lives_in", "Rome", said("ada", 1))
    tell(memory, "Ada", "lives_in", "Hell", said("mallory", 2))
    tell(memory, "Ada", "lives_in", "Rome", said("mallory", 3))
    before = contents(memory.store.db)
    memory.forget(source="mallory")
    assert [(f.tail, f.valid_to) for f in memory.relational.history("Ada", "lives_in")] == [("rome", None)]
    memory.undo()
    assert contents(memory.store.db) == before


def test_a_lost_retirement_leaves_one_current_tail(memory: Memory) -> None:
    tell(memory, "Ada", "lives_in", "Rome", said("ada", 1))
    memory.relational.retire("Ada", "lives_in", "Rome", said("mallory", 2))
    tell(memory, "Ada", "lives_in", "Oslo", said("ada", 3))
    memory.forget(source="mallory")
    assert [(f.tail, f.valid_to) for f in memory.relational.history("Ada", "lives_in")] == [("rome", 3), ("oslo", None)]
    assert memory.verify().problems == []


def test_periods_never_turn_around(memory: Memory) -> None:
    tell(memory, "ball", "seen_at", "place 1", said("ada", 1))
    memory.relational.retire("ball", "seen_at", "place 1", said("mallory", 2))
    tell(memory, "ball", "seen_at", "place 1", said("bo", 3))
    memory.relational.retire("ball", "seen_at", "place 1", said("mallory", 4))
    memory.forget(source="mallory")
    assert [(f.valid_from, f.valid_to) for f in memory.relational.history("ball", "seen_at")] == [(1, 3), (3, None)]


def test_no_words_of_the_forgotten_stay_in_what_others_said_too(memory: Memory) -> None:
    memory.episodic.write(
        "it rains",
        {"when": "SECRET"},
        origin=said("mallory", 1),
        state_sketch="SECRET",
        tags=("SECRET",),
        span_ref="SECRET",
    )
    memory.episodic.write("it rains", {"when": "noon"}, origin=said("ada", 2))
    memory.relational.upsert([Tuple("Ada", "likes", "tea", context="SECRET", provenance=said("mallory", 1))])
    memory.relational.upsert([Tuple("Ada", "likes", "tea", said("ada", 50))])
    memory.macros.add([("go", {})], name="SECRET", origin=said("mallory", 1))
    memory.macros.add([("go", {})], name="walk", origin=said("ada", 2))
    before = contents(memory.store.db)
    memory.forget(source="mallory")
    assert "SECRET" not in str(contents(memory.store.db))
    assert memory.episodic.recall("rains")[0].trace.entity_slots["when"] == "noon"
    assert memory.relational.ask("Ada")[0].valid_from == 50
    assert memory.macros.all()[0].name == "walk"
    memory.undo()
    assert contents(memory.store.db) == before


def test_what_hangs_on_an_edge_goes_with_its_place(memory: Memory) -> None:
    memory.spatial.enter("w")
    memory.spatial.observe("hall", origin=said("mallory", 1))
    memory.spatial.observe("door", action="go", origin=said("ada", 2))
    memory.macros.add([("go", {})], origin=said("miner", 3, ("edges", 1)))
    assert memory.forget(source="mallory").removed == {"places": 1, "edges": 1, "macros": 1}


def test_later_forgettings_are_undone_first(memory: Memory) -> None:
    memory.episodic.write("shared", origin=said("a"))
    memory.episodic.write("shared", origin=said("b"))
    first = memory.forget(source="a").operation
    second = memory.forget(source="b").operation
    with pytest.raises(InvalidItemError, match=f"undo {second} first"):
        memory.undo(first)
    memory.undo()
    assert memory.episodic.recall("shared")[0].trace.strength == 1
    memory.undo()
    assert memory.episodic.recall("shared")[0].trace.strength == 2


def test_an_origin_that_spoke_again_since_adds_up(memory: Memory) -> None:
    for _ in range(3):
        memory.episodic.write("again", origin=said("mallory"))
    memory.forget(source="mallory")
    memory.episodic.write("again", origin=said("mallory"))
    memory.undo()
    assert memory.episodic.recall("again")[0].trace.strength == 4


def test_what_was_deleted_since_stays_deleted(memory: Memory) -> None:
    trace = memory.episodic.write("shared", origin=said("a"))
    memory.episodic.write("shared", origin=said("mallory"))
    memory.forget(source="mallory")
    memory.episodic.delete(trace)
    memory.undo()
    assert len(memory.episodic) == 0
    assert memory.verify().problems == []


def test_an_import_takes_no_id_that_undo_needs(memory: Memory, tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder()) as other:
        for word in ("one", "innocent"):
            other.episodic.write(word, origin=said("bob"))
        other.export(tmp_path / "all.jsonl")
    memory.episodic.write("mine", origin=said("ada"))
    memory.episodic.write("lie", origin=said("mallory"))
    memory.forget(source="mallory")
    memory.import_(tmp_path / "all.jsonl")
    assert memory.undo().returned == {"traces": 1}
    found = {h.trace.key: [p.source for p in h.trace.provenance] for h in memory.episodic.recall("lie", 9)}
    assert found == {"mine": ["ada"], "lie": ["mallory"], "one": ["bob"], "innocent": ["bob"]}


def test_forgetting_is_a_transaction_of_its_own(memory: Memory, tmp_path: Path) -> None:
    memory.episodic.write("x", origin=said("mallory"))
    with memory.transaction():
        for refused in (lambda: memory.forget(source="mallory"), memory.undo, lambda: memory.import_(tmp_path / "x")):
            with pytest.raises(InvalidItemError, match="transaction of its own"):
                refused()
    assert len(memory.episodic) == 1


def test_other_processes_follow(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder()) as one, Memory.open(tmp_path / "m", HashingEmbedder()) as two:
        tell(one, "Ada", "lives_in", "Rome", said("ada", 1))
        tell(one, "Ada", "lives_in", "Hell", said("mallory", 2))
        look(one, "key", "mallory", 1)
        two.spatial.enter("w")
        assert [f.tail for f in two.relational.ask("Ada")] == ["hell"]
        one.forget(source="mallory")
        assert [f.tail for f in two.relational.ask("Ada")] == ["rome"]
        assert len(two.spatial) == 0
        one.undo()
        assert [f.tail for f in two.relational.ask("Ada")] == ["hell"]
        assert len(two.spatial) == 2


def test_long_derivations_have_a_trust_too(memory: Memory) -> None:
    row = ("traces", memory.episodic.write("start", origin=said("gossip", trust=0.3)))
    with memory.transaction():
        for number in range(1500):
            origin = said("chain", 1, row)
            row = ("traces", memory.episodic.write(f"link {number}", origin=origin))
    assert memory.episodic.get(row[1]).provenance[0].trust == 0.3
    assert memory.forget(source="gossip").removed == {"traces": 1501}


def test_selectors_combine(memory: Memory) -> None:
    for number in range(4):
        memory.episodic.write(f"event {number}", origin=Provenance("s", f"d{number % 2}", time=float(number)))
    assert memory.forget(doc_id="d0", since=1, dry_run=True).removed == {"traces": 1}
    assert memory.forget(until=2.0, dry_run=True).removed == {"traces": 2}
    assert memory.forget(source="s", dry_run=True).removed == {"traces": 4}
    assert len(memory.episodic) == 4
    assert memory.snapshots.names() == []


def test_bad_selections_change_nothing(memory: Memory) -> None:
    memory.episodic.write("kept", origin=said("ada"))
    before = contents(memory.store.db)
    with pytest.raises(InvalidItemError, match="needs a source"):
        memory.forget()
    with pytest.raises(UnknownItemError, match="sources are: ada"):
        memory.forget(source="adda")
    with pytest.raises(UnknownItemError, match="no row of traces has id 77"):
        memory.forget(rows=[("traces", 77)])
    with pytest.raises(InvalidItemError, match="no table is called 'trace'"):
        memory.forget(rows=[("trace", 1)])
    assert contents(memory.store.db) == before
    assert memory.snapshots.names() == []


def test_undo_keeps_what_was_written_since(memory: Memory) -> None:
    old = memory.episodic.write("shared", origin=said("mallory"))
    memory.episodic.write("also bad", origin=said("mallory"))
    memory.forget(source="mallory")
    again = memory.episodic.write("shared", origin=said("ada"))
    new = memory.episodic.write("new", origin=said("ada"))
    assert again != old
    done = memory.undo()
    assert (done.returned, done.merged) == ({"traces": 1}, {"traces": 1})
    trace = memory.episodic.get(again)
    assert trace.strength == 2
    assert {p.source for p in trace.provenance} == {"ada", "mallory"}
    assert memory.episodic.get(new).key == "new"
    assert len(memory.episodic) == 3
    assert memory.verify().problems == []


def test_forgetting_reaches_through_evicted_traces(memory: Memory) -> None:
    trace = memory.episodic.write("secret plan", origin=said("mallory"))
    fact = tell(memory, "Bo", "likes", "rain", said("extractor", 2, ("traces", trace)))
    memory.episodic.delete(trace)
    assert memory.relational.get(fact).valid_to is None
    assert memory.verify().problems == []
    before = contents(memory.store.db)
    assert memory.forget(source="mallory").removed == {"traces": 1, "facts": 1}
    assert memory.relational.ask("Bo") == []
    assert memory.verify().problems == []
    memory.undo()
    assert contents(memory.store.db) == before
    assert memory.inspect(("facts", fact))["trust"] == 1.0  # type: ignore[index]
    memory.forget(source="extractor")
    assert memory.verify().problems == []
    with pytest.raises(UnknownItemError, match="sources are: none"):
        memory.forget(source="mallory")


def test_trust_is_the_minimum_over_the_lineage(memory: Memory) -> None:
    low = memory.episodic.write("a rumour", origin=said("gossip", trust=0.2))
    high = memory.episodic.write("a record", origin=said("archive", trust=0.9))
    fact = tell(memory, "Bo", "likes", "rain", said("extractor", 2, ("traces", low), ("traces", high)))
    from memory import provenance

    assert provenance.trust(memory.store.db, ("facts", fact)) == 0.2
    assert provenance.of(memory.store.db, "facts", fact)[0].trust == 0.2
    tell(memory, "Bo", "likes", "rain", said("witness", 3, trust=0.8))
    assert provenance.trust(memory.store.db, ("facts", fact)) == 0.8
    with pytest.raises(InvalidItemError, match="row 99 of traces, which does not exist"):
        tell(memory, "x", "y", "z", said("extractor", 2, ("traces", 99)))


def test_no_word_of_it_stays_in_any_file(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        for number in range(50):
            memory.episodic.write(f"plain sentence {number}", origin=said("ada"))
        memory.episodic.write("xyzzyplugh quux", {"who": "xyzzywho"}, origin=said("mallory"))
        tell(memory, "xyzzyhead", "likes", "rain", said("mallory"))
        memory.episodic.recall("sentence", 3)
        snapshot = memory.forget(source="mallory").snapshot
        for file in (tmp_path / "m").rglob("*"):
            if file.is_file() and snapshot not in file.parts:
                data = file.read_bytes()
                assert b"xyzzy" not in data.lower(), file
                assert b"words of mallory" not in data, file


def test_the_snapshot_must_be_there_to_undo(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder(64)) as memory:
        memory.episodic.write("a", origin=said("mallory"))
        done = memory.forget(source="mallory")
        memory.snapshots.delete(done.snapshot)
        with pytest.raises(UnknownItemError, match=r"its snapshot .* was deleted"):
            memory.undo()
        assert memory.operations()[0]["undone"] is None


def test_a_crash_between_leaves_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder(64)) as memory:
        memory.episodic.write("a", origin=said("mallory"))
        before = contents(memory.store.db)
        memory.store.db.execute(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON touched BEGIN SELECT RAISE(ABORT, 'boom'); END"
        )
        with pytest.raises(sqlite3.IntegrityError):
            memory.forget(source="mallory")
        assert contents(memory.store.db) == before
        assert [h.trace.key for h in memory.episodic.recall("a")] == ["a"]
