"""The kit for testing tools without weights, and what it tests."""

from typing import Annotated

import pytest
from pydantic import Field

from agent import Agent, AgentConfig, ConfigError
from agent.models.grammar import LARGEST, bounded
from agent.models.scripted import ScriptedModel
from agent.testing import EveryTool, drawn_call, drawn_calls
from envs import make
from memory import HashingEmbedder, Memory
from tools import MemoryTools, ToolArgumentError, Toolbox, ToolCall, tool


@tool
def weigh(grams: float, count: int, limit: Annotated[float, Field(ge=0, le=1e-7)] = 0.0) -> str:
    """Weigh some things."""
    return f"{grams * count} {limit}"


def test_drawn_numbers_are_bounded_and_valid() -> None:
    calls = [*drawn_calls([weigh], 40)]
    assert len({call.text() for call in calls}) > 30
    for call in calls:
        assert Toolbox([weigh]).dispatch(call).status == "ok"
        assert abs(call.arguments["grams"]) <= LARGEST
        assert isinstance(call.arguments["count"], int)
        assert len(call.text()) < 120


def test_bounds_of_the_schema_are_kept() -> None:
    node = bounded({"type": "number", "exclusiveMinimum": 1e16})
    assert node["exclusiveMinimum"] == 1e16
    assert node["maximum"] > 1e16
    assert bounded({"type": "number", "maximum": 1e-9})["multipleOf"] < 1e-10
    assert bounded({"type": "integer", "enum": [10**20]}) == {"type": "integer", "enum": [10**20]}
    assert bounded({"type": "string", "maxLength": 4000})["maxLength"] == 200
    assert bounded({"type": "number", "multipleOf": 0.5})["multipleOf"] == 0.5


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_is_no_number_is_refused(number: float) -> None:
    result = Toolbox([weigh]).dispatch(ToolCall(name="weigh", arguments={"grams": number, "count": 1}))
    assert result.status == "invalid"


def test_every_tool_of_an_episode_is_called() -> None:
    model = EveryTool()
    with Memory.open(None, HashingEmbedder(8)) as memory:
        agent = Agent(model, memory, plugins=[weigh], config=AgentConfig(max_calls=40))
        events = list(agent.run(make("BabyAI-GoToLocal-v0"), seed=3))
    assert {"weigh", "remember", "recall", "find"} <= set(model.called)
    assert not [event for event in events if event.type == "returned" and event.status == "invalid"]
    spec = weigh.spec()
    assert drawn_call(spec, 3) == drawn_call(spec, 3)


class Box:
    def __init__(self) -> None:
        self.size = 10

    @tool
    def add(self, n: int, m: int = 1) -> int:
        """Add to the size."""
        return self.size + n * m


def test_a_direct_call_is_checked_and_converted() -> None:
    box = Box()
    assert box.add("3") == 13
    assert box.add(3, m=2) == 16
    assert Box.add(box, 3) == 13
    assert Box.add(box, n=3, m=2) == 16


@pytest.mark.parametrize(
    ("positional", "named"), [(("x",), {}), ((1, 2, 3), {}), ((1,), {"n": 1}), ((), {}), ((1,), {"k": 1}), ((2.5,), {})]
)
def test_a_wrong_direct_call_is_told(positional: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(ToolArgumentError):
        Box().add(*positional, **named)
    with pytest.raises(ToolArgumentError):
        Box.add()


def test_messages_keep_values_as_they_are() -> None:
    @tool
    def trip(code: Annotated[str, Field(pattern="^[A-Z]{3}$")]) -> str:
        """Take a trip."""
        return code

    assert "'^[A-Z]{3}$'" in Toolbox([trip]).dispatch(ToolCall(name="trip", arguments={"code": "abc"})).text


def test_a_paragraph_is_remembered_whole() -> None:
    text = ("The key lies under the third stone. " * 40).strip()
    with Memory.open(None, HashingEmbedder(32)) as memory:
        box = Toolbox(MemoryTools(memory).select(["remember", "recall"]))
        assert box.dispatch(ToolCall(name="remember", arguments={"text": text})).status == "ok"
        assert text in box.dispatch(ToolCall(name="recall", arguments={"cue": "third stone " * 20})).text


def test_actions_may_be_a_list_of_names() -> None:
    agent = Agent(ScriptedModel([ToolCall(name="south")]))
    agent.reset("leave", ["north", "south"])
    assert agent.act("You are in a hall.") == "south"


@pytest.mark.parametrize("actions", ["north", [], ["a", "a"], [1], {"north": "N"}, ["?"], ["a b", "a-b"]])
def test_wrong_actions_are_told(actions: object) -> None:
    with pytest.raises(ConfigError, match="action"):
        Agent(ScriptedModel([])).reset("leave", actions)  # type: ignore[arg-type]
