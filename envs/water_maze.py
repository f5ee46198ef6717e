"""A water maze: one place to remember, and no way to see it."""

from collections import deque
from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Key, WorldObj
from minigrid.minigrid_env import MiniGridEnv

from envs import drawing
from envs.errors import EnvConfigError
from envs.perception import ACTIONS, Perception
from envs.text_grid import text_info, text_space

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
KINDS: tuple[type[WorldObj], ...] = (Ball, Box, Key)
MISSION = "find the hidden platform and stand on it"
PLACEMENT_TRIES = 100
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class WaterMaze(MiniGridEnv):
    """An arena with landmarks and a platform that can't be seen until stood on.

    ## Description
    After Morris (1981, doi:10.1016/0023-9690(81)90020-5). A walled square arena holds landmarks,
    each of another colour or kind unless ``twins`` are asked for, and one platform. The maze (landmarks
    and platform) is fixed by ``maze_seed``; where one starts and which way one faces changes with the
    seed given to ``reset``, and so do landmarks that are ``moved``. The platform is in no observation:
    only memory makes the second visit short.

    ## Mission
    ``find the hidden platform and stand on it``

    ## Actions
    ``Discrete(3)``: 0 left (quarter turn), 1 right, 2 forward. ``self.named_actions`` names them.

    ## Observation
    Text, in the manner of BabyAI-Text. ``info`` has ``view``, ``available_actions``, ``mission`` and
    ``world``, a name that is the same on every visit to the same maze.

    ## Reward
    ``1 - 0.9 * steps / max_steps`` on reaching the platform, else 0.

    ## Termination
    Standing on the platform. Truncated after ``max_steps``.

    ## Registered ids
    ``hippo/WaterMaze-v0`` (11 x 11, 5 landmarks)

    Args:
        size: Side of the arena in cells, walls included, 8 to 64.
        landmarks: Count of landmarks, 2 to 18.
        maze_seed: Fixes landmarks and platform.
        twins: How many of the landmarks look like another one.
        moved: How many landmarks stand elsewhere at each visit; the seed given to ``reset`` chooses.
        max_steps: Steps before truncation; by default ``2 * size**2``.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A size or a count out of range.
    """

    named_actions = {name: ACTIONS[name] for name in ("forward", "left", "right")}  # noqa: RUF012
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        size: int = 11,
        landmarks: int = 5,
        maze_seed: int = 0,
        twins: int = 0,
        moved: int = 0,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if not 8 <= size <= 64:
            raise EnvConfigError(f"size must be 8 to 64, got {size}")
        if not 2 <= landmarks <= len(COLORS) * len(KINDS):
            raise EnvConfigError(f"landmarks must be 2 to {len(COLORS) * len(KINDS)}, got {landmarks}")
        if maze_seed < 0:
            raise EnvConfigError(f"maze_seed must not be negative, got {maze_seed}")
        if not 0 <= twins < landmarks:
            raise EnvConfigError(f"twins must be 0 to {landmarks - 1}, fewer than the landmarks, got {twins}")
        if not 0 <= moved <= landmarks:
            raise EnvConfigError(f"moved must be 0 to {landmarks}, the count of landmarks, got {moved}")
        self.maze_size = size
        self.landmarks = landmarks
        self.maze_seed = maze_seed
        self.twins = twins
        self.moved = moved
        self.platform = (0, 0)
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: MISSION),
            grid_size=size,
            max_steps=max_steps or 2 * size * size,
            render_mode=render_mode,
        )
        self.action_space = spaces.Discrete(3)
        self.observation_space = text_space()
        self._perceived: Perception | None = None

    def _gen_grid(self, width: int, height: int) -> None:
        rng, _ = seeding.np_random(self.maze_seed)
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        self.mission = MISSION
        cells = [(x, y) for x in range(1, width - 1) for y in range(1, height - 1)]
        distinct = self.landmarks - self.twins
        looks = rng.permutation(len(COLORS) * len(KINDS))[:distinct]
        self.platform = cells[int(rng.integers(len(cells)))]
        positions = self._spread(cells, rng, self.landmarks)
        if self.twins:
            looks = np.concatenate([looks, rng.choice(looks, self.twins)])
        for index in self.np_random.permutation(self.landmarks)[: self.moved] if self.moved else ():
            others = [at for i, at in enumerate(positions) if i != index]
            positions[index] = self._spread(cells, self.np_random, 1, others)[0]
        for position, look in zip(positions, looks, strict=True):
            self.grid.set(*position, KINDS[look % len(KINDS)](COLORS[look // len(KINDS)]))
        starts = self._far_cells(cells)
        self.agent_pos = starts[int(self.np_random.integers(len(starts)))]
        self.agent_dir = int(self.np_random.integers(4))

    def _spread(
        self, cells: list[tuple[int, int]], rng: np.random.Generator, count: int, others: Sequence[tuple[int, int]] = ()
    ) -> list[tuple[int, int]]:
        """Cells for ``count`` landmarks beside ``others``. No two touch, so they can't wall anything off."""
        for _ in range(PLACEMENT_TRIES):
            chosen: list[tuple[int, int]] = []
            for index in rng.permutation(len(cells)):
                x, y = cells[index]
                apart = all(max(abs(x - a), abs(y - b)) > 1 for a, b in [*chosen, *others])
                if (x, y) != self.platform and apart:
                    chosen.append((x, y))
                if len(chosen) == count:
                    return chosen
        raise EnvConfigError(
            f"{self.landmarks} landmarks do not fit apart from each other into size {self.maze_size}: "
            "choose fewer landmarks or a larger size"
        )

    def _far_cells(self, cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Free cells that lie at least a third of the arena from the platform, or all but it."""
        free = [c for c in cells if self.grid.get(*c) is None and c != self.platform]
        px, py = self.platform
        far = [c for c in free if abs(c[0] - px) + abs(c[1] - py) >= self.maze_size // 3]
        return far or free

    def gen_obs(self) -> str:
        """The observation in words."""
        grid, visible = self.gen_obs_grid()
        self._perceived = Perception.from_image(grid.encode(visible))
        return self._perceived.text()

    def _info(self) -> dict[str, Any]:
        assert self._perceived is not None
        info = text_info(self._perceived)
        info["available_actions"] = [a for a in info["available_actions"] if a in self.named_actions]
        return info | {"mission": MISSION, "world": self._world()}

    def _world(self) -> str:
        more = f"-{self.landmarks}-{self.twins}-{self.moved}" if self.twins or self.moved else ""
        return f"water_maze-{self.maze_size}-{self.maze_seed}{more}"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin a visit; the seed chooses where one starts."""
        observation, info = super().reset(seed=seed, options=options)
        return str(observation), info | self._info()

    def step(self, action: int) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one action."""
        observation, reward, terminated, truncated, info = super().step(action)
        if tuple(self.agent_pos) == self.platform:
            reward, terminated, truncated = self._reward(), True, False
            observation = f"You stand on the hidden platform. {observation}"
        return str(observation), reward, terminated, truncated, info | self._info()

    def optimal_steps(self) -> int:
        """Fewest actions from here to the platform, by breadth-first search over poses."""
        start = (*map(int, self.agent_pos), int(self.agent_dir))
        seen, queue = {start}, deque([(start, 0)])
        while queue:
            (x, y, heading), steps = queue.popleft()
            if (x, y) == self.platform:
                return steps
            dx, dy = DIRECTIONS[heading]
            following = [(x, y, (heading + 1) % 4), (x, y, (heading - 1) % 4)]
            if self.grid.get(x + dx, y + dy) is None:
                following.append((x + dx, y + dy, heading))
            for pose in following:
                if pose not in seen:
                    seen.add(pose)
                    queue.append((pose, steps + 1))
        raise AssertionError("unreachable: landmarks never wall anything off")

    def render(self) -> Any:
        """The world as ANSI text or as an RGB array, by ``render_mode``."""
        return self.ansi() if self.render_mode == "ansi" else super().render()

    def ansi(self) -> str:
        """The whole world as coloured text; the platform, which the agent can't see, is marked."""
        return drawing.ansi(self, hidden=self.platform)
