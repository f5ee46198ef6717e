import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import envs
from agent.episode_state import AgentConfig
from agent.errors import ConfigError
from agent.logs.events import End, Event, Start
from agent.loop import Agent
from agent.models.scripted import ScriptedModel
from agent.policies import expert_for
from envs.text_grid import TextGrid
from memory import HashingEmbedder, Memory
from memory.episodic import WriteGate

PINS = WriteGate(alpha=0.0, beta=0.0, gamma=0.0, tau=0.5)
SETTINGS: dict[str, tuple[list[str], WriteGate]] = {
    "hippo/Courier-v0": (
        ["recall", "remember", "ask_graph", "tell", "find", "plan_route", "where_is", "explore"],
        PINS,
    ),
    "hippo/EpisodicQA-v0": (["recall"], WriteGate(tau=0.0)),
    "hippo/MultiHopQA-v0": (["ask_graph", "tell"], PINS),
    "hippo/WaterMaze-v0": (["find", "plan_route", "explore"], PINS),
    "hippo/BabyAIMixed-v0": (["find", "plan_route", "explore"], PINS),
}


def play(name: str, worlds: int, without: tuple[str, ...] = (), first: int = 0, **made: Any) -> dict[str, list[End]]:
    """The endings by kind of mission."""
    env = envs.make(name, **made)
    visits = env.get_wrapper_attr("visits")
    start = -(-first // visits)
    tools, gate = SETTINGS[name]
    ends: dict[str, list[End]] = defaultdict(list)
    for world in range(start, start + worlds):
        with Memory.open(None, HashingEmbedder()) as memory:
            env.reset(seed=world * visits)
            agent = Agent(
                ScriptedModel(expert_for(env)),
                memory,
                [tool for tool in tools if tool not in without],
                gate=gate,
                config=AgentConfig(max_calls=1000, max_repeats=0),
            )
            for visit in range(visits):
                events: list[Event] = list(agent.run(env, seed=world * visits + visit))
                begin, end = events[0], events[-1]
                assert isinstance(begin, Start)
                assert isinstance(end, End)
                assert end.invalid_calls == 0
                ends[begin.kind].append(end)
    return ends


def success(ends: dict[str, list[End]], *kinds: str) -> float:
    found = [end.success for kind in kinds or ends for end in ends.get(kind, [])]
    return sum(found) / len(found)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.slow), 2_500_000], ids=["train", "test"])
def test_experts_do_every_mission(name: str, first: int) -> None:
    assert success(play(name, 4, first=first)) >= (0.96 if "Courier" in name else 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["easy", "hard"])
def test_the_courier_does_other_levels(level: str) -> None:
    assert success(play("hippo/Courier-v0", 3, level=level)) > 0.95


@pytest.mark.slow
def test_without_the_graph_what_was_told_is_guessed() -> None:
    ends = play("hippo/Courier-v0", 12, without=("tell", "ask_graph"))
    assert success(ends, "owner", "lent", "opens", "moved", "errand") < 0.5
    assert success(ends, "round", "held", "lay", "place") == 1.0


@pytest.mark.slow
def test_without_episodes_what_was_seen_is_guessed() -> None:
    ends = play("hippo/Courier-v0", 12, without=("recall", "remember"))
    assert success(ends, "held", "lay") < 0.7
    assert success(ends, "round", "owner", "lent", "opens", "moved", "place") == 1.0


def test_answers_need_their_memory() -> None:
    asked = play("hippo/EpisodicQA-v0", 3, without=("recall",))
    assert success(asked, "full", "partial") == 0.0
    assert success(asked, "unanswerable") == 1.0  # unknown is what one says who knows nothing
    chains = play("hippo/MultiHopQA-v0", 3, without=("ask_graph",))
    assert success(chains, "2 hops", "3 hops", "4 hops", "changed", "contradiction") == 0.0


def test_the_second_visit_is_short() -> None:
    ends = play("hippo/WaterMaze-v0", 6)
    first, second = (sum(end.steps for end in ends[kind]) for kind in ("first visit", "second visit"))
    assert second * 2 < first


def test_babyais_bot_plays_what_the_script_can_not_read() -> None:
    env = envs.make("BabyAI-GoToLocal-v0")
    env.reset(seed=0)

    class Odd(TextGrid):
        mission = "betake thyself thither"  # type: ignore[assignment]

    odd = Odd(gym.make("BabyAI-GoToLocal-v0"))
    odd.reset(seed=3)
    agent = Agent(ScriptedModel(expert_for(odd)))
    end = list(agent.run(odd, seed=3))[-1]
    assert isinstance(end, End)
    assert end.success


def test_worlds_without_an_expert_are_told() -> None:
    env = envs.make("MiniGrid-DoorKey-6x6-v0")
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="no expert for MiniGrid-DoorKey-6x6-v0"):
        expert_for(env)


def test_the_expert_can_be_watched(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = cli("run", "env=courier", "model=expert", "episodes=2", f"runs={tmp_path}", "--json")
    assert code == 0, err
    assert [episode["success"] for episode in json.loads(out.splitlines()[-1])["episodes"]] == [True, True]
    code, _, err = cli("run", "env=MiniGrid-Empty-5x5-v0", "model=expert", f"runs={tmp_path}")
    assert (code, "there is no expert" in err) == (2, True)


def test_experts_let_go_of_episodes() -> None:
    env = envs.make("hippo/EpisodicQA-v0")
    env.reset(seed=0)
    expert: Any = expert_for(env)
    with Memory.open(None, HashingEmbedder()) as memory:
        agent = Agent(ScriptedModel(expert), memory, ["recall"])
        for seed in range(3):
            list(agent.run(env, seed=seed))
    assert not expert._plays
