"""Snapshots, restoring, verifying, exporting and importing."""

import json
import random
import sqlite3
import threading
from pathlib import Path
from time import sleep

import pytest

from memory import (
    DamagedError,
    EmbedderError,
    HashingEmbedder,
    Memory,
    Provenance,
    StorageError,
    UnknownItemError,
)
from memory.describe import contents
from memory.relational import Tuple
from tests.memory.test_forget import said, tell


def filled(path: Path | None, count: int = 5) -> Memory:
    memory = Memory.open(path, HashingEmbedder(64))
    traces = [memory.episodic.write(f"event {i}", {"who": "Ada"}, origin=said("ada", i)) for i in range(count)]
    tell(memory, "Ada", "lives_in", "Rome", said("extractor", 2, ("traces", traces[0])))
    memory.spatial.enter("w")
    memory.spatial.observe("hall", origin=said("eye"))
    memory.spatial.observe("door", action="go", origin=said("eye"))
    memory.macros.add([("go", {"to": "door"})], name="to the door", origin=said("miner"))
    return memory


def test_restore_brings_back_everything_and_can_be_taken_back(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        before = contents(memory.store.db)
        snapshot = memory.snapshot("test")
        assert snapshot.rows["traces"] == 5
        memory.episodic.write("later", origin=said("bo"))
        memory.relational.upsert([Tuple("Ada", "lives_in", "Oslo", said("bo", 9))])
        after = contents(memory.store.db)
        present = memory.restore(snapshot.name)
        assert contents(memory.store.db) == before
        assert [h.trace.key for h in memory.episodic.recall("later", 9) if h.trace.key == "later"] == []
        assert [f.tail for f in memory.relational.ask("Ada")] == ["rome"]
        assert memory.episodic.write("other", origin=said("bo")) == 6
        assert memory.episodic.recall("other", 1)[0].trace.key == "other"
        memory.restore(present.name)
        assert contents(memory.store.db) == after
        assert memory.episodic.recall("later", 1)[0].trace.key == "later"


def test_a_memory_without_a_folder_has_snapshots_too() -> None:
    with filled(None) as memory:
        before = contents(memory.store.db)
        name = memory.snapshot().name
        memory.episodic.write("later", origin=said("bo"))
        memory.restore(name)
        assert contents(memory.store.db) == before


def test_another_process_sees_the_restored_state(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as one, Memory.open(tmp_path / "m", HashingEmbedder(64)) as two:
        name = one.snapshot().name
        one.episodic.write("later", origin=said("bo"))
        assert two.episodic.recall("later", 1)[0].trace.key == "later"
        one.restore(name)
        assert one.episodic.write("cats purr", origin=said("bo")) == 6
        assert two.episodic.recall("cats purr", 1)[0].trace.key == "cats purr"
        assert two.episodic.index.ids().tolist() == [1, 2, 3, 4, 5, 6]


def test_unknown_and_foreign_snapshots(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        with pytest.raises(UnknownItemError, match="there are: none yet"):
            memory.restore("nope")
        with pytest.raises(UnknownItemError):
            memory.restore("../m")
        name = memory.snapshot().name
        (tmp_path / "m" / "snapshots" / name / "memory.db").unlink()
        with pytest.raises(DamagedError, match="can't be read"):
            memory.restore(name)
    other = Memory.open(tmp_path / "n", HashingEmbedder(32))
    (tmp_path / "n" / "snapshots").mkdir()
    with filled(tmp_path / "o") as third:
        name = third.snapshot().name
    (tmp_path / "o" / "snapshots" / name).rename(tmp_path / "n" / "snapshots" / name)
    with pytest.raises(EmbedderError, match="hashing-64"):
        other.restore(name)
    other.close()


def test_unfinished_snapshots_of_dead_processes_are_swept(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        dead = tmp_path / "m" / "snapshots" / ".unfinished-999999999-x"
        dead.mkdir(parents=True)
        memory.snapshot()
        assert not dead.exists()


def test_verify_finds_what_is_wrong(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        assert memory.verify().ok
        name = memory.snapshot().name
        db = memory.store.db
        db.execute("UPDATE traces SET hash = 'x' WHERE id = 1")
        db.execute("UPDATE traces SET vector = zeroblob(256) WHERE id = 2")
        db.execute("UPDATE traces SET vector = x'00' WHERE id = 3")
        db.execute("DELETE FROM provenance WHERE item_table = 'facts'")
        db.execute("DELETE FROM provenance WHERE item_table = 'macros'")
        db.execute("INSERT INTO provenance SELECT 999, 'traces', 77, 'said', 's', '', '', 1, 1, 1, '{}'")
        db.execute(
            "INSERT INTO facts(head, relation, tail, context, conf, valid_from) VALUES ('ada','lives_in','x','',1,3)"
        )
        (tmp_path / "m" / "snapshots" / name / "manifest.json").write_text("{}")
        text = "\n".join(memory.verify().problems)
        for expected in (
            "hash is not",
            "length 1: 2",
            "has not 64 values: 3",
            "facts without provenance: 1",
            "macros without provenance",
            "provenance of traces that are gone: 999",
            "more than one current tail",
            "manifest can't be read",
        ):
            assert expected in text


def test_export_and_import_make_the_same_memory(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory, Memory.open(tmp_path / "n", HashingEmbedder(64)) as other:
        memory.episodic.delete(2)
        memory.episodic.replay.draw(3)
        counts = memory.export(tmp_path / "all.jsonl")
        assert counts["traces"] == 4
        done = other.import_(tmp_path / "all.jsonl", dry_run=True)
        assert done.added["traces"] == 4
        assert len(other.episodic) == 0
        assert other.import_(tmp_path / "all.jsonl").added == done.added
        assert contents(other.store.db) == contents(memory.store.db)
        again = other.import_(tmp_path / "all.jsonl")
        assert again.added == {}
        assert contents(other.store.db) == contents(memory.store.db)
        cue = "event 3"
        assert [h.trace for h in other.episodic.recall(cue, 3)] == [h.trace for h in memory.episodic.recall(cue, 3)]
        assert other.verify().problems == []


def test_import_merges_with_what_is_there(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        place = memory.store.db.execute("SELECT id FROM places WHERE context = 'door'").fetchone()[0]
        memory.episodic.write("a chest", {"where": f"place {place}"}, origin=said("eye"))
        tell(memory, "chest", "seen_at", f"place {place}", said("eye"))
        memory.export(tmp_path / "all.jsonl")
    with Memory.open(tmp_path / "n", HashingEmbedder(64)) as other:
        other.episodic.write("mine", origin=said("bo"))
        other.episodic.write("event 1", {"who": "Ada"}, origin=said("bo"))
        tell(other, "Ada", "lives_in", "Oslo", said("bo", 99))
        other.spatial.enter("v")
        other.spatial.observe("attic", origin=said("eye"))
        done = other.import_(tmp_path / "all.jsonl")
        assert done.merged == {"traces": 1}
        assert [f.tail for f in other.relational.ask("Ada")] == ["oslo"]
        assert [f.tail for f in other.relational.history("Ada", "lives_in")] == ["rome", "oslo"]
        door = other.store.db.execute("SELECT id FROM places WHERE context = 'door'").fetchone()[0]
        assert door != place
        assert other.relational.ask("chest")[0].tail == f"place {door}"
        assert other.episodic.recall("a chest", 1)[0].trace.entity_slots["where"] == f"place {door}"
        assert other.episodic.recall("event 1", 1)[0].trace.strength == 2
        assert other.verify().problems == []


def test_a_map_with_other_coordinates_stays_another_map(tmp_path: Path) -> None:
    from tests.memory.test_forget import look

    with Memory.open(tmp_path / "m", HashingEmbedder(64)) as memory:
        look(memory, "key", "ada", 1)
        memory.export(tmp_path / "all.jsonl")
    with Memory.open(tmp_path / "n", HashingEmbedder(64)) as other:
        look(other, "lamp", "bo", 1)
        for added in ({"places": 2}, {}):
            assert other.import_(tmp_path / "all.jsonl").added == added
            rows = other.store.db.execute("SELECT map, content FROM places WHERE content != '' ORDER BY 1").fetchall()
            assert rows == [("w", "lamp"), ("w#1", "key")]
        assert other.verify().problems == []


def test_nothing_is_lost_between_the_snapshot_before_and_the_restoring(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as one, Memory.open(tmp_path / "m", HashingEmbedder(64)) as two:
        name = one.snapshot().name
        made: list[int] = []
        create = one.snapshots.create

        def slow(reason: str = "") -> object:
            snapshot = create(reason)
            thread = threading.Thread(target=lambda: made.append(two.episodic.write("in between", origin="b")))
            thread.start()
            sleep(0.2)
            assert not made  # it waits until all is restored
            threads.append(thread)
            return snapshot

        threads: list[threading.Thread] = []
        one.snapshots.create = slow  # type: ignore[assignment,method-assign]
        one.restore(name)
        threads[0].join()
        assert one.episodic.recall("in between", 1)[0].trace.id == made[0]


def test_damaged_exports_are_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with filled(tmp_path / "m") as memory:
        memory.export(file)
    whole = file.read_bytes()
    rng = random.Random(0)
    with Memory.open(tmp_path / "n", HashingEmbedder(64)) as other:
        for number in range(30):
            cut = whole[: rng.randrange(len(whole))]
            flipped = bytearray(whole)
            flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            file.write_bytes(cut if number % 2 else flipped)
            with pytest.raises((DamagedError, EmbedderError)):
                other.import_(file)
        with pytest.raises(UnknownItemError, match="there is no file"):
            other.import_(tmp_path / "none.jsonl")
        assert len(other.episodic) == 0
    file.write_bytes(whole)
    with (
        Memory.open(tmp_path / "o", HashingEmbedder(32)) as third,
        pytest.raises(EmbedderError, match="hashing-64"),
    ):
        third.import_(file)


def test_export_is_whole_or_not_at_all(tmp_path: Path) -> None:
    with filled(tmp_path / "m") as memory:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match=r"can.t write"):
            memory.export(tmp_path / "file" / "all.jsonl")
        memory.export(tmp_path / "all.jsonl")
        lines = (tmp_path / "all.jsonl").read_text().splitlines()
        assert json.loads(lines[0])["format"] == "hippo-memory"
        assert json.loads(lines[-1])["lines"] == len(lines) - 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.jsonl", "file", "m"]


@pytest.mark.parametrize("version", [1, 2])
def test_every_older_schema_is_migrated(tmp_path: Path, version: int) -> None:
    from memory.migrations import MIGRATIONS
    from memory.store import _statements

    db = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
    for script in MIGRATIONS[:version]:
        for statement in _statements(script):
            db.execute(statement)
    vector = HashingEmbedder(64).embed(["an old event"])[0].tobytes()
    from memory.episodic.trace import digest

    db.execute(
        'INSERT INTO traces(id, hash, key, vector, who, what, "where", "when", state_sketch, salience_tags, span_ref,'
        " salience, pinned, strength) VALUES (7, ?, 'an old event', ?, 'ada', '', '', '', '', '[]', '', 0.5, 1, 2)",
        (digest("an old event", "ada", "", ""), vector),
    )
    columns = "id, head, relation, tail, context, conf, valid_from, valid_to, strength"
    db.execute(f"INSERT INTO facts({columns}) VALUES (3, 'ada', 'lives_in', 'rome', '', 1, 5, 8, 1)")
    db.execute(f"INSERT INTO facts({columns}) VALUES (5, 'ada', 'lives_in', 'hell', '', 1, 8, NULL, 1)")
    db.execute("UPDATE sqlite_sequence SET seq = 20 WHERE name = 'traces'")
    db.execute("INSERT INTO places VALUES (4, 'w', 0, 0, 'hall', 1, '', '', 1)")
    for table, item, time in (
        ("traces", 7, 11.0),
        ("traces", 7, 12.0),
        ("facts", 3, 5.0),
        ("facts", 5, 8.0),
        ("places", 4, 6.0),
    ):
        db.execute(
            "INSERT INTO provenance(item_table, item_id, source, doc_id, text_span, time, conf, trust)"
            " VALUES (?, ?, 'old', 'd', '', ?, 1, 1)",
            (table, item, time),
        )
    if version > 1:
        db.execute("UPDATE traces SET time = 12")
        db.execute("UPDATE facts SET superseded_by = 5 WHERE id = 3")
        db.execute("INSERT INTO replay(trace_id, diversity_sig, replays) VALUES (7, 99, 3)")
        db.execute("INSERT INTO lineage VALUES (1, 'traces', 9)")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('embedder', 'hashing-64')")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    with Memory.open(tmp_path, HashingEmbedder(64)) as memory:
        assert memory.verify().problems == []
        kept = memory.store.db.execute("SELECT replays FROM replay").fetchall()
        assert kept == ([(3,)] if version > 1 else [])
        assert memory.store.db.execute("SELECT count(*) FROM lineage").fetchone()[0] == version - 1
        assert memory.store.db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        assert memory.episodic.write("a new event") == 21, "ids given out before are never given again"
        memory.episodic.delete(21)
        hit = memory.episodic.recall("old event", 1)[0]
        assert (hit.trace.id, hit.trace.strength, hit.trace.time, hit.coverage) == (7, 2, 12.0, 1.0)
        memory.forget(rows=[("facts", 5)])
        assert memory.relational.ask("ada")[0].tail == "rome"
        before = contents(memory.store.db)
        assert memory.forget(source="old").removed == {"places": 1, "traces": 1, "facts": 1}
        memory.undo()
        assert contents(memory.store.db) == before


def test_the_id_of_a_deleted_trace_is_not_given_again(memory: Memory) -> None:
    ids = [memory.episodic.write(f"event {number}") for number in range(3)]
    memory.episodic.delete(ids[-1])
    assert memory.episodic.write("a later event") == ids[-1] + 1
    memory.forget(rows=[("traces", ids[-1] + 1)])
    memory.undo()
    assert memory.episodic.write("the latest event") == ids[-1] + 2


def test_a_new_origin_is_one_row_a_document(memory: Memory) -> None:
    for _ in range(5):
        memory.episodic.write("again", origin=Provenance("env", "ep1", "again", time=3.0))
    trace = memory.episodic.recall("again", 1)[0].trace
    assert trace.strength == 5
    assert len(trace.provenance) == 1
