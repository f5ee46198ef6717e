"""Policies, models and write gates of the user's own."""

from pathlib import Path

import pytest

from agent import Agent, ScriptedModel
from agent.config import load, load_collect
from agent.errors import ConfigError, ModelError
from agent.policies.choice import make_model
from agent.policies.experts import expert_for
from agent.policies.plugin import plugged_gate, plugged_policy
from agent.rollout.collect import Collection
from agent.rollout.memories import gate_of
from envs import make
from envs.splits import seeds_of
from tests.agent.corridor import Corridor

OWN = """
from memory.episodic import WriteGate
from tools import ToolCall, tool

class Follow:
    def __call__(self, turn):
        return ToolCall(name="left")

class Careful(WriteGate):
    def opens(self, score):
        return score > 0.9

class Broken:
    def __init__(self):
        raise RuntimeError("no file")

class Half:
    def decide(self, turns):
        return []

class Needs(WriteGate):
    limit: float

class Mute(WriteGate):
    def score(self, **_):
        return "high"

def nothing(turn):
    return None

def wrong(turn):
    return {}["enum"]

@tool
def compass() -> str:
    '''Say where north is.'''
    return "up"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_a_policy_plays_by_its_name(own: Path, tmp_path: Path) -> None:
    assert make_model(load([f"model={own}:Follow"])).describe()["name"] == f"{own}:Follow"
    settings = [f"policy={own}:Follow", "env=BabyAI-GoToLocal-v0", "episodes=2", "workers=1", "agent.max_calls=5"]
    done = Collection(load_collect([*settings, f"runs={tmp_path}", "name=own"]), seeds_of("train"), make)
    done.run()
    assert len(done.rows) == 2


def test_a_gate_decides_by_its_name(own: Path) -> None:
    gate = gate_of(load([f"memory.gate={own}:Careful"]).memory)
    assert (gate.opens(0.8), gate.opens(0.95)) == (False, True)
    assert gate_of(load([]).memory).opens(0.8)
    assert gate_of(load([f"memory.gate={own}:Careful", "memory.gate.tau=0.7"]).memory).tau == 0.7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Folow", "did you mean Follow"),
        ("Broken", "RuntimeError: no file"),
        ("Half", "lacks describe and release"),
        ("compass", "expected what takes a Turn"),
        ("", "expected module:name or file.py:name"),
    ],
)
def test_what_is_no_policy_is_told(own: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plugged_policy(f"{own}:{name}" if name else str(own))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Follow", "expected a subclass|can't be made"),
        ("Needs", "can't be made"),
        ("Mute", "score.. gave 'high', expected a number"),
    ],
)
def test_what_is_no_gate_is_told(own: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plugged_gate(f"{own}:{name}", {})


@pytest.mark.parametrize(
    ("name", "message"), [("nothing", "gave None"), ("wrong", r"KeyError: 'enum' \(own.py, line 32")]
)
def test_a_policy_that_fails_is_told_with_its_place(own: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        plugged_policy(f"{own}:{name}").decide([None])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("policy=exprt", "one of your own as my_policy.py:Follow"),
        ("memory.gate=careful", "my_gate.py:Careful"),
        ("model=own.py", "own.py:NAME"),
    ],
)
def test_wrong_names_are_told(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_collect([setting])


def test_a_world_names_its_own_expert(own: Path) -> None:
    class World(Corridor):
        expert = f"{own}:Follow"

    assert callable(expert_for(World()))
    World.expert = "babyay"
    with pytest.raises(ConfigError, match=r"expert is 'babyay': did you mean babyai\?, or file\.py:Name"):
        expert_for(World())


@pytest.mark.parametrize(("part", "value"), [("memory", "folder"), ("gate", "careful"), ("config", {"max_calls": 3})])
def test_parts_of_an_agent_are_of_their_kind(part: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{part}=.*: expected a "):
        Agent(ScriptedModel(lambda _turn: "x"), **{part: value})  # type: ignore[arg-type]
