import json
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]

LEVEL = "BabyAI-GoToLocal-v0"
QUIET = ("memory.embedder=hashing", "memory.gate.tau=9", "model=script", f"env={LEVEL}", "-q")


@pytest.fixture(scope="module")
def runs(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert cli("run", *QUIET, "episodes=12", "seed=100", f"runs={folder}")[0] == 0
    return folder


def test_mine_test_use_forget(cli: Cli, runs: Path, tmp_path: Path) -> None:
    memory = str(tmp_path / "memory")
    code, out, _ = cli("macros", "mine", memory, str(runs), "--json")
    assert code == 0
    assert json.loads(out)["solved"] == 12
    code, out, _ = cli("macros", "test", memory, "--env", LEVEL, "--trials", "20", "--json")
    assert code == 0
    assert [(one["name"], one["status"], one["trials"]) for one in json.loads(out)] == [("go_to", "accepted", 20)]
    found = json.loads(cli("macros", "list", memory, "--json")[1])
    assert (found[0]["name"], found[0]["runs"]) == ("go_to", 20)
    shown = cli("macros", "show", memory, "go_to")[1]
    assert "follow plan_route($1), until ahead $1" in shown
    assert "accepted" in cli("macros", "list", memory)[1]
    assert json.loads(cli("macros", "forget", memory, "go_to", "--dry-run", "--json")[1])["operation"] == 0
    assert json.loads(cli("macros", "forget", memory, "go_to", "--json")[1])["removed"] == {"macros": 1}
    assert cli("memory", "undo", memory)[0] == 0
    assert "go_to" in cli("macros", "list", memory)[1]


def test_cloning_writes_rows_and_macros(cli: Cli, runs: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    code, out, _ = cli("distill", "clone", str(tmp_path / "memory"), str(runs), "--rows", str(rows), "--json")
    assert code == 0
    done = json.loads(out)
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert done["rows"] == len(lines) == 12 - done["doubles"]
    assert done["macros"] == ["go_to"]
    assert all(Path(line["provenance"]["log"]).is_file() for line in lines)
    assert all(line["provenance"]["success"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mine", "nowhere"), "no events.jsonl in nowhere"),
        (("show", "fly"), "no macro has the signature or name 'fly'"),
        (("test", "--env", LEVEL), "no candidate to test"),
        (("test", "--env", "Nonsense-v0"), "Nonsense"),
        (("forget", "fly"), "no macro has"),
    ],
)
def test_mistakes_are_told_in_one_line(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    from memory import HashingEmbedder, Memory

    Memory.open(tmp_path / "memory", HashingEmbedder(32)).close()
    command, *rest = arguments
    code, _, err = cli("macros", command, str(tmp_path / "memory"), *rest)
    assert code in (1, 2)
    assert words in err


def test_a_damaged_log_is_told_and_nothing_is_kept(cli: Cli, runs: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_bytes(b'{"type": "start"}\n' + next(runs.rglob("events.jsonl")).read_bytes())
    code, _, err = cli("macros", "mine", str(tmp_path / "memory"), str(log))
    assert (code, "line 1 is no event" in err) == (1, True)
    assert not (tmp_path / "memory").exists()
