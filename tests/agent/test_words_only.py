"""Worlds of cells of which an agent gets words only."""

from typing import Any

import gymnasium as gym
import pytest

from agent import Agent, ScriptedModel
from agent.logs.events import End
from agent.policies.follower import MissionFollower
from envs import make
from memory import HashingEmbedder, Memory


class WordsOnly(gym.Wrapper[str, int, str, int]):
    """A world of cells that says what is seen, and no more; in lines, as some do."""

    def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
        text, info = self.env.reset(**options)
        return _lines(text), {"mission": info["mission"]}

    def step(self, action: int) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        text, reward, terminated, truncated, _ = self.env.step(action)
        return _lines(text), reward, terminated, truncated, {}


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
