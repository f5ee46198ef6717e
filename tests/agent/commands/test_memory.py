"""``hippo memory``, as its user types it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.commands.main import app
from memory import HashingEmbedder, Memory, Provenance
from memory.relational import Tuple


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Memory.open(tmp_path / "m", HashingEmbedder(64)) as memory:
        for number in range(70):
            source = "mallory" if number == 3 else "ada"
            trace = memory.episodic.write(
                f"Ada put ball {number} in box {number % 5}",
                {"who": "Ada", "what": f"ball {number}"},
                origin=Provenance(source, f"doc {number % 2}", "said so", time=1000.0 + number),
            )
        origin = Provenance("extractor", derived_from=(("traces", trace),))
        memory.relational.upsert([Tuple("ball 69", "is_at", "box 4", origin)])
    return tmp_path / "m"


def hippo(*arguments: object, code: int = 0) -> Any:
    """Run a command; returns the JSON on the last line, or all output of a run that failed."""
    result = CliRunner().invoke(app, ["memory", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1]) if "--json" in arguments else result.output


def test_look_into_it(folder: Path) -> None:
    stats = hippo("stats", folder, "--json")
    assert (stats["traces"], stats["facts"], stats["embedder"]) == (70, 1, "hashing-64")
    assert stats["sources"] == {"ada": 69, "mallory": 1, "extractor": 1}
    assert "traces       70" in hippo("stats", folder)
    hits = hippo("search", folder, "ball 12", "-k", 2, "--json")["hits"]
    assert hits[0]["trace"]["key"] == "Ada put ball 12 in box 2"
    assert "ball 12" in hippo("search", folder, "--what", "ball 12")
    fact = hippo("show", folder, "facts:1", "--json")
    assert fact["derived_from"] == ["traces:70"]
    trace = hippo("show", folder, "70", "--json")
    assert trace["became"] == ["facts:1"]
    assert trace["origins"][0]["source"] == "ada"
    assert "row          traces:70" in hippo("show", folder, "70")


def test_forget_and_undo(folder: Path) -> None:
    assert hippo("forget", folder, "--source", "mallory", "--dry-run", "--json")["removed"] == {"traces": 1}
    assert hippo("stats", folder, "--json")["traces"] == 70
    assert hippo("forget", folder, "--row", "70", "--json")["removed"] == {"traces": 1, "facts": 1}
    assert hippo("undo", folder, "--dry-run", "--json")["returned"] == {"traces": 1, "facts": 1}
    assert hippo("stats", folder, "--json")["traces"] == 69
    assert hippo("undo", folder, "--json")["returned"] == {"traces": 1, "facts": 1}
    done = hippo("forget", folder, "--doc", "doc 1", "--until", "1970-01-01T00:17:00+00:00", "--json")
    assert done["removed"] == {"traces": 10}
    assert "operation    2" in hippo("undo", folder, 2)


def test_snapshot_and_restore(folder: Path) -> None:
    name = hippo("snapshot", folder, "--reason", "before", "--json")["name"]
    hippo("forget", folder, "--source", "ada")
    assert hippo("stats", folder, "--json")["traces"] == 1
    assert hippo("restore", folder, name, "--dry-run", "--json")["rows"]["traces"] == 70
    assert hippo("stats", folder, "--json")["traces"] == 1
    assert hippo("restore", folder, name, "--json")["before"]
    assert hippo("stats", folder, "--json")["traces"] == 70
    assert len(hippo("snapshot", folder, "--list", "--json")) == 3
    assert "before" in hippo("snapshot", folder, "--list")


def test_export_and_import(folder: Path, tmp_path: Path) -> None:
    assert hippo("export", folder, tmp_path / "all.jsonl", "--json")["rows"]["traces"] == 70
    hippo("forget", folder, "--source", "ada")
    assert hippo("import", folder, tmp_path / "all.jsonl", "--dry-run", "--json")["added"]["traces"] == 69
    assert hippo("import", folder, tmp_path / "all.jsonl", "--json")["merged"] == {"traces": 1}
    assert hippo("stats", folder, "--json")["traces"] == 70
    assert hippo("import", tmp_path / "new", tmp_path / "all.jsonl", "--json")["added"]["traces"] == 70
    assert hippo("stats", tmp_path / "new", "--json")["embedder"] == "hashing-64"


def test_a_broken_database_says_where_a_copy_is(folder: Path) -> None:
    name = hippo("snapshot", folder, "--json")["name"]
    (folder / "memory.db").write_bytes(b"garbage " * 999)
    for file in folder.glob("memory.db-*"):
        file.unlink()
    said = hippo("verify", folder, code=1)
    assert f"{name}/memory.db is a whole copy" in said
    (folder / "memory.db").write_bytes((folder / "snapshots" / name / "memory.db").read_bytes())
    assert hippo("verify", folder, "--json")["ok"]


def test_verify(folder: Path) -> None:
    assert hippo("verify", folder, "--json") == {
        "ok": True,
        "problems": [],
        "checked": {
            "places": 0,
            "edges": 0,
            "traces": 70,
            "facts": 1,
            "macros": 0,
            "artifacts": 0,
            "aliases": 0,
            "frames": 0,
        },
    }
    with Memory.open(folder) as memory:
        memory.store.db.execute("UPDATE traces SET hash = 'x' WHERE id = 5")
    assert "not that of their content: 5" in hippo("verify", folder, code=1)


def test_train_completion(folder: Path) -> None:
    card = hippo("train-completion", folder, "--epochs", 1, "--dry-run", "--json")
    assert card["traces"] == 70
    assert "id" not in card
    assert hippo("train-completion", folder, "--epochs", 1, "--json")["id"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("search", "FOLDER", ""), "empty text"),
        (("search", "FOLDER", "x", "-k", "0"), "k must be at least 1"),
        (("search", "FOLDER", "x", "--who", "y"), "words or slots"),
        (("show", "FOLDER", "999"), "no row of traces has id 999"),
        (("show", "FOLDER", "tracks:9"), "expected TABLE:ID"),
        (("forget", "FOLDER"), "needs a source"),
        (("forget", "FOLDER", "--source", "adda"), "sources are: ada, extractor, mallory"),
        (("forget", "FOLDER", "--since", "yesterday"), "expected seconds or a time"),
        (("undo", "FOLDER"), "nothing to undo"),
        (("undo", "FOLDER", "7"), "no forgetting 7"),
        (("forget", "FOLDER", "--since", "9", "--until", "3"), "since must be before until"),
        (("export", "FOLDER", "FOLDER/memory.db"), "one of the memory's own files"),
        (("export", "FOLDER", "FOLDER/index/x.jsonl"), "one of the memory's own files"),
        (("export", "FOLDER", "FOLDER"), "is a folder"),
        (("import", "FOLDER", "FOLDER/none.jsonl"), "there is no file"),
        (("restore", "FOLDER", "nope"), "no snapshot is called 'nope'"),
        (("stats", "FOLDER/none"), "there is no memory in"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    output = hippo(*(a.replace("FOLDER", str(folder)) for a in arguments), code=2)
    assert output.startswith("error: ")
    assert says in output
    assert output.count("\n") == 1
    assert not (folder / "none").exists()


def test_damage_is_exit_code_1(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert "not a complete export" in hippo("import", folder, tmp_path / "bad.jsonl", code=1)
