"""Stress test: a process is killed at random moments, again and again."""

import random
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from eval.bench.torture.harness import PROCESSES, in_child, opened


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
        here, there = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_busy, args=(path, number, rng.randrange(2**31), there))
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
        in_child(whole, path, acknowledged)
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


def whole(path: Path, acknowledged: dict[int, str]) -> None:
    """Every acknowledged trace is there, the index holds what SQLite holds, snapshots are whole."""
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
