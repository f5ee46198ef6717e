"""A corridor to play in, and an agent that follows a script."""

import time
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from agent import Agent, AgentConfig, End, Event, ScriptedModel
from agent.logs.events import (
    Start,
)
from memory import Memory
from tools import ToolCall

AHEAD = ToolCall(name="ahead")


class Corridor(gym.Env[str, int]):
    """Walk ahead four times; the text says where one is."""

    named_actions = {"back": (0, "step back"), "ahead": (1, "step ahead")}  # noqa: RUF012

    def __init__(self, broken_at: int = -1, slow: float = 0.0, limit: int = 1000) -> None:
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Text(200)
        self.broken_at, self.slow, self.limit = broken_at, slow, limit

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.steps = 0, 0
        return "You stand at door 0.", {"mission": "reach the end", "world": "corridor"}

    def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
        time.sleep(self.slow)
        self.at, self.steps = max(0, self.at + (1 if action else -1)), self.steps + 1
        if self.at == self.broken_at:
            raise ValueError("the floor gave way")
        done = self.at >= 4
        return f"You stand at door {self.at}.", float(done), done, self.steps >= self.limit, {}


def agent(script: Any, memory: Memory | None = None, cycle: bool = False, **config: Any) -> Agent:
    return Agent(ScriptedModel(script, cycle), memory, config=AgentConfig(**config))


def ending(events: list[Event]) -> End:
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    assert sum(isinstance(event, End) for event in events) == 1
    return events[-1]
