"""Base of our own grid worlds: observations in words, and a seed that selects the world and the visit."""

from typing import Any, SupportsFloat

from gymnasium import spaces
from minigrid.core.world_object import WorldObj
from minigrid.minigrid_env import MiniGridEnv

from envs import drawing
from envs.perception import ACTIONS, Perception
from envs.splits import SEEDS
from envs.text_grid import text_info, text_space
from envs.visits import Visited


class Speaking(Visited, MiniGridEnv):
    """A MiniGrid world whose observations are text.

    Attributes:
        named_actions: Actions by name, with value and description.
        kind: Kind of the mission of this episode, for statistics.
        expert: Name of the expert policy, which plays through the agent's tools.
        hidden: A cell to mark in drawings although the agent can't see it.
    """

    named_actions: dict[str, tuple[Any, str]] = ACTIONS
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}  # noqa: RUF012
    kind = ""
    expert = ""
    carrying: WorldObj | None
    hidden: tuple[int, int] | None = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.action_space = spaces.Discrete(len(self.named_actions))
        self.observation_space = text_space()
        self._perceived: Perception | None = None

    def world(self) -> str:
        """Return the name of the world, the same on every visit; empty if every episode has a new world."""
        return ""

    def perceive(self) -> Perception:
        """Return what is seen now."""
        grid, visible = self.gen_obs_grid()
        return Perception.from_image(grid.encode(visible))

    def words(self, perceived: Perception) -> str:
        """Return the observation in words."""
        return perceived.text()

    def gen_obs(self) -> str:
        """Perceive the world and return the observation in words."""
        self._perceived = self.perceive()
        return self.words(self._perceived)

    def _info(self) -> dict[str, Any]:
        assert self._perceived is not None
        info = text_info(self._perceived)
        info["available_actions"] = [a for a in info["available_actions"] if a in self.named_actions]
        info |= {"mission": self.mission, "kind": self.kind, "visit": self.visit}
        return info | ({"world": world} if (world := self.world()) else {})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode; the seed selects the world and the visit, without a seed both are drawn."""
        self.seed_played = int(self.np_random.integers(SEEDS)) if seed is None else seed
        observation, info = super().reset(seed=seed, options=options)
        return str(observation), info | self._info()

    def step(self, action: int) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one action."""
        observation, reward, terminated, truncated, info = super().step(action)
        return str(observation), reward, terminated, truncated, info | self._info()

    def render(self) -> Any:
        """Render the world as ANSI text or as an RGB array, depending on ``render_mode``."""
        return self.ansi() if self.render_mode == "ansi" else super().render()

    def ansi(self) -> str:
        """Return the whole world as coloured text."""
        return drawing.ansi(self, self.hidden)
