"""A water maze: one invisible place to remember."""

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
from gymnasium.utils import seeding
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Key, WorldObj

from envs.errors import EnvConfigError
from envs.perception import ACTIONS
from envs.settings import check_range, settings_of
from envs.speaking import Speaking
from envs.splits import layout_split
from envs.walking import distances

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
KINDS: tuple[type[WorldObj], ...] = (Ball, Box, Key)
MISSION = "find the hidden platform and stand on it"
PLACEMENT_TRIES = 100
LEVELS = {
    "easy": {"size": 8, "landmarks": 4},
    "medium": {"size": 11, "landmarks": 5},
    "hard": {"size": 16, "landmarks": 8, "twins": 2, "moved": 1},
}


class WaterMaze(Speaking):
    """An arena with landmarks and a platform that can't be seen until the agent stands on it.

    ## Description
    After Morris (1981, doi:10.1016/0023-9690(81)90020-5). A walled square arena holds one platform and
    landmarks, each of another colour or kind unless there are ``twins``. The maze (landmarks and platform)
    stays the same for ``visits`` episodes (with two visits: seeds 0 and 1, 2 and 3, and so on), or for all
    episodes if ``maze_seed`` is given. The start, the heading and the landmarks that are ``moved`` change
    with every seed. The platform is in no observation: only memory makes the second visit short.

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
    ``hippo/WaterMaze-v0``

    Args:
        level: ``easy`` (8 x 8, 4 landmarks), ``medium`` (11 x 11, 5) or ``hard`` (16 x 16, 8, two of them
            look-alikes, one moved); the other arguments override single settings of the level.
        size: Side of the arena in cells, including the walls, 8 to 64.
        landmarks: Number of landmarks, 2 to 18.
        maze_seed: Seed of one maze for all episodes; by default there is a new maze after each ``visits`` seeds.
        visits: Number of episodes in one maze.
        twins: Number of landmarks that look like another one.
        moved: Number of landmarks that stand elsewhere at each visit, chosen by the seed that ``reset`` gets.
        max_steps: Steps before truncation; by default ``2 * size**2``.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A size or a number is out of range.
    """

    expert = "routes"
    named_actions = {name: ACTIONS[name] for name in ("forward", "left", "right")}  # noqa: RUF012
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        level: str = "medium",
        size: int | None = None,
        landmarks: int | None = None,
        maze_seed: int | None = None,
        visits: int = 2,
        twins: int | None = None,
        moved: int | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        preset = settings_of(level, LEVELS)
        size = preset["size"] if size is None else size
        landmarks = preset["landmarks"] if landmarks is None else landmarks
        twins = preset.get("twins", 0) if twins is None else twins
        moved = preset.get("moved", 0) if moved is None else moved
        check_range("size", size, 8, 64)
        check_range("landmarks", landmarks, 2, len(COLORS) * len(KINDS))
        check_range("maze_seed", 0 if maze_seed is None else maze_seed, 0)
        check_range("visits", visits, 1)
        check_range("twins, fewer than the landmarks,", twins, 0, landmarks - 1)
        check_range("moved, no more than the landmarks,", moved, 0, landmarks)
        if max_steps is not None:
            check_range("max_steps", max_steps, 1)
        self.maze_size = size
        self.landmarks = landmarks
        self.maze_seed = maze_seed
        self.visits = visits
        self.twins = twins
        self.moved = moved
        self.platform = (0, 0)
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: MISSION),
            grid_size=size,
            max_steps=max_steps or 2 * size * size,
            render_mode=render_mode,
        )

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind of episode: first, second or later visit."""
        return "first visit" if self.visit == 0 else "second visit" if self.visit == 1 else "later visit"

    @property
    def maze(self) -> int:
        """Seed of the maze."""
        return self.world_seed if self.maze_seed is None else self.maze_seed

    def _gen_grid(self, width: int, height: int) -> None:
        rng, _ = seeding.np_random(self.maze)
        self.mission = MISSION
        cells = [(x, y) for x in range(1, width - 1) for y in range(1, height - 1)]
        distinct = self.landmarks - self.twins
        while True:
            looks = rng.permutation(len(COLORS) * len(KINDS))[:distinct]
            self.platform = self.hidden = cells[int(rng.integers(len(cells)))]
            positions = self._spread(cells, rng, self.landmarks)
            if self.twins:
                looks = np.concatenate([looks, rng.choice(looks, self.twins)])
            layout = repr((self.platform, positions, looks.tolist())).encode()
            if self.maze_seed is not None or layout_split(layout) == self.split:
                break
        for index in self.np_random.permutation(self.landmarks)[: self.moved] if self.moved else ():
            others = [at for i, at in enumerate(positions) if i != index]
            positions[index] = self._spread(cells, self.np_random, 1, others)[0]
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        for position, look in zip(positions, looks, strict=True):
            self.grid.set(*position, KINDS[look % len(KINDS)](COLORS[look // len(KINDS)]))
        starts = self._far_cells(cells)
        self.agent_pos = starts[int(self.np_random.integers(len(starts)))]
        self.agent_dir = int(self.np_random.integers(4))

    def _spread(
        self, cells: list[tuple[int, int]], rng: np.random.Generator, count: int, others: Sequence[tuple[int, int]] = ()
    ) -> list[tuple[int, int]]:
        """Return cells for ``count`` landmarks besides ``others``; no two touch, so they can't wall anything off."""
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
        """Return the free cells at least a third of the arena from the platform; if there are none, all free cells."""
        free = [c for c in cells if self.grid.get(*c) is None and c != self.platform]
        px, py = self.platform
        far = [c for c in free if abs(c[0] - px) + abs(c[1] - py) >= self.maze_size // 3]
        return far or free

    def world(self) -> str:
        """Return the name of the maze, made of its settings and seed."""
        return f"water_maze-{self.maze_size}-{self.landmarks}-{self.twins}-{self.moved}-{self.maze}"

    def step(self, action: int) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one action."""
        observation, reward, terminated, truncated, info = super().step(action)
        if tuple(self.agent_pos) == self.platform:
            reward, terminated, truncated = self._reward(), True, False
            observation = f"You stand on the hidden platform. {observation}"
        return observation, reward, terminated, truncated, info

    def optimal_steps(self) -> int:
        """Return the fewest actions from the current state to the platform."""
        steps = distances(self.grid, (int(self.agent_pos[0]), int(self.agent_pos[1]), int(self.agent_dir)))
        return min(steps[(*self.platform, heading)] for heading in range(4))
