"""A wrapper that puts any MiniGrid or BabyAI environment into words."""

import contextlib
import io
import string
from collections.abc import Iterator
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium import spaces
from minigrid.minigrid_env import MiniGridEnv

from envs import drawing
from envs.bot import bot_actions, bot_steps
from envs.errors import EnvConfigError
from envs.perception import ACTIONS, Perception

TEXT_SPACE_LENGTH = 4000


def text_space() -> spaces.Text:
    """Return the space of observations: printable ASCII, 0 to 4,000 characters."""
    return spaces.Text(max_length=TEXT_SPACE_LENGTH, min_length=0, charset=string.printable)


def text_info(perception: Perception) -> dict[str, Any]:
    """Return what ``info`` holds besides the text: ``view`` and ``available_actions``."""
    return {"view": perception.view(), "available_actions": perception.available()}


class TextGrid(gym.Wrapper[str, int, Any, int]):
    """A MiniGrid or BabyAI environment whose observation is text.

    ## Description
    Wraps any environment of the ``minigrid`` package. What the agent sees in its egocentric view is
    described in the style of BabyAI-Text: things with their distance in steps, the nearest walls, and
    what is carried.

    ## Mission
    The wrapped environment's, in ``info["mission"]`` and ``self.mission``.

    ## Actions
    The wrapped environment's ``Discrete(7)``. ``self.named_actions`` names them: left, right, forward,
    pickup, drop, toggle. ``info["available_actions"]`` lists those that can have an effect now.

    ## Observation
    ``spaces.Text``. ``info["view"]`` has the same content as data: ``cells``, ``objects``, ``carrying``.

    ## Reward
    The wrapped environment's.

    ## Termination
    The wrapped environment's.

    ## Registered ids
    None: ``envs.make(id)`` wraps every ``MiniGrid-*`` and ``BabyAI-*`` id.

    Args:
        env: A MiniGrid environment.

    Raises:
        EnvConfigError: ``env`` is no MiniGrid environment.
    """

    named_actions = ACTIONS

    def __init__(self, env: gym.Env[Any, int]) -> None:
        super().__init__(env)
        if not isinstance(env.unwrapped, MiniGridEnv):
            raise EnvConfigError(f"TextGrid wraps MiniGrid and BabyAI environments, got {type(env.unwrapped).__name__}")
        self.grid_env = env.unwrapped
        self.observation_space = text_space()

    @property
    def mission(self) -> str:
        """The mission of the episode."""
        return str(self.grid_env.mission)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode."""
        with contextlib.redirect_stdout(io.StringIO()):
            observation, info = self.env.reset(seed=seed, options=options)
        return self._speak(observation, info)

    def step(self, action: int) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one action."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        text, info = self._speak(observation, info)
        return text, reward, terminated, truncated, info

    def _speak(self, observation: Any, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        perception = Perception.from_image(observation["image"])
        return perception.text(), info | text_info(perception) | {"mission": self.mission}

    def optimal_steps(self) -> int | None:
        """Return the steps of BabyAI's expert bot from the current state; ``None`` where it does not apply.

        The bot (Chevalier-Boisvert et al. 2019) plans with the full state; it is near-optimal.
        """
        return bot_steps(self.grid_env)

    def bot_actions(self) -> Iterator[int]:
        """Return the actions of BabyAI's expert bot from the current state; none where it does not apply."""
        return bot_actions(self.grid_env)

    def ansi(self) -> str:
        """Return the whole world as coloured text."""
        return drawing.ansi(self.grid_env)
