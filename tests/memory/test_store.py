import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memory import HashingEmbedder, Memory, NotAMemoryError, Provenance
from memory.store import Store

WRITER = """
import sys
import threading
from memory import HashingEmbedder, Memory, Provenance
memory = Memory.open(sys.argv[1], HashingEmbedder())
for i in range(int(sys.argv[3])):
    n = memory.episodic.write(f"event {sys.argv[2]} {i}", origin=Provenance("test"))
    print(n, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_a_failed_transaction_changes_nothing(origin: Provenance, memory: Memory) -> None:
    memory.episodic.write("kept", origin=origin)
    with pytest.raises(RuntimeError), memory.transaction():
        memory.episodic.write("lost", origin=origin)
        raise RuntimeError
    assert [hit.trace.key for hit in memory.episodic.recall("lost kept", 5)] == ["kept"]
    memory.episodic.write("later", origin=origin)
    assert {hit.trace.key for hit in memory.episodic.recall("lost kept later", 5)} == {"kept", "later"}


def test_settings_are_durable(tmp_path: Path) -> None:
    with Store(tmp_path / "memory.db") as store:
        assert store.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert store.db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_acknowledged_writes_survive_kill(tmp_path: Path) -> None:
    process = writer(tmp_path / "m", "a", 10_000)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        assert memory.store.db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        ids = {row[0] for row in memory.store.db.execute("SELECT id FROM traces")}
        assert set(acknowledged) <= ids
        assert len(memory.episodic.index) == len(ids)


def test_processes_write_side_by_side(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        processes = [writer(tmp_path / "m", name, 30) for name in "abc"]
        for process in processes:
            process.communicate()
            assert process.returncode == 0
        assert len(memory.episodic) == len(memory.episodic.index) == 90


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    Memory.open(tmp_path, HashingEmbedder()).close()
    with sqlite3.connect(tmp_path / "memory.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(NotAMemoryError, match="schema version 99"):
        Memory.open(tmp_path, HashingEmbedder())


def test_other_directories_are_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotAMemoryError, match="holds other files"):
        Memory.open(tmp_path, HashingEmbedder())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(NotAMemoryError, match="is a file"):
        Memory.open(tmp_path / "thesis.txt", HashingEmbedder())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_bytes(b"not a database at all, but long enough to be read as one" * 50)
    with pytest.raises(NotAMemoryError, match="not a memory database"):
        Memory.open(tmp_path, HashingEmbedder())


def test_writers_do_not_wait_long_for_each_other(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "memory.db"), Store(tmp_path / "memory.db")
    before = first.stamp
    began = time.perf_counter()
    second.set_meta("a", "1")
    first.set_meta("b", "2")
    assert time.perf_counter() - began < 5
    assert first.stamp != before
    assert first.meta("a") == "1"
    first.close()
    second.close()


def test_an_inner_failure_undoes_only_itself(memory: Memory, origin: Provenance) -> None:
    with memory.transaction():
        memory.episodic.write("kept", origin=origin)
        with pytest.raises(RuntimeError), memory.transaction():
            memory.episodic.write("undone", origin=origin)
            raise RuntimeError
    assert [hit.trace.key for hit in memory.episodic.recall("undone", 5)] == ["kept"]


def test_a_restored_database_does_not_take_a_later_cache(tmp_path: Path, origin: Provenance) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        memory.episodic.write("one", origin=origin)
    before = (tmp_path / "m" / "memory.db").read_bytes()
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        memory.episodic.write("old future", origin=origin)
    (tmp_path / "m" / "memory.db").write_bytes(before)
    memory = Memory.open(tmp_path / "m", HashingEmbedder())
    memory.episodic.write("cats purr", origin=origin)
    memory.store.close()  # as a killed process would: no new cache
    with Memory.open(tmp_path / "m", HashingEmbedder()) as memory:
        assert memory.episodic.recall("cats purr", 1)[0].trace.key == "cats purr"
        assert memory.episodic.recall("old future", 1)[0].score < 0.99


def test_an_unwritable_cache_does_not_keep_the_database_open(tmp_path: Path, origin: Provenance) -> None:
    memory = Memory.open(tmp_path / "m", HashingEmbedder())
    memory.episodic.write("one", origin=origin)
    (tmp_path / "m" / "index").write_text("in the way")
    memory.close()
    memory.close()
    with pytest.raises(sqlite3.ProgrammingError):
        memory.store.db.execute("SELECT 1")


def test_another_thread_may_write_meanwhile(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        memory.episodic.write("a lamp", origin="one")
        entered, leave = threading.Event(), threading.Event()

        def write() -> None:
            with memory.transaction():
                memory.episodic.write("a key", origin="two")
                entered.set()
                leave.wait(5)

        thread = threading.Thread(target=write)
        thread.start()
        entered.wait(5)
        threading.Timer(0.2, leave.set).start()
        assert memory.forget(source="one").removed == {"traces": 1}
        thread.join()
        assert len(memory.episodic) == 1
