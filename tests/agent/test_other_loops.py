"""The memories in other people's loops, with their own packages."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent import Agent, ConfigError, ScriptedModel, tools_for
from memory import HashingEmbedder, Memory
from tools import UnknownToolError, tool

LAMP = "Ida put the green lamp in the cellar"


@pytest.fixture
def filled() -> Iterator[Memory]:
    with Memory.open(None, HashingEmbedder()) as memory:
        memory.episodic.write(LAMP, {"who": "Ida"})
        yield memory


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def test_in_openais_form(filled: Memory) -> None:
    ours = tools_for("openai", filled, plugins=[double])
    assert [one["function"]["name"] for one in ours.tools] == ["recall", "remember", "ask_graph", "tell", "double"]

    def call(name: str, arguments: Any) -> str:
        message = ours.call({"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}})
        assert (message["role"], message["tool_call_id"]) == ("tool", "c1")
        return str(message["content"])

    assert LAMP in call("recall", '{"cue": "green lamp"}')
    assert call("double", '{"number": 4}') == "8"
    assert call("recall", "{").startswith("invalid: the arguments of recall are no JSON")
    assert call("recall", "[1]") == "invalid: the arguments of recall are list: expected an object"
    assert call("recall", '{"query": "x"}').startswith("invalid: recall(cue: string) expected")
    assert call("fly", "{}").startswith("invalid: unknown tool")
    assert call("remember", '{"text": "the red key is in the hall"}') == "noted"
    assert filled.stats()["traces"] == 2


def test_in_anthropics_form(filled: Memory) -> None:
    ours = tools_for("anthropic", filled, names=["recall"])
    assert ours.tools[0]["input_schema"]["required"] == ["cue"]
    block = {"type": "tool_use", "id": "t1", "name": "recall", "input": {"cue": "green lamp"}}
    result = ours.call(block)
    assert (result["type"], result["tool_use_id"], LAMP in result["content"]) == ("tool_result", "t1", True)
    assert "is_error" not in result
    assert ours.call({**block, "input": {}})["is_error"] is True


def test_in_langchain(filled: Memory) -> None:
    pytest.importorskip("langchain_core")
    ours = {one.name: one for one in tools_for("langchain", filled, plugins=[double])}
    assert LAMP in ours["recall"].invoke({"cue": "green lamp"})
    assert ours["double"].invoke({"number": 4}) == "8"
    assert "invalid" in ours["double"].invoke({"number": "many"})
    assert ours["recall"].tool_call_schema["properties"]["cue"]["type"] == "string"
    from langchain_core.utils.function_calling import convert_to_openai_tool

    assert convert_to_openai_tool(ours["recall"])["function"]["parameters"]["required"] == ["cue"]


def test_in_pydantic_ai(filled: Memory) -> None:
    pytest.importorskip("pydantic_ai")
    from pydantic_ai import Agent as TheirAgent
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    seen: list[str] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.extend(
            str(part.content) for part in messages[-1].parts if part.part_kind in ("tool-return", "retry-prompt")
        )
        if len(messages) == 1:
            assert {one.name for one in info.function_tools} >= {"recall", "tell"}
            return ModelResponse(parts=[ToolCallPart("recall", {"query": "lamp"})])
        if len(messages) == 3:
            return ModelResponse(parts=[ToolCallPart("recall", json.dumps({"cue": "green lamp"}))])
        return ModelResponse(parts=[TextPart("in the cellar")])

    theirs = TheirAgent(FunctionModel(model), tools=tools_for("pydantic_ai", filled))
    answer = asyncio.run(theirs.run("Where is the lamp?"))
    assert answer.output == "in the cellar"
    assert "recall(cue: string) expected" in seen[0]
    assert LAMP in seen[1]


def test_an_agents_own_tools(filled: Memory) -> None:
    ours = Agent(ScriptedModel([]), filled, ["recall"], plugins=[double]).tools_for("openai")
    assert [one["function"]["name"] for one in ours.tools] == ["recall", "double"]


def test_what_makes_no_sense(filled: Memory) -> None:
    with pytest.raises(ConfigError, match="openai, anthropic, langchain, pydantic_ai"):
        tools_for("smolagents", filled)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no tool"):
        tools_for("openai")
    with pytest.raises(UnknownToolError):
        tools_for("openai", filled, names=["recal"])
