"""A world of your own: a gymnasium environment whose observations are text. Its map is learnt from them."""

from typing import Any

import gymnasium as gym

from agent import Agent, ScriptedModel
from agent.policies import RouteFollower
from envs import text_space
from memory import HashingEmbedder, Memory
from tools import ToolCall

ROOMS = ["a kitchen with a stove", "a hall with a clock", "a library with a globe", "a cellar with a chest"]


class House(gym.Env[str, int]):
    observation_space = text_space()
    action_space = gym.spaces.Discrete(2)
    named_actions = {"on": (1, "go on to the next room"), "left": (0, "go back")}  # name: (value, description)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.room = 0
        return self.see(), {"mission": "find the chest", "world": "house"}

    def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.room = max(0, min(len(ROOMS) - 1, self.room + (1 if action else -1)))
        done = self.room == len(ROOMS) - 1
        return self.see(), float(done), done, False, {"success": done}

    def see(self) -> str:
        return f"You are in {ROOMS[self.room]}."


with Memory.open(None, HashingEmbedder()) as memory:
    first = list(Agent(ScriptedModel([ToolCall(name="on")] * 3), memory).run(House(), seed=0))
    second = list(Agent(ScriptedModel(RouteFollower()), memory).run(House(), seed=1))
    print("first visit:", first[-1].ending, first[-1].steps, "steps")
    print("second visit, by the map:", second[-1].ending, second[-1].tool_calls)
