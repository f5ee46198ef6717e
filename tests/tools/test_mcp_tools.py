"""Tools of MCP servers in the toolbox: real servers, each a process of its own."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import Agent, ScriptedModel
from agent.config import load
from agent.logs.events import Returned
from envs import make
from tools import Toolbox, ToolCall, ToolSchemaError
from tools.mcp_tools import mcp_tools

SERVER = '''
import os, time
from typing import Annotated, Literal
from mcp.server.mcpserver import MCPServer
from pydantic import Field

server = MCPServer("odd things", log_level="ERROR")

@server.tool(name="add-up.now")
def add(numbers: Annotated[list[int], Field(max_length=5)], unit: Literal["m", "s"] = "m") -> str:
    """Add numbers up.

    A second line.
    """
    return f"{sum(numbers)} {unit}"

@server.tool()
def fail(why: str) -> str:
    """Raise an error."""
    raise ValueError(why)

@server.tool()
def known() -> str:
    """Say what is known of tokens."""
    return " ".join(key for key in os.environ if "TOKEN" in key)

@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)

server.run("stdio")
'''


@pytest.fixture
def server(tmp_path: Path) -> str:
    file = tmp_path / "odd server.py"
    file.write_text(SERVER)
    return f"{sys.executable} '{file}'"


def test_a_server_of_others_works_and_fails_as_a_tool(server: str) -> None:
    with mcp_tools([f"odd={server}"]) as tools:
        box = Toolbox(tools)
        assert box.names == ["odd_add_up_now", "odd_fail", "odd_known", "odd_die"]
        assert box["odd_add_up_now"].description == "Add numbers up"
        assert box.dispatch(ToolCall(name="odd_add_up_now", arguments={"numbers": [1, 2], "unit": "s"})).text == "3 s"
        invalid = box.dispatch(ToolCall(name="odd_add_up_now", arguments={"numbers": ["one"]}))
        assert invalid.status == "invalid"
        assert "numbers.0" in invalid.text
        failed = box.dispatch(ToolCall(name="odd_fail", arguments={"why": "no luck"}))
        assert failed.status == "failed"
        lost = box.dispatch(ToolCall(name="odd_die"))
        assert lost.status == "failed"
        assert "MCP server failed" in lost.text
        assert box.dispatch(ToolCall(name="odd_add_up_now", arguments={"numbers": [1]})).status == "failed"


def test_an_agent_calls_it_in_an_episode(server: str) -> None:
    with mcp_tools([server]) as tools:
        model = ScriptedModel([ToolCall(name="add_up_now", arguments={"numbers": [20, 22]})] * 2)
        events = list(Agent(model, plugins=tools).run(make("hippo/WaterMaze-v0")))
    assert [event.text for event in events if isinstance(event, Returned)] == ["42 m", "42 m"]


SAME = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("twins", log_level="ERROR")
for name in ("a.b", "a-b", "c"):
    server.add_tool(lambda: "done", name=name, description="Do it")
server.run("stdio")
"""


def test_names_that_are_taken_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "twins.py"
    file.write_text(SAME)
    place = f"{sys.executable} {file}"
    with pytest.warns(UserWarning, match="'a_b' already; put NAME="), mcp_tools([place]) as tools:
        assert [tool.name for tool in tools] == ["a_b", "c"]


def test_our_tokens_are_not_handed_on(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HIPPO_TOKEN", "HIPPO_MCP_TOKEN_NOTES", "TOKEN_OF_THEIRS"):
        monkeypatch.setenv(name, "secret")
    with mcp_tools([server]) as tools:
        assert Toolbox(tools).dispatch(ToolCall(name="known")).text == "TOKEN_OF_THEIRS"


ENDLESS = """
import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import ListToolsResult

async def listed(ctx, params):
    return ListToolsResult(tools=[], next_cursor="more")

async def main():
    server = Server("endless", on_list_tools=listed)
    async with stdio_server() as streams:
        await server.run(*streams, server.create_initialization_options())

anyio.run(main)
"""


def test_a_list_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS)
    with pytest.raises(ToolSchemaError, match="no end of them"), mcp_tools([f"{sys.executable} {file}"]):
        pass


def test_what_the_caller_raises_is_raised(server: str) -> None:
    with pytest.raises(ValueError, match="mine"), mcp_tools([server]):
        raise ValueError("mine")


@pytest.mark.parametrize("place", ["no-such-program --at all", "http://127.0.0.1:9/mcp", f"{sys.executable} -c 1"])
def test_a_server_that_is_not_there_is_named(place: str) -> None:
    with pytest.raises(ToolSchemaError, match="can't be used"), mcp_tools([place], timeout=5):
        pass


def test_the_setting_reaches_the_model(cli: Callable[..., tuple[int, str, str]], server: str, tmp_path: Path) -> None:
    assert load([f'mcp=["{server}"]']).mcp == [server]
    code, _, err = cli(
        "run", "model=random", "memory=none", "episodes=1", "agent.max_calls=5", f"runs={tmp_path}", f'mcp=["{server}"]'
    )
    assert code == 0, err
    start = next(tmp_path.rglob("events.jsonl")).read_text().splitlines()[0]
    assert "add_up_now" in start
