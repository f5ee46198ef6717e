"""Worlds of cells of which an agent gets words only."""

from typing import Any

import gymnasium as gym
import pytest

from agent import Agent, ConfigError, ScriptedModel
from agent.actions import acting_tools
from agent.logs.events import End
from agent.policies.follower import MissionFollower
from envs import make
from envs.perception import ACTIONS
from memory import HashingEmbedder, Memory


class WordsOnly(gym.Wrapper[str, int, str, int]):
    """A world of cells that says what is seen, and no more; in lines, as some do."""

    def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
        text, info = self.env.reset(**options)
        return _lines(text), {"mission": info["mission"]}

    def step(self, action: int) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        text, reward, terminated, truncated, _ = self.env.step(action)
        return _lines(text), reward, terminated, truncated, {}


FOREIGN = {"turn left": 0, "turn right": 1, "go forward": 2, "pick up": 3, "drop": 4, "toggle": 5}


def test_a_foreign_harness_needs_its_own_words_only() -> None:
    """reset(mission, names), act(text): the harness gets back the names that it gave, whatever the map calls them."""
    world: Any = WordsOnly(make("BabyAI-GoToLocal-v0"))
    text, info = world.reset(seed=3)
    with Memory.open(None, HashingEmbedder()) as memory:
        player = Agent(ScriptedModel(MissionFollower(find=True)), memory, ["find", "plan_route", "explore"])
        player.reset(info["mission"], [*FOREIGN])
        for _ in range(40):
            name = player.act(text)
            text, reward, terminated, *_ = world.step(FOREIGN[name])
            if terminated:
                break
        player.close(text, reward, reward > 0)
        assert (terminated, reward > 0) == (True, True)


def test_names_of_actions() -> None:
    assert [tool.name for tool in acting_tools([*FOREIGN])] == ["left", "right", "forward", "pickup", "drop", "toggle"]
    assert {tool.name: tool.description for tool in acting_tools([*FOREIGN])} == {
        name: description for name, (_, description) in ACTIONS.items()
    }
    assert [tool.name for tool in acting_tools(["left", "take", "go north", "3 more"])] == [
        *("left", "take", "go_north", "action_3_more"),
    ]
    assert acting_tools(["go north"])[0].function().action == "go north"
    for names, words in ((["?", "!"], "letters or digits"), (["a b", "a-b"], "the same"), (["a", "a"], "twice")):
        with pytest.raises(ConfigError, match=words):
            acting_tools(names)


def _lines(text: str) -> str:
    return text.replace(", ", "\nYou see ").replace(". You", "\nYou")


@pytest.mark.parametrize("env", ["BabyAI-GoToLocal-v0", "BabyAI-PickupLoc-v0"])
def test_the_map_is_made_of_words(env: str) -> None:
    solved = 0
    for seed in range(8):
        with Memory.open(None, HashingEmbedder()) as memory:
            player = Agent(ScriptedModel(MissionFollower(find=True)), memory, ["find", "plan_route", "explore"])
            end = list(player.run(WordsOnly(make(env)), seed=seed))[-1]
            assert isinstance(end, End)
            solved += end.success
            assert memory.spatial.pose is not None
    assert solved >= 6
