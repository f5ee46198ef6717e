"""Routes over a map: the cheapest way by expected cost, and what it takes to follow it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import networkx as nx
import numpy as np

from memory.spatial.grid_map import Place, Terrain
from memory.spatial.search import BLOCKED, cheapest, distances
from memory.spatial.texts import TextMap
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Pose, Position

Node = tuple[int, int, int]

MOVING_COST = 10.0
"""What taking a thing out of the way is reckoned to cost, in steps, when looking for what bars a way."""


CUT = " …"
"""Ends the words of a route that goes on."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a goal.

    Attributes:
        goal: What was asked for.
        actions: Names of the actions, in order; empty when one is there already.
        places: Ids of the places stepped on, the start included.
        cost: Expected number of actions, counting failed tries.
        after: Id of the place that one should stand on after each action.
    """

    goal: str
    actions: tuple[str, ...]
    places: tuple[int, ...]
    cost: float
    after: tuple[int, ...] = ()

    @property
    def hint(self) -> str:
        """The route in words, for example ``goal: forward 3, left, forward (5 steps)``."""
        return self.hinted()

    def hinted(self, most: int | None = None) -> str:
        """The same, cut after ``most`` actions: ``goal: forward 3 … (9 steps)``."""
        if not self.actions:
            return f"{self.goal}: you are there"
        runs = ((name, len(list(same))) for name, same in groupby(self.actions[:most]))
        words = ", ".join(name if count == 1 else f"{name} {count}" for name, count in runs)
        words += CUT if most is not None and most < len(self.actions) else ""
        steps = "1 step" if len(self.actions) == 1 else f"{len(self.actions)} steps"
        return f"{self.goal}: {words} ({steps})"


def plan_poses(
    terrain: Terrain, start: Pose, goal: str, targets: Iterable[Position], poses: Sequence[int] = ()
) -> Route | None:
    """The cheapest route from ``start`` to the nearest of ``targets``.

    A target that can't be walked onto, or only after opening it, is reached when one stands before it
    and faces it.

    Args:
        terrain: The map.
        start: Where one stands.
        goal: Name of the goal, for the hint.
        targets: Positions that satisfy the goal.
        poses: Numbers of poses that satisfy it too.

    Returns:
        The route, or ``None`` when no known way leads there.
    """
    routes = terrain.routes
    source = routes.number(start)
    if source is None:
        return None
    ends = list(poses)
    for position in targets:
        passable = terrain.places[position].passable
        ends += routes.standing_on(position) if passable else routes.standing_before(position)
    found = cheapest(routes.matrix(), source, ends)
    return None if found is None else _route(terrain, goal, *found)


def facing_beside(terrain: Terrain, targets: Iterable[Position]) -> list[int]:
    """Numbers of the poses that face a free cell next to one of ``targets``."""
    found: dict[int, None] = {}
    for x, y in targets:
        for free in ((x + dx, y + dy) for dx, dy in HEADINGS):
            place = terrain.places.get(free)
            if place is not None and place.passable and not place.content:
                found |= dict.fromkeys(terrain.routes.standing_before(free))
    return list(found)


def in_the_way(terrain: Terrain, start: Pose, ends: Sequence[int]) -> list[Place]:
    """Things that bar the way to the nearest of some poses, the nearest first; empty where walls do.

    Args:
        terrain: The map.
        start: Where one stands.
        ends: Numbers of the poses.
    """
    routes = terrain.routes
    source = routes.number(start)
    if source is None:
        return []
    matrix = routes.matrix()
    thing = np.array([terrain.places[position].is_landmark for position in routes.positions])
    moved = matrix.copy()
    moved.data = np.where(np.isinf(matrix.data) & thing[matrix.indices // 4], MOVING_COST, matrix.data)
    found = cheapest(moved, source, ends)
    if found is None:
        return []
    cells = [routes.positions[cell] for cell, _ in groupby(found[0], key=lambda pose: pose // 4)]
    return [terrain.places[cell] for cell in cells if terrain.places[cell].entry == BLOCKED]


def beyond(terrain: Terrain, start: Pose) -> list[Position]:
    """Known cells with something unknown beside them that no known way leads to."""
    source = terrain.routes.number(start)
    if source is None:
        return []
    costs = distances(terrain.routes.matrix(), source)[0]
    return [
        (x, y)
        for (x, y), place in terrain.places.items()
        if (place.passable or place.is_landmark)
        and any((x + dx, y + dy) not in terrain.places for dx, dy in HEADINGS)
        and not np.isfinite(costs[terrain.routes.standing_on((x, y))]).any()
    ]


def _route(terrain: Terrain, goal: str, path: list[int], cost: float) -> Route:
    walked = [terrain.routes.pose(number) for number in path]
    actions: list[str] = []
    after: list[int] = []
    for here, there in pairwise(walked):
        standing = terrain.places[here.x, here.y].id
        if (here.x, here.y) == (there.x, there.y):
            actions.append(RIGHT if there == here.turned(1) else LEFT)
            after.append(standing)
            continue
        entered = terrain.places[there.x, there.y]
        if not entered.passable:
            actions.append(entered.via)
            after.append(standing)
        actions.append(FORWARD)
        after.append(entered.id)
    places = [terrain.places[position].id for position, _ in groupby((pose.x, pose.y) for pose in walked)]
    return Route(goal, tuple(actions), tuple(places), cost, tuple(after))


def plan_text(text: TextMap, start: int, goal: str, targets: Sequence[int]) -> Route | None:
    """The cheapest route between places without coordinates, ``None`` when no known way leads there."""
    if start in targets:
        return Route(goal, (), (start,), 0.0)
    if start not in text.graph:
        return None
    found = text.graph.path(start, targets)
    if found is None:
        return None
    path, cost = found
    actions = tuple(text.action(a, b) for a, b in pairwise(path))
    return Route(goal, actions, tuple(path), cost, tuple(path[1:]))


def to_networkx(terrain: Terrain) -> "nx.DiGraph[Node]":
    """The graph of poses ``(x, y, heading)``, expected cost as ``weight``, for those who search it otherwise."""
    graph: nx.DiGraph[Node] = nx.DiGraph()
    matrix = terrain.routes.matrix()
    for number in range(matrix.shape[0]):
        here = terrain.routes.pose(number)
        for slot in range(matrix.indptr[number], matrix.indptr[number + 1]):
            cost = float(matrix.data[slot])
            if cost != BLOCKED:
                there = terrain.routes.pose(int(matrix.indices[slot]))
                graph.add_edge((here.x, here.y, here.heading), (there.x, there.y, there.heading), weight=cost)
    return graph


def astar(graph: "nx.DiGraph[Any]", start: Node, targets: Iterable[Node]) -> tuple[list[Node], float] | None:
    """A* by NetworkX over :func:`to_networkx`, with the Manhattan distance to the nearest target.

    It is admissible, as no step costs less than 1. :func:`plan_poses` runs Dijkstra in compiled code,
    which measures faster than any A* that calls a Python heuristic.
    """
    found = []
    for target in targets:
        try:
            path = nx.astar_path(graph, start, target, heuristic=_manhattan)
        except (nx.NetworkXNoPath, nx.NodeNotFound):
            continue
        found.append((float(nx.path_weight(graph, path, "weight")), path))
    if not found:
        return None
    cost, path = min(found, key=lambda one: one[0])
    return path, cost


def _manhattan(here: Node, there: Node) -> float:
    return float(abs(here[0] - there[0]) + abs(here[1] - there[1]))


__all__ = ["Node", "Route", "astar", "beyond", "facing_beside", "in_the_way", "plan_poses", "plan_text", "to_networkx"]
