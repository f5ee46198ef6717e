"""Exploration: choose the pose that would show most unknown cells for the cost of the way there."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.spatial.grid_map import Terrain
from memory.spatial.search import distances
from memory.spatial.view import HEADINGS, Pose, Position, View

CLOSED_GAIN = 6.0
"""Gain of opening a door with unknown cells behind it, in cells."""


MAX_OVERLOOKED = 3

MAX_REACH = 16
"""Greatest reach in cells that exploration assumes, even if the agent sees further."""


@dataclass(slots=True)
class Reach:
    """How far the agent sees, in cells ahead and to each side; learnt from its views."""

    ahead: int = 1
    aside: int = 0

    def window(self, pose: Pose) -> Iterator[Position]:
        """Yield every cell within reach of a pose."""
        for forward in range(self.ahead + 1):
            for right in range(-self.aside, self.aside + 1):
                yield pose.at(forward, right)

    def learn(self, view: View) -> None:
        """Extend the reach to the farthest cells of one view."""
        for cell in view.cells:
            self.ahead = min(MAX_REACH, max(self.ahead, cell.forward))
            self.aside = min(MAX_REACH, max(self.aside, abs(cell.right)))


def frontier(terrain: Terrain) -> set[Position]:
    """Return the unknown cells next to a known passable cell."""
    unknown = set()
    for (x, y), place in terrain.places.items():
        if place.passable:
            unknown |= {at for dx, dy in HEADINGS if (at := (x + dx, y + dy)) not in terrain.places}
    return unknown


def _hidden(terrain: Terrain) -> list[Position]:
    """Return the closed doors that are next to an unknown cell."""
    return [
        (x, y)
        for (x, y), place in terrain.places.items()
        if place.via and not place.passable and any((x + dx, y + dy) not in terrain.places for dx, dy in HEADINGS)
    ]


def best_pose(
    terrain: Terrain, start: Pose, reach: Reach, observed: Collection[Pose], overlooked: Mapping[Position, int]
) -> tuple[list[int], float] | None:
    """Find the pose with the best ratio of unknown cells in sight to the cost of the way.

    Args:
        terrain: The map.
        start: Present pose.
        reach: How far the agent sees.
        observed: Poses from which it looked already; another look shows nothing new.
        overlooked: How often an unknown cell was within reach but not seen, because something hides it. After
            three times, only poses on neighbouring cells that face it count.

    Returns:
        The number of the pose, or the numbers of the four poses on a door to open, and the gain there in
        cells; ``None`` if nothing unknown can be reached.
    """
    source = terrain.routes.number(start)
    unknown = frontier(terrain)
    doors = _hidden(terrain)
    if source is None or not (unknown or doors):
        return None
    costs, _ = distances(terrain.routes.matrix(), source)
    hard = {at for at in unknown if overlooked.get(at, 0) >= MAX_OVERLOOKED}
    gain = _gains(terrain.routes.positions, unknown - hard, reach)
    for at in hard:
        gain[terrain.routes.standing_before(at)] += 1.0
    for pose in observed:
        number = terrain.routes.number(pose)
        if number is not None:
            gain[number] = 0.0
    gain[source] = 0.0
    with np.errstate(invalid="ignore"):
        worth = np.where(np.isfinite(costs), gain / (costs + 1.0), 0.0)
    best = int(worth.argmax())
    choice: tuple[list[int], float] | None = ([best], float(gain[best])) if worth[best] > 0 else None
    value = float(worth[best])
    for door in doors:
        poses = terrain.routes.standing_on(door)
        cost = float(costs[poses].min())
        if np.isfinite(cost) and CLOSED_GAIN / (cost + 1.0) > value:
            choice, value = (poses, CLOSED_GAIN), CLOSED_GAIN / (cost + 1.0)
    return choice


def _gains(positions: list[Position], unknown: set[Position], reach: Reach) -> NDArray[np.float64]:
    """Count the unknown cells within reach of every pose, float64 ``[poses]``; walls in between are ignored."""
    cells = np.array(positions, dtype=np.int64)
    gain = np.zeros(4 * len(cells))
    if not unknown:
        return gain
    wide = max(reach.ahead, reach.aside) + 1
    low = cells.min(axis=0) - wide - 1
    marks = np.zeros(cells.max(axis=0) - low + wide + 2)
    places = np.array(list(unknown)) - low
    marks[places[:, 0], places[:, 1]] = 1.0
    total = np.zeros((marks.shape[0] + 1, marks.shape[1] + 1))
    total[1:, 1:] = marks.cumsum(axis=0).cumsum(axis=1)
    at = cells - low
    for heading, (dx, dy) in enumerate(HEADINGS):
        aside = (abs(dy) * reach.aside, abs(dx) * reach.aside)
        near = at - aside + (min(dx, 0) * reach.ahead, min(dy, 0) * reach.ahead)
        far = at + aside + (max(dx, 0) * reach.ahead, max(dy, 0) * reach.ahead) + 1
        gain[heading::4] = (
            total[far[:, 0], far[:, 1]]
            - total[near[:, 0], far[:, 1]]
            - total[far[:, 0], near[:, 1]]
            + total[near[:, 0], near[:, 1]]
        )
    return gain
