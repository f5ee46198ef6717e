import json

import pytest

import envs
from agent import Agent, LogError, ScriptedModel
from agent.models.local import LocalModel
from agent.policies.script import RouteFollower
from agent.prompts import template
from memory import Memory
from training import EmptyMaskError, assistant_mask, row_of
from training.datasets import Row


@pytest.fixture
def row(memory: Memory) -> Row:
    env = envs.make("hippo/WaterMaze-v0", size=8, landmarks=3)
    return row_of(list(Agent(ScriptedModel(RouteFollower()), memory).run(env, seed=0)))


def test_a_row_is_the_conversation(row: Row) -> None:
    roles = [message["role"] for message in row["messages"]]
    assert roles[:4] == ["system", "user", "assistant", "tool"]
    assert {"plan_route", "forward"} <= {tool["function"]["name"] for tool in json.loads(row["tools"])}
    calls = [call for m in row["messages"] for call in m.get("tool_calls", ())]
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)
    assert row["provenance"]["env"] == "hippo/WaterMaze-v0"
    assert row["provenance"]["success"] is True


def test_a_log_without_an_end_is_refused(memory: Memory) -> None:
    with pytest.raises(LogError, match="a start and an end"):
        row_of([])


@pytest.mark.model
def test_the_loss_falls_on_every_call_and_nothing_else(row: Row, model: LocalModel) -> None:
    ids, mask = assistant_mask(row, model.tokenizer, template("chat/chatml.jinja"))
    learnt = model.tokenizer.decode([token for token, on in zip(ids, mask, strict=True) if on])
    calls = [m for m in row["messages"] if m["role"] == "assistant"]
    assert learnt.count("<|im_end|>") == len(calls)
    assert learnt.count('{"name":') == len(calls)
    assert "You see" not in learnt


@pytest.mark.model
def test_a_template_without_marks_is_refused(row: Row, model: LocalModel) -> None:
    plain = template("chat/chatml.jinja").replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    with pytest.raises(EmptyMaskError, match="generation"):
        assistant_mask(row, model.tokenizer, plain)
