"""BabyAI's expert, which sees the whole world: reference steps, and a policy of primitive actions."""

import contextlib
import copy
import io
from collections.abc import Generator
from typing import Any

from minigrid.minigrid_env import MiniGridEnv
from minigrid.utils.baby_ai_bot import BabyAIBot

MAX_SEARCHES = 100
"""Searches for one action; on some worlds (BabyAI-Unlock-v0) it would go on for ever."""


class BoundedBot(BabyAIBot):
    """BabyAI's expert (Chevalier-Boisvert et al. 2019), which gives up instead of going round in circles.

    Raises:
        ValueError: On ``replan``, when it does.
    """

    def replan(self, action_taken: Any = None) -> Any:
        """The next action."""
        self.searches = 0
        return super().replan(action_taken)

    def _shortest_path(self, *args: Any, **kwargs: Any) -> Any:
        self.searches += 1
        if self.searches > MAX_SEARCHES:
            raise ValueError(f"no action after {MAX_SEARCHES} searches")
        return super()._shortest_path(*args, **kwargs)


def bot_actions(env: MiniGridEnv) -> Generator[int, None, bool]:
    """The bot's actions from here on, tried out in a copy of the world; tells whether they do the mission.

    It ends without an action where there is no such bot (no BabyAI mission) or where it gives up.
    """
    if not hasattr(env, "instrs"):
        return False
    world = copy.deepcopy(env)
    action = None
    with contextlib.suppress(AssertionError, ValueError):
        bot = BoundedBot(world)
        for _ in range(world.max_steps):
            with contextlib.redirect_stdout(io.StringIO()):
                action = bot.replan(action)
                _, reward, terminated, truncated, _ = world.step(action)
            yield int(action)
            if terminated or truncated:
                return float(reward) > 0
    return False


def bot_steps(env: MiniGridEnv) -> int | None:
    """How many actions the bot needs from here; it is near-optimal. ``None`` where it can't do it."""
    count, walk = 0, bot_actions(env)
    while True:
        try:
            next(walk)
        except StopIteration as stop:
            return count if stop.value else None
        count += 1
