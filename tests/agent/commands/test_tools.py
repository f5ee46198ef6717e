"""The commands for tools, from an empty folder to a call."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.commands.main import app
from memory import HashingEmbedder, Memory

FAULTY = '''
from typing import Annotated
from pydantic import AfterValidator
from tools import tool

@tool
def odd(number: Annotated[int, AfterValidator(lambda n: n if n % 2 else 1 / 0)]) -> str:
    """Take an odd number.

    >>> odd(3)
    '4'
    """
    return str(number)
'''


def hippo(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_a_new_tool_works_and_its_test_passes(tmp_path: Path) -> None:
    assert hippo("tools", "new", "count_words", "--in", str(tmp_path))[0] == 0
    file = tmp_path / "count_words.py"
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_count_words.py")]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout
    code, out, _ = hippo("tools", "check", str(file))
    assert (code, "examples: 1 run" in out, "wrong" in out) == (0, True, False)
    assert hippo("tools", "call", f"{file}:count_words", "text=a red ball", "longest=2")[1] == "3 words: a, red\n"
    code, _, err = hippo("tools", "call", str(file), "text=a", "longest=0")
    assert (code, "longest: input should be greater than or equal to 1" in err) == (2, True)
    code, _, err = hippo("tools", "new", "count_words", "--in", str(tmp_path))
    assert (code, "is not overwritten" in err) == (2, True)
    assert hippo("tools", "new", "no-name")[0] == 2
    shown = hippo("tools", "show", str(file))[1]
    assert "What to count the words of" in shown
    assert "timeout: 5.0" in shown


def test_what_is_wrong_with_a_tool_is_said(tmp_path: Path) -> None:
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    code, out, _ = hippo("tools", "check", str(file), "--json")
    assert code == 1
    found = {one["what"]: one for one in json.loads(out.splitlines()[-1])["odd"]}
    assert {what for what, one in found.items() if one["level"] == "wrong"} == {"calls", "examples"}
    assert "a call that the grammar allows is refused" in found["calls"]["words"]
    assert "Expected:" in found["examples"]["words"]
    assert "no description of number" in found["arguments"]["words"]


@pytest.mark.parametrize("form", ["openai", "mcp", "json-schema"])
def test_tools_are_exported(form: str) -> None:
    made = json.loads(hippo("tools", "export", "--format", form)[1])
    if form == "json-schema":
        assert made["recall"]["properties"]["cue"]["type"] == "string"
    else:
        first = made[0]["function"] if form == "openai" else made[0]
        assert (first["name"], first["description"]) == ("recall", "Search what happened before")
        assert first["parameters" if form == "openai" else "inputSchema"]["required"] == ["cue"]


def test_a_tool_of_a_memory_is_called(tmp_path: Path) -> None:
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        memory.episodic.write("the red ball is in the hall", {"who": "me"})
    code, out, _ = hippo("tools", "call", "recall", "cue=red ball", "--memory", str(tmp_path), "--json")
    result = json.loads(out)
    assert (code, result["status"], "the red ball is in the hall" in result["text"]) == (0, "ok", True)
    code, _, err = hippo("tools", "call", "recal", "cue=red ball")
    assert (code, "did you mean recall" in err) == (2, True)
    assert "there is no memory in" in hippo("tools", "call", "recall", "cue=x", "--memory", str(tmp_path / "none"))[2]
    assert "key=value" in hippo("tools", "call", "recall", "red ball")[2]
