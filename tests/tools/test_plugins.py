"""Files with tools of somebody else's: what they may import, how they are named, what is said of their mistakes."""

import dataclasses
import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tools import Toolbox, ToolCall, ToolSchemaError, UnknownToolError, tool
from tools.plugins import load, load_all, load_object

TOOL = 'from tools import tool\n\n@tool\ndef {name}(n: int) -> int:\n    """Count."""\n    return n\n'


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = [*sys.path]
    yield tmp_path
    sys.path[:] = path


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def test_what_stands_beside_a_plugin_can_be_imported(folder: Path) -> None:
    """Also where a file beside it has the name of a package of ours, which stays ours."""
    import memory

    write(folder / "beside_it_7.py", "LIMIT = 7\n")
    write(folder / "memory.py", "raise RuntimeError('mine')\n")
    file = write(folder / "mine.py", f"from beside_it_7 import LIMIT\nimport memory\n{TOOL.format(name='count')}")
    assert [item.name for item in load(str(file))] == ["count"]
    assert sys.modules["memory"] is memory


def test_several_tools_of_one_file_are_named_once(folder: Path) -> None:
    text = "".join(TOOL.format(name=name) for name in ("one", "two", "three"))
    file = write(folder / "three.py", text)
    for paths in ([f"{file}:one", "two"], [f"{file}:one,two"], [f"{file}:one,{file}:two"]):
        assert [item.name for item in load_all(paths)] == ["one", "two"]
    with pytest.raises(UnknownToolError, match="no module 'tow'"):
        load_all([f"{file}:one", "tow"])


def test_a_file_is_imported_once_until_it_changes(folder: Path) -> None:
    file = write(folder / "counted.py", f"made = []\n{TOOL.format(name='count')}")
    load_object(f"{file}:made", "thing").append(1)
    assert load_object(f"{file}:made", "thing") == [1]
    write(file, f"made = [2, 2]\n{TOOL.format(name='count')}")
    assert load_object(f"{file}:made", "thing") == [2, 2]


def test_two_tools_of_one_name_in_a_file_are_told(folder: Path) -> None:
    text = TOOL.format(name="add") + TOOL.format(name="plus").replace("@tool", '@tool(name="add")')
    with pytest.raises(ToolSchemaError, match="holds two tools called 'add'"):
        load(str(write(folder / "twice.py", text)))
    again = write(folder / "again.py", f"{TOOL.format(name='add')}\nalias = add\n")
    assert [item.name for item in load(str(again))] == ["add"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nraise RuntimeError('no\\nfile')\n", r"RuntimeError: no file \(line 2\)"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(line 2\)"),
        ("def f(:\n", r"SyntaxError: .*line 1\)$"),
        ("from tools import tool\nclass Box:\n    @tool\n    def open(self) -> str:\n"
         '        """Open."""\n        return ""\nbox = Box()\n', r"box has some: assign them, as in `name = box"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ToolSchemaError, match=words):
        load(str(write(folder / "broken.py", text)))


@pytest.mark.parametrize("path", [".", "", ".."])
def test_what_is_no_module_is_told(path: str) -> None:
    with pytest.raises(UnknownToolError, match="give a module name"):
        load(path)


class Point(BaseModel):
    x: int


@dataclasses.dataclass
class Pair:
    a: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Point(x=1), '{"x": 1}'),
        (Pair(1), '{"a": 1}'),
        ([Point(x=1), dt.date(2020, 1, 2)], '[{"x": 1}, "2020-01-02"]'),
        ({"b", "a"}, '["a", "b"]'),
        ({"é": 1}, '{"é": 1}'),
        (2.5, "2.5"),
        (None, "done"),
        ("plain", "plain"),
    ],
)
def test_what_a_tool_returns_is_told_as_json(value: Any, text: str) -> None:
    @tool
    def give() -> Any:
        """Give."""
        return value

    result = Toolbox([give]).dispatch(ToolCall(name="give"))
    assert (result.status, result.text) == ("ok", text)


def test_what_json_has_not_is_told_in_words() -> None:
    @tool
    def give() -> Any:
        """Give."""
        return object()

    assert "object" in Toolbox([give]).dispatch(ToolCall(name="give")).text


def package(folder: Path, name: str, entries: str, code: str) -> None:
    """Install a package with entry points, as pip leaves it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hippo.tools]\n{entries}\n")


def test_tools_of_installed_packages_have_names(
    folder: Path, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    package(folder, "clock_9", "clock = clock_9\nchime = clock_9:strike", TOOL.format(name="strike"))
    package(folder, "broken_9", "broken = broken_9", "raise RuntimeError('out of order')")
    package(folder, "twin_9", "clock = twin_9\nbare = twin_9", "x = 1")
    assert [item.name for item in load("chime")] == ["strike"]
    with pytest.raises(ToolSchemaError, match=r"registered by .* and .*: name the module"):
        load("clock")
    with pytest.raises(ToolSchemaError, match=r"'broken' .* can't be imported: RuntimeError: out of order"):
        load("broken")
    with pytest.raises(ToolSchemaError, match="holds no tool"):
        load("bare")
    code, out, err = cli("tools")
    assert code == 0
    assert "strike(n): Count" in out
    assert "out of order" in err
    assert "two tools" not in err
