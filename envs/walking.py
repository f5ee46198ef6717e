"""Fewest actions between poses of a grid world, from its full state: a reference for experts, never shown to agents."""

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from minigrid.core.grid import Grid

Pose = tuple[int, int, int]
"""Column, row, heading (0 east, then clockwise)."""

DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def distances(grid: Grid, start: Pose) -> dict[Pose, int]:
    """Return the fewest actions to every pose that can be reached.

    Opening a closed door takes one action; a locked door is a wall.
    """
    queue = [(0, start)]
    costs: dict[Pose, int] = {}
    while queue:
        cost, pose = heapq.heappop(queue)
        if pose in costs:
            continue
        costs[pose] = cost
        x, y, heading = pose
        for turn in (1, 3):
            heapq.heappush(queue, (cost + 1, (x, y, (heading + turn) % 4)))
        ahead = (x + DIRECTIONS[heading][0], y + DIRECTIONS[heading][1])
        steps = _steps_onto(grid, *ahead)
        if steps:
            heapq.heappush(queue, (cost + steps, (*ahead, heading)))
    return costs


def _steps_onto(grid: Grid, x: int, y: int) -> int:
    cell = grid.get(x, y)
    if cell is None or cell.can_overlap():
        return 1
    return 2 if cell.type == "door" and not getattr(cell, "is_locked", True) else 0


@dataclass(frozen=True)
class Stage:
    """One part of a task: stand before one of some cells, and act.

    Attributes:
        cells: The cells, any of which is sufficient.
        actions: Number of actions that are needed there.
        emptied: A cell that is free after this stage.
    """

    cells: Collection[tuple[int, int]]
    actions: int = 0
    emptied: tuple[int, int] | None = None


def fewest(grid: Grid, start: Pose, stages: Sequence[Stage]) -> int | None:
    """Return the fewest actions that complete the stages in turn; ``None`` if there is no way.

    A door that was opened stays open.
    """
    queue: list[tuple[int, int, Pose, frozenset[tuple[int, int]]]] = [(0, 0, start, frozenset())]
    done: set[tuple[int, Pose, frozenset[tuple[int, int]]]] = set()
    while queue:
        cost, stage, pose, opened = heapq.heappop(queue)
        if stage == len(stages):
            return cost
        if (stage, pose, opened) in done:
            continue
        done.add((stage, pose, opened))
        x, y, heading = pose
        ahead = (x + DIRECTIONS[heading][0], y + DIRECTIONS[heading][1])
        if ahead in stages[stage].cells:
            heapq.heappush(queue, (cost + stages[stage].actions, stage + 1, pose, opened))
        for turn in (1, 3):
            heapq.heappush(queue, (cost + 1, stage, (x, y, (heading + turn) % 4), opened))
        free = ahead in opened or any(earlier.emptied == ahead for earlier in stages[:stage])
        steps = 1 if free else _steps_onto(grid, *ahead)
        if steps:
            heapq.heappush(queue, (cost + steps, stage, (*ahead, heading), opened | {ahead} if steps == 2 else opened))
    return None
