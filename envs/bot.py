"""BabyAI's expert bot, which sees the whole world: it gives reference steps and a policy of primitive actions."""

import contextlib
import copy
import io
from collections.abc import Generator
from typing import Any

from minigrid.minigrid_env import MiniGridEnv
from minigrid.utils.baby_ai_bot import BabyAIBot

MAX_SEARCHES = 100
"""Greatest number of searches for one action; in some worlds (BabyAI-Unlock-v0) the bot would search for ever."""


class BoundedBot(BabyAIBot):
    """BabyAI's expert bot (Chevalier-Boisvert et al. 2019), which gives up instead of searching for ever.

    Raises:
        ValueError: From ``replan``, when it gives up.
    """

    def replan(self, action_taken: Any = None) -> Any:
        """Return the next action."""
        self.searches = 0
        return super().replan(action_taken)

    def _shortest_path(self, *args: Any, **kwargs: Any) -> Any:
        self.searches += 1
        if self.searches > MAX_SEARCHES:
            raise ValueError(f"no action after {MAX_SEARCHES} searches")
        return super()._shortest_path(*args, **kwargs)


def bot_actions(env: MiniGridEnv) -> Generator[int, None, bool]:
    """Yield the bot's actions from now on, tried in a copy of the world; return whether they complete the mission.

    Nothing is yielded for a mission that is not BabyAI's; the actions end early where the bot gives up.
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
    """Return how many actions the bot needs from now on (near the optimum); ``None`` if it does not succeed."""
    count, walk = 0, bot_actions(env)
    while True:
        try:
            next(walk)
        except StopIteration as stop:
            return count if stop.value else None
        count += 1
