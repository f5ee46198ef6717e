"""Stress test: disks that become full after a given number of bytes."""

import json
import os
import random
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eval.bench.torture.harness import in_child, opened
from eval.bench.torture.kills import whole
from memory import StorageError, StoreError
from memory.episodic import Event


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
            in_child(whole, folder, acknowledged)
            in_child(_snapshots_whole, folder)
    return {"full_disks": offsets, "disk": how, **{f"stopped {k}": v for k, v in stopped.items()}}


@contextmanager
def _small_disk(path: Path) -> Iterator[tuple[Path, str]]:
    path.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)], capture_output=True, check=False
    ).returncode
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
            assert any(word in str(error).lower() for word in ("no space", "full", "large")), str(error)
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
