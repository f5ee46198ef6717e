"""The public surface: a name or a signature changes on purpose only."""

from pathlib import Path

import agent
import envs
import memory
import tools
import training
from memory import HashingEmbedder, Memory
from tests.surface import lines
from tools import MemoryTools
from tools import names as tool_names

WRITTEN = Path(__file__).parent / "data" / "surface.txt"


def test_names_and_signatures_are_those_written_down() -> None:
    now, before = list(lines()), WRITTEN.read_text().splitlines()
    gone = [line for line in before if line not in now]
    new = [line for line in now if line not in before]
    assert (gone, new) == ([], []), "on purpose? python -m tests.surface > tests/data/surface.txt"
    assert now == before


def test_public_names_exist() -> None:
    for package in (agent, envs, memory, tools, training):
        assert len(set(package.__all__)) == len(package.__all__) > 0
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_the_names_of_tools_are_the_tools() -> None:
    with Memory.open(None, HashingEmbedder()) as opened:
        offered = {tool.name for tool in MemoryTools(opened).select()}
    named = {value for name, value in vars(tool_names).items() if name.isupper() and isinstance(value, str)}
    assert named - {tool_names.ANSWER} == offered
    assert offered >= tool_names.LOOKUPS


def test_forget_has_the_name_that_the_design_gave_it() -> None:
    with Memory.open(None, HashingEmbedder()) as opened:
        opened.episodic.write("a note", origin="diary")
        assert opened.delete_by_provenance(source="diary").removed == {"traces": 1}
