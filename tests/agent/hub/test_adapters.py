import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import CatalogError
from agent.hub import adapters
from memory import Memory

Cli = Callable[..., tuple[int, str, str]]


def test_an_adapter_ships_with_its_card() -> None:
    folder = adapters.resolve("hippo-135m")
    card = adapters.card(folder)
    assert (folder / adapters.WEIGHTS).stat().st_size < 16 << 20
    assert card["sha256"] == adapters.digest(folder)
    assert card["base"]["name"] == "smollm2-135m"
    assert "env:hippo/Courier-v0" in card["sources"]
    words = "".join(path.read_text() for path in folder.iterdir() if path.suffix in (".json", ".md", ".jsonl"))
    assert "/root" not in words
    assert "/tmp" not in words


def test_the_commands_list_and_show(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("adapters", "list", "--in", str(tmp_path), "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)] == ["hippo-135m", "hippo-reader"]
    assert "hippo-135m" in cli("adapters", "list", "--in", str(tmp_path))[1]
    assert "tokens learnt" in cli("adapters", "show", "hippo-135m")[1]
    code, _, err = cli("adapters", "show", "hippo-136m")
    assert code == 2
    assert "there is hippo-135m" in err
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / adapters.SETTINGS).write_text("{}")
    assert cli("adapters", "list", "--in", str(tmp_path))[0] == 0  # it has no weights: it is none
    (foreign / adapters.WEIGHTS).write_bytes(b"x")
    (foreign / adapters.CARD).write_text('{"model": "of somebody else"}')
    assert cli("adapters", "list", "--in", str(tmp_path))[0] == 0


def test_forgetting_names_the_adapters(cli: Cli, tmp_path: Path) -> None:
    with Memory.open(tmp_path / "memory") as memory:
        memory.episodic.write("Ada left the lamp", origin="env:hippo/Courier-v0")
    asked = ("memory", "forget", str(tmp_path / "memory"), "--source", "env:hippo/Courier-v0", "--json")
    found = json.loads(cli(*asked, "--adapters", str(tmp_path))[1])
    assert [one["name"] for one in found["adapters"]] == ["hippo-135m"]
    recipe = "NAME=hippo-135m-without sh training/recipes/hippo-135m.sh 'data.exclude=[env:hippo/Courier-v0]'"
    assert found["adapters"][0]["rebuild"] == recipe
    assert adapters.trained_on("env:nothing") == []


def test_a_child_is_made_again_from_a_parent_made_again(tmp_path: Path) -> None:
    about = {"v": 1, "base": {}, "sources": []}
    cards = {
        "old": {**about, "name": "old", "command": "hippo train name=old 'data.runs=[a]'",
                "data": {"runs": ["monday"]}},
        "new": {**about, "name": "new", "command": "hippo train adapter=x/old name=new 'data.runs=[b]'",
                "data": {"runs": ["tuesday"]}, "runs": ["monday", "tuesday"], "parent": {"name": "old"}},
    }  # fmt: skip
    for name, card in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / adapters.CARD).write_text(json.dumps(card))
        (tmp_path / name / adapters.SETTINGS).write_text("{}")
        (tmp_path / name / adapters.WEIGHTS).write_bytes(b"")
    first = "hippo train name=old-without 'data.runs=[a]' 'data.exclude=[monday]'"
    then = "hippo train adapter=old-without name=new-without 'data.runs=[b]' 'data.exclude=[monday]'"
    found = {one["name"]: one["rebuild"] for one in adapters.trained_on("monday", tmp_path)}
    assert found == {"old": first, "new": f"{first} && {then}"}
    assert [one["name"] for one in adapters.trained_on("tuesday", tmp_path)] == ["new"]


def test_a_damaged_card_is_told(tmp_path: Path) -> None:
    (tmp_path / adapters.CARD).write_text("{")
    with pytest.raises(CatalogError, match="is no card"):
        adapters.card(tmp_path)


def test_damaged_weights_are_told_when_they_are_shown(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    for name in (adapters.CARD, adapters.SETTINGS):
        (tmp_path / name).write_bytes((adapters.shipped() / adapters.SHIPPED / name).read_bytes())
    whole = (adapters.shipped() / adapters.SHIPPED / adapters.WEIGHTS).read_bytes()
    (tmp_path / adapters.WEIGHTS).write_bytes(whole[: len(whole) // 2])
    code, _, words = cli("adapters", "show", tmp_path)
    assert (code, words.count("\n")) == (2, 1)
    assert "is damaged" in words
    (tmp_path / adapters.WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "is not the file that its card describes" in cli("adapters", "show", tmp_path)[2]
