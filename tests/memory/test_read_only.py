"""A memory on a read-only mount can be searched and checked; changes are refused in one sentence."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory import HashingEmbedder, Memory, StorageError
from memory.relational import Tuple

Hippo = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["mount", "permissions"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mount" / "m"
    path.parent.mkdir()
    if request.param == "mount":
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path.parent], capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
    elif os.geteuid() == 0:
        pytest.skip("permissions do not bind this user")
    try:
        with Memory.open(path, HashingEmbedder()) as memory:
            for word in ("lamp", "boat", "key"):
                memory.episodic.write(f"Ada hid the {word}", origin="diary")
            memory.relational.upsert([Tuple("Ada", "lives_in", "Rome", provenance="diary")])
            memory.snapshot("first")
        held = Memory.open(path, HashingEmbedder())  # its log is not yet in the database when the mount turns read-only
        held.episodic.write("Ada hid the late letter", origin="diary")
        if request.param == "mount":
            held.close()
            subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)
        else:
            held.close()
            for file in (path, *path.rglob("*")):
                file.chmod(0o555 if file.is_dir() else 0o444)
        yield path
    finally:
        if request.param == "mount":
            subprocess.run(["umount", path.parent], check=False)
        else:
            for file in (path, *path.rglob("*")):
                file.chmod(0o755)


def test_everything_that_reads_works(folder: Path, tmp_path: Path, cli: Hippo) -> None:
    with Memory.open(folder) as memory:
        assert memory.store.read_only
        assert memory.episodic.recall("late letter", 1)[0].trace.key == "Ada hid the late letter"
        assert memory.relational.ask("Ada")[0].tail == "rome"
        assert memory.relational.retrieve("Where does Ada live?").facts
        assert memory.retrieve("Where did Ada hide the lamp?")
        assert memory.verify().ok
        assert memory.stats()["traces"] == 4
    for command in (
        ("memory", "search", folder, "lamp"),
        ("memory", "stats", folder),
        ("memory", "verify", folder),
        ("memory", "show", folder, "1"),
        ("memory", "export", folder, tmp_path / "out.jsonl"),
        ("kg", "ask", folder, "Ada"),
        ("kg", "ask", folder, "Where did Ada hide the lamp?", "--passages"),
        ("kg", "show", folder, "Ada"),
        ("kg", "contradictions", folder),
        ("kg", "aliases", folder),
    ):
        code, out, err = cli(*command)
        assert code == 0, (command, out, err)
    with Memory.open(tmp_path / "copy", HashingEmbedder()) as copy:
        copy.import_(tmp_path / "out.jsonl")
        assert len(copy.episodic) == 4


def test_changes_are_refused_in_one_sentence(folder: Path, tmp_path: Path, cli: Hippo) -> None:
    (tmp_path / "notes.txt").write_text("Ada lives in Oslo.")
    with Memory.open(folder) as memory:
        for change in (
            lambda: memory.episodic.write("more", origin="x"),
            lambda: memory.relational.upsert([Tuple("Ada", "lives_in", "Oslo")]),
            lambda: memory.relational.merge("Ada", "Adele"),
            lambda: memory.forget(source="diary"),
            lambda: memory.snapshot("second"),
            lambda: memory.replay(2),
        ):
            with pytest.raises(StorageError, match="read-only"):
                change()
        assert memory.relational.ask("Ada")[0].tail == "rome"
    for command in (
        ("memory", "forget", folder, "--source", "diary"),
        ("memory", "snapshot", folder),
        ("memory", "undo", folder),
        ("memory", "verify", folder, "--repair"),
        ("kg", "load", folder, tmp_path / "notes.txt"),
    ):
        code, _, err = cli(*command)
        assert code != 0, command
        assert err.strip().splitlines()[-1].startswith("error: "), err
        assert "Traceback" not in err


def test_runs_there_get_one_sentence(folder: Path, cli: Hippo) -> None:
    for command in ("run", "collect"):
        code, _, err = cli(command, "env=water_maze", "model=script", f"runs={folder.parent / 'runs'}", "episodes=1")
        assert code != 0
        last = err.strip().splitlines()[-1]
        assert last.startswith("error: "), err
        assert "runs" in last
