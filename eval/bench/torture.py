"""What a memory must survive: kills, crowds, damaged files, full disks, poison.

Each function does its worst with real processes and files and raises ``AssertionError`` at the first thing
that is lost, doubled, half done or silently wrong. ``make test`` runs them in small counts, ``make
torture`` (``python -m eval.bench.durability``) in the counts of docs/results/durability.md.
"""

import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from memory import DamagedError, HashingEmbedder, Memory, Provenance, StorageError, StoreError
from memory.episodic import Event
from memory.provenance import TABLES
from memory.relational import Tuple
from memory.vectors import VectorIndex

DIM = 64
_FORK = multiprocessing.get_context("forkserver")  # children start in milliseconds, with no threads of ours
_FORK.set_forkserver_preload(["eval.bench.torture"])
DUMPED = (*TABLES, "provenance", "lineage", "replay")


def opened(path: Path | None) -> Memory:
    """The memory under torture."""
    return Memory.open(path, HashingEmbedder(DIM))


def dump(memory: Memory) -> dict[str, list[tuple[object, ...]]]:
    """Everything remembered, row by row."""
    return {t: memory.store.db.execute(f"SELECT * FROM {t} ORDER BY 1, 2").fetchall() for t in DUMPED}


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work`` in a process of its own; returns what it returns, raises what it raises as text."""
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=_report, args=(there, work, arguments))
    process.start()
    there.close()
    try:
        ok, result = here.recv()
    except EOFError:
        ok, result = False, "the process died"
    process.join()
    here.close()
    assert ok, result
    return result


def _report(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, work(*arguments)))
    except BaseException:
        pipe.send((False, traceback.format_exc()))


# Kills ---------------------------------------------------------------------------------------------------


def kills(path: Path, rounds: int, seed: int = 0) -> dict[str, int]:
    """Kill a process at a random moment of writing, snapshotting, forgetting and rebuilding, again and again.

    After each kill: no acknowledged trace is lost or altered, ``quick_check`` is ok, the index holds the
    ids that SQLite holds, every snapshot is whole.

    Returns:
        Counts of kills, acknowledged traces, and of what the process was at when it was killed.
    """
    rng = random.Random(seed)
    acknowledged: dict[int, str] = {}
    busy_with: Counter[str] = Counter()
    for number in range(rounds):
        here, there = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_busy, args=(path, number, rng.randrange(2**31), there))
        process.start()
        there.close()
        here.poll(60)
        time.sleep(rng.uniform(0.02, 0.35))
        process.kill()
        lines = _rest(here)
        process.join()
        assert process.exitcode == -9, f"the writer ended by itself with {process.exitcode}"
        at = "starting"
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "wrote":
                trace, _, key = rest.partition(" ")
                acknowledged[int(trace)] = key
            elif kind == "at":
                at = rest
        busy_with[at] += 1
        in_child(_whole, path, acknowledged)
    return {"kills": rounds, "acknowledged": len(acknowledged), **{f"killed {k}": v for k, v in busy_with.items()}}


def _busy(path: Path, number: int, seed: int, parent: Connection) -> None:
    """Write, snapshot, forget what is marked for it, rebuild; say so line by line."""
    rng = random.Random(seed)

    def say(line: str) -> None:
        parent.send_bytes(line.encode())

    memory = opened(path)
    for step in range(10**6):
        dice = rng.random()
        if dice < 0.75:
            say("at writing")
            key = f"round {number} step {step}"
            say(f"wrote {memory.episodic.write(key, origin='kept')} {key}")
        elif dice < 0.82:
            say("at forgetting")
            memory.episodic.write(f"passing {number} {step}", origin="passing")
            memory.forget(source="passing")
            for name in memory.snapshots.names()[:-1]:
                memory.snapshots.delete(name)
        elif dice < 0.88:
            say("at a snapshot")
            memory.snapshot()
        elif dice < 0.94:
            say("at rebuilding")
            memory.episodic.index.discard()
            memory.episodic.index.ids()
            memory.episodic.index.save()
        else:
            say("at reopening")
            memory.close()
            memory = opened(path)


def _rest(pipe: Connection) -> list[str]:
    """All whole messages of a process that is gone."""
    lines: list[str] = []
    with pipe, suppress(EOFError, OSError):
        while True:
            lines.append(pipe.recv_bytes().decode())
    return lines


def _whole(path: Path, acknowledged: dict[int, str]) -> None:
    with opened(path) as memory:
        db = memory.store.db
        assert db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        there = dict(db.execute("SELECT id, key FROM traces").fetchall())
        lost = {i: key for i, key in acknowledged.items() if there.get(i) != key}
        assert not lost, f"acknowledged and lost: {lost}"
        assert memory.episodic.index.ids().tolist() == sorted(there)
        for name in memory.snapshots.names():
            memory.snapshots.check(name)
        unsourced = "SELECT count(*) FROM traces WHERE id NOT IN (SELECT item_id FROM provenance)"
        assert db.execute(unsourced).fetchone()[0] == 0


# Crowds --------------------------------------------------------------------------------------------------


def crowd(path: Path, writers: int, writes: int, readers: int) -> dict[str, float]:
    """Several processes write at once beside readers: no error, loss or duplicate.

    Every tenth write of each writer is one that all of them make: it must become one trace.
    """
    opened(path).close()
    stop = _FORK.Event()
    began = time.perf_counter()
    pipes = [_FORK.Pipe() for _ in range(writers + readers)]
    work: list[Any] = [(_write_many, (path, number, writes)) for number in range(writers)]
    work += [(_read_until, (path, stop))] * readers
    processes = [
        _FORK.Process(target=_report, args=(there, job, arguments))
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


# Damage --------------------------------------------------------------------------------------------------


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


# Full disks ----------------------------------------------------------------------------------------------


def full_disks(path: Path, offsets: int, seed: int = 0) -> dict[str, Any]:
    """Fill the disk after so many more bytes, at many offsets, while writing, snapshotting and exporting.

    On a small tmpfs where one may be mounted, else under a limit of the size of a file. The error says
    what is wrong; afterwards the store opens, every acknowledged trace is there, no snapshot is half.
    """
    rng = random.Random(seed)
    how, stopped = "", Counter[str]()
    for _ in range(offsets):
        room = rng.randrange(4096, 1_500_000)
        with _small_disk(path) as (folder, disk):
            how = disk
            in_child(_seed_memory, folder)
            acknowledged, where = in_child(_fill_up, folder, room, disk)
            in_child(_free, folder)
            stopped[where] += 1
            in_child(_whole, folder, acknowledged)
            in_child(_snapshots_whole, folder)
    return {"full_disks": offsets, "disk": how, **{f"stopped {k}": v for k, v in stopped.items()}}


@contextmanager
def _small_disk(path: Path) -> Iterator[tuple[Path, str]]:
    path.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)], capture_output=True, check=False
    ).returncode  # fmt: skip
    try:
        yield path / "m", "tmpfs" if mounted == 0 else "file size limit"
    finally:
        if mounted == 0:
            subprocess.run(["umount", str(path)], check=True)
        shutil.rmtree(path, ignore_errors=True)


def _seed_memory(folder: Path) -> None:
    with opened(folder) as memory:
        memory.episodic.write_many([Event(f"seed {i}", origin="t") for i in range(50)])


def _fill_up(folder: Path, room: int, disk: str) -> tuple[dict[int, str], str]:
    """Work until the disk is full; returns what was acknowledged, and what the full disk stopped."""
    memory = opened(folder)
    if disk == "tmpfs":
        free = os.statvfs(folder)
        (folder.parent / "ballast").write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - room))
    else:
        size = (folder / "memory.db").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
    acknowledged: dict[int, str] = {}
    work = ""
    for step in range(100_000):
        try:
            if step % 40 == 20:
                work = "a snapshot"
                memory.snapshot()
            elif step % 40 == 30:
                work = "an export"
                memory.export(folder / "all.jsonl")
            elif step % 40 == 39:
                work = "the index"
                memory.episodic.index.ids()
                memory.episodic.index.save()
            else:
                work = "writing"
                key = f"step {step} " + "x" * 500
                acknowledged[memory.episodic.write(key, origin="t")] = key
        except StorageError as error:
            assert "no space" in str(error) or "full" in str(error) or "large" in str(error), str(error)
            with suppress(StoreError):
                memory.close()
            return acknowledged, work
        except OSError as error:
            assert work == "the index", f"{work}: {error!r}"
            memory.store.close()
            return acknowledged, work
    raise AssertionError("the disk never filled up")


def _free(folder: Path) -> None:
    (folder.parent / "ballast").unlink(missing_ok=True)


def _snapshots_whole(folder: Path) -> None:
    with opened(folder) as memory:
        memory.snapshot()
        assert not [p for p in (folder / "snapshots").iterdir() if p.name.startswith(".")]
        for name in memory.snapshots.names():
            memory.snapshots.check(name)
        if (folder / "all.jsonl").exists():
            last = (folder / "all.jsonl").read_text().splitlines()[-1]
            assert "sha256" in json.loads(last)
        report = memory.verify()
        assert report.ok, report.problems


# Poison --------------------------------------------------------------------------------------------------


def poison(path: Path | None, count: int, bad: int) -> dict[str, int]:
    """``bad`` of ``count`` traces come from one source, with facts, places and macros made of them.

    After forgetting that source none of it is anywhere and everything else answers as before; after
    undoing everything is as it was, row for row.
    """
    every = count // bad
    spies = set(range(0, count, every))
    with opened(path) as memory:
        traces = memory.episodic.write_many([_event(i, i in spies) for i in range(count)])
        with memory.transaction():
            for i, trace in enumerate(traces):
                if i % every < 3:
                    _derive(memory, i, trace)
        cues = [f"event {i} of the day" for i in range(1, count, max(7, count // 300)) if i not in spies]
        towns = {f"town {i}" for i in spies}
        people = range(count // 10)
        facts = {p: memory.relational.ask(f"person {p}", 9) for p in people}
        before = dump(memory)
        answers = [memory.episodic.recall(cue, 1)[0].trace for cue in cues]
        done = memory.forget(source="mallory")
        assert {t: done.removed[t] for t in ("traces", "facts", "places", "macros")} == dict.fromkeys(
            ("traces", "facts", "places", "macros"), len(spies)
        )
        left = dump(memory)
        assert "mallory" not in str([left[table] for table in DUMPED])
        assert not {traces[i] for i in spies} & {row[0] for row in left["traces"]}
        assert [memory.episodic.recall(cue, 1)[0].trace for cue in cues] == answers
        for person, known in facts.items():
            kept = [fact for fact in known if fact.tail not in towns]
            assert [f.id for f in memory.relational.ask(f"person {person}", 9)] == [f.id for f in kept]
        report = memory.verify()
        assert report.ok, report.problems
        if path is not None:
            for file in path.rglob("*"):
                assert not file.is_file() or done.snapshot in file.parts or b"mallory's lie" not in file.read_bytes()
        memory.undo()
        assert dump(memory) == before
        assert [memory.episodic.recall(cue, 1)[0].trace for cue in cues] == answers
    return {"traces": count, "poisoned": len(spies), **{f"removed {t}": n for t, n in done.removed.items()}}


def _event(i: int, bad: bool) -> Event:
    who = "mallory" if bad else "ada"
    words = "mallory's lie" if bad else "a plain truth"
    return Event(f"event {i} of the day", {"who": f"person {i // 10}"}, Provenance(who, "d", words, time=float(i)))


def _derive(memory: Memory, i: int, trace: int) -> None:
    """A fact from a trace; a place and a macro from the fact."""
    origin = Provenance("extractor", time=float(i), derived_from=(("traces", trace),))
    fact = memory.relational.upsert([Tuple(f"person {i // 10}", "knows", f"town {i}", origin)])[0]
    further = Provenance("walker", time=float(i), derived_from=(("facts", fact),))
    memory.spatial.enter(f"town {i}")
    memory.spatial.observe(f"street {i}", origin=further)
    memory.macros.add([("go", {"to": i})], origin=further)


def scratch() -> Path:
    """A fresh folder to torture a memory in."""
    return Path(tempfile.mkdtemp(prefix="hippo-torture-"))
