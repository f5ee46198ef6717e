import json
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from memory import HashingEmbedder, Memory, Provenance
from memory.spatial import Cell, View

Cli = Callable[..., tuple[int, str, str]]

ORIGIN = Provenance("test", "doc", time=1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Memory.open(tmp_path / "memory", HashingEmbedder(32)) as memory:
        memory.spatial.enter("room")
        at = [(f, r) for f in range(5) for r in range(-2, 3) if (f, r) not in ((0, 0), (3, 1))]
        cells = [Cell(f, r, "wall" if abs(r) == 2 else "", abs(r) != 2) for f, r in at]
        cells.append(Cell(3, 1, "red ball", False))
        memory.spatial.observe("", View(tuple(cells)), None, origin=ORIGIN)
        memory.spatial.observe("", View((Cell(1, 0, "", True),)), "forward", origin=ORIGIN)
        memory.spatial.enter("house")
        for text, action in (("The hall.", None), ("The kitchen.", "north"), ("The cellar.", "down")):
            memory.spatial.observe(text, None, action, origin=ORIGIN)
    return tmp_path / "memory"


def test_maps_are_listed(cli: Cli, folder: Path) -> None:
    code, out, _ = cli("map", "list", str(folder), "--json")
    found = json.loads(out)
    assert code == 0
    assert [(one["map"], one["places"], one["text"]) for one in found] == [("room", 25, False), ("house", 3, True)]
    assert "house" in cli("map", "list", str(folder))[1]


def test_a_map_is_shown_and_drawn(cli: Cli, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    code, out, _ = cli("map", "show", str(folder), "--out", str(picture), "--json")
    assert code == 0
    assert json.loads(out)["goals"][0] == "red ball"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    house = tmp_path / "house.svg"
    assert cli("map", "show", str(folder), "--map", "house", "--out", str(house))[0] == 0
    assert "<svg" in house.read_text()


def test_routes_are_planned_and_drawn(cli: Cli, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "route.png"
    code, out, _ = cli("map", "plan", str(folder), "ball", "--map", "room", "--out", str(picture), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["map"], found["goal"]) == ("room", "ball")
    assert found["cost"] == len(found["actions"])
    assert picture.is_file()
    code, out, _ = cli("map", "plan", str(folder), "The cellar.", "--map", "house", "--from", "place 26")
    assert "north, down (2 steps)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "moon"), "no place called 'moon'"),
        (("plan", "ball", "--map", "attic"), "no map is called 'attic'"),
        (("plan", "ball", "--from", "hall"), "the start is a place"),
        (("plan", "ball", "--from", "place 999"), "not on the map"),
        (("show", "--out", "room.gif"), ".png or .svg"),
        (("export", "room.txt"), ".graphml or .json"),
        (("export", "room.json", "--map", "attic"), "no map 'attic'"),
    ],
)
def test_mistakes_are_told_in_one_line(cli: Cli, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    command, *rest = arguments
    code, _, err = cli("map", command, str(folder), *rest)
    assert code == 2
    assert words in err
    assert err.count("\n") <= 2


def test_maps_are_exported(cli: Cli, folder: Path, tmp_path: Path) -> None:
    for name in ("maps.graphml", "maps.json"):
        assert cli("map", "export", str(folder), str(tmp_path / name))[0] == 0
    graph = nx.read_graphml(tmp_path / "maps.graphml")
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (28, 3)
    data = json.loads((tmp_path / "maps.json").read_text())
    assert {node["map"] for node in data["nodes"]} == {"room", "house"}


def test_an_empty_memory_has_no_map(cli: Cli, tmp_path: Path) -> None:
    Memory.open(tmp_path / "memory", HashingEmbedder(32)).close()
    code, _, err = cli("map", "show", str(tmp_path / "memory"))
    assert (code, "holds no map" in err) == (2, True)
