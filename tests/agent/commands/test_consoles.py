"""Settings take any path that a shell passes; output is written on any console."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.commands.console import write_anywhere
from agent.config import load, load_collect
from agent.errors import ConfigError
from eval.errors import EvalError
from eval.suites import parse
from tools.plugins import load as load_plugin
from tools.plugins import split_path

Hippo = Callable[..., tuple[int, str, str]]

PATHS = [
    "/tmp/mem",
    "mem",
    "./mem",
    "../mem",
    "/tmp/Müller",
    "/tmp/李明",
    "/tmp/🎉",
    "/tmp/a,b",
    "/tmp/a=b",
    "/tmp/[x]",
    "/tmp/{x}",
    "/tmp/(x)",
    "/tmp/#1",
    "/tmp/a&b",
    "/tmp/100%",
    "/tmp/a@b",
    "/tmp/a+b",
    "/tmp/a;b",
    "/tmp/!x",
    "/tmp/x?",
    "/tmp/*",
    "/tmp/a:b",
    "C:\\Users\\Zoë\\mem",
    "C:\\mem\\",
    "/tmp/a'b\"c",
    "/tmp/ñ/ø/ł",
    "\\\\server\\share",
    "/tmp/x~",
    "-mem",
    "/tmp/a|b",
    "/tmp/<x>",
    "/tmp/Zoë's notes",
    "/tmp/a b",
    "/tmp/مذكرات",
    "/tmp/tab\there",
    "/tmp/trailing ",
]


@pytest.mark.parametrize("path", PATHS)
def test_any_path_is_taken(path: str) -> None:
    assert load([f"memory.path={path}"]).memory.path == Path(path)
    assert load([f"runs={path}"]).runs == Path(path)
    assert parse(["suite=courier", f"runs={path}"]).runs == Path(path)


@pytest.mark.parametrize("name", ["2026", "1e5", "007", "true", "1.5", "NaN", "-1", "mine"])
def test_a_name_may_look_like_a_number(name: str) -> None:
    assert load([f"name={name}"]).name == name
    assert load([f"memory.path={name}"]).memory.path == Path(name)
    assert load(["name=null", "memory.path=null"]).memory.path is None


@pytest.mark.parametrize("key", ["memory.path", "runs"])
def test_the_home_folder_is_the_home_folder(key: str) -> None:
    config = load([f"{key}=~/mem"])
    assert Path("~/mem").expanduser() in (config.memory.path, config.runs)
    assert parse(["suite=courier", "runs=~/mem"]).runs == Path("~/mem").expanduser()


@pytest.mark.parametrize(
    ("words", "key", "values"),
    [
        ("plugins=a.py,b.py", "plugins", ["a.py", "b.py"]),
        ("plugins=a.py", "plugins", ["a.py"]),
        ("plugins=[a.py,b.py]", "plugins", ["a.py", "b.py"]),
        ("plugins=C:\\tools\\compass.py", "plugins", ["C:\\tools\\compass.py"]),
        ("plugins=Müller/x.py,y.py:tool", "plugins", ["Müller/x.py", "y.py:tool"]),
        ("plugins=a b.py, c.py", "plugins", ["a b.py", "c.py"]),
        ("memory.tools=recall,remember", "memory.tools", ["recall", "remember"]),
        ("memory.tools=[]", "memory.tools", []),
    ],
)
def test_a_list_may_be_written_with_commas(words: str, key: str, values: list[str]) -> None:
    config = load([words])
    assert (config.plugins if key == "plugins" else config.memory.tools) == values


@pytest.mark.parametrize("words", ["arms=script,no_memory", "arms=[script,no_memory]", "arms=script, no_memory"])
def test_arms_may_be_written_with_commas(words: str) -> None:
    assert parse(["suite=courier", words]).arms == ("script", "no_memory")
    assert parse(["suite=courier", "arms=script"]).arms == ("script",)
    assert parse(["suite=courier", "set=a=1,b=2"]).set == ("a=1", "b=2")


@pytest.mark.parametrize("words", ["memory.path=[", "plugins={", "name=${x", "seed=[1", "episodes='"])
def test_what_can_not_be_read_is_told_in_one_line(words: str) -> None:
    with pytest.raises(ConfigError) as error:
        load([words])
    assert "\n" not in str(error.value)
    assert "Exception" not in str(error.value)


def test_an_unknown_setting_of_an_evaluation_is_told() -> None:
    with pytest.raises(EvalError, match="unknown setting"):
        parse(["suite=courier", "armz=x"])


@pytest.mark.parametrize(
    ("path", "place", "name"),
    [
        ("compass.py", "compass.py", ""),
        ("compass.py:north", "compass.py", "north"),
        ("package.module", "package.module", ""),
        ("package.module:north", "package.module", "north"),
        ("C:\\tools\\compass.py", "C:\\tools\\compass.py", ""),
        ("C:\\tools\\compass.py:north", "C:\\tools\\compass.py", "north"),
        ("C:/tools/compass.py", "C:/tools/compass.py", ""),
        ("d:compass.py", "d:compass.py", ""),
        ("/tmp/a:b/compass.py", "/tmp/a:b/compass.py", ""),
    ],
)
def test_the_colon_of_a_drive_is_no_separator(path: str, place: str, name: str) -> None:
    assert split_path(path) == (place, name)


@pytest.mark.parametrize("folder", ["Müller", "a b", "李明", "it's", "x;y"])
def test_plugins_in_any_folder(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "compass.py"
    file.write_text('from tools import tool\n\n@tool\ndef north() -> str:\n    """Point north."""\n    return "N"\n')
    assert [tool.name for tool in load_plugin(str(file))] == ["north"]
    assert load([f"plugins={file}"]).plugins == [str(file)]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
def test_what_a_console_lacks_is_written_in_ascii(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    write_anywhere(stream)
    stream.write("Ada → Rome … 李明 🎉 ≥ Zoë\n")
    stream.flush()
    assert raw.getvalue().decode(encoding).startswith("Ada ")
    if encoding == "ascii":
        assert raw.getvalue() == b"Ada -> Rome ... ?? ? >= Zo?\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_the_command_line_on_an_old_console(encoding: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    code = "import sys; from agent.commands.main import main; sys.argv = ['hippo', *sys.argv[1:]]; main()"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "run",
            "env=water_maze",
            "model=script",
            "episodes=1",
            f"runs={tmp_path / 'Müller 李'}",
        ],
        capture_output=True,
        env=environment,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode(encoding, "replace")
    assert b"Traceback" not in result.stderr


def test_the_adapter_that_ships_plays_where_no_model_is_named() -> None:
    for config in (load(), load_collect()):
        assert (config.model.kind, getattr(config.model, "adapter", None)) == ("local", "hippo-135m")
    assert getattr(load(["model=smollm2-135m"]).model, "adapter", "?") is None
    assert parse(["suite=courier"]).model == "hippo-135m"
