"""Route planning: the way of least expected cost over a map, and the actions to follow it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import networkx as nx
import numpy as np

from memory.spatial.config import Planner
from memory.spatial.grid_map import Place, Terrain
from memory.spatial.search import BLOCKED, cheapest, distances
from memory.spatial.texts import TextMap
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Pose, Position

Node = tuple[int, int, int]
"""Position and heading."""

_SINK: Node = (0, 0, -1)
"""Stands for all targets together."""

MOVING_COST = 10.0
"""Assumed cost, in steps, of moving a thing out of the way, for finding the things that block a way."""


THERE = ": you are there"
"""Ends the hint of a route without actions."""

CUT = " …"
"""Ending of the text of a route that was cut."""


@dataclass(frozen=True, slots=True)
class Route:
    """Route to a goal.

    Attributes:
        goal: Name of the goal.
        actions: Names of the actions, in order; empty if the agent is there already.
        places: Ids of the places on the way, the start included.
        cost: Expected number of actions, failed tries included.
        after: For each action, the id of the place where the agent should stand after it.
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
        """Return the route in words, cut after ``most`` actions: ``goal: forward 3 … (9 steps)``."""
        if not self.actions:
            return f"{self.goal}{THERE}"
        runs = ((name, len(list(same))) for name, same in groupby(self.actions[:most]))
        words = ", ".join(name if count == 1 else f"{name} {count}" for name, count in runs)
        words += CUT if most is not None and most < len(self.actions) else ""
        steps = "1 step" if len(self.actions) == 1 else f"{len(self.actions)} steps"
        return f"{self.goal}: {words} ({steps})"

    @staticmethod
    def parse_actions(hint: str) -> list[str] | None:
        """Read the actions of a hint such as ``goal: forward 3, left (4 steps)``; ``None`` if the text is no hint."""
        if hint.endswith(THERE):
            return []
        _, colon, rest = hint.partition(": ")
        words, parenthesis, count = rest.rpartition(" (")
        if not colon or not parenthesis or not re.fullmatch(r"\d+ steps?\)", count):
            return None
        actions: list[str] = []
        for part in words.removesuffix(CUT).split(", "):
            name, _, times = part.rpartition(" ")
            actions += [name] * int(times) if name and times.isdigit() else [part]
        return actions


def plan_poses(
    terrain: Terrain,
    start: Pose,
    goal: str,
    targets: Iterable[Position],
    poses: Sequence[int] = (),
    planner: Planner = "dijkstra",
) -> Route | None:
    """Plan the cheapest route from ``start`` to the nearest of ``targets``.

    A target that is not passable, or only after opening it, counts as reached when the agent stands in front
    of it and faces it.

    Args:
        terrain: The map.
        start: Present pose.
        goal: Name of the goal, for the hint.
        targets: Positions that satisfy the goal.
        poses: Numbers of poses that satisfy it too.
        planner: How it is searched; both find a route of the same cost.

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
    if planner == "astar":
        cheapest_path = _astar_over(terrain, source, ends)
    else:
        cheapest_path = cheapest(routes.matrix(), source, ends)
    return None if cheapest_path is None else _route(terrain, goal, *cheapest_path)


def _astar_over(terrain: Terrain, source: int, ends: Sequence[int]) -> tuple[list[int], float] | None:
    """Search with A*: path and cost in numbers of poses, as :func:`memory.spatial.search.cheapest` gives them."""
    nodes = [_node(terrain.routes.pose(number)) for number in (source, *ends)]
    route = astar(to_networkx(terrain), nodes[0], nodes[1:])
    if route is None:
        return None
    path = [terrain.routes.number(Pose(*node)) for node in route[0]]
    return [number for number in path if number is not None], route[1]


def _node(pose: Pose) -> Node:
    return pose.x, pose.y, pose.heading


def facing_beside(terrain: Terrain, targets: Iterable[Position]) -> list[int]:
    """Return the numbers of the poses that face a free cell next to one of ``targets``."""
    poses: dict[int, None] = {}
    for x, y in targets:
        for free in ((x + dx, y + dy) for dx, dy in HEADINGS):
            place = terrain.places.get(free)
            if place is not None and place.passable and not place.content:
                poses |= dict.fromkeys(terrain.routes.standing_before(free))
    return list(poses)


def in_the_way(terrain: Terrain, start: Pose, ends: Sequence[int]) -> list[Place]:
    """Return the things that block the way to the nearest of some poses, the nearest first; empty if walls block it.

    Args:
        terrain: The map.
        start: Present pose.
        ends: Numbers of the poses to reach.
    """
    routes = terrain.routes
    source = routes.number(start)
    if source is None:
        return []
    matrix = routes.matrix()
    thing = np.array([terrain.places[position].is_landmark for position in routes.positions])
    moved = matrix.copy()
    moved.data = np.where(np.isinf(matrix.data) & thing[matrix.indices // 4], MOVING_COST, matrix.data)
    cheapest_path = cheapest(moved, source, ends)
    if cheapest_path is None:
        return []
    cells = [routes.positions[cell] for cell, _ in groupby(cheapest_path[0], key=lambda pose: pose // 4)]
    return [terrain.places[cell] for cell in cells if terrain.places[cell].entry == BLOCKED]


def beyond(terrain: Terrain, start: Pose) -> list[Position]:
    """Return the known cells that are next to an unknown cell and that no known way leads to."""
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
    """Plan the cheapest route between places without coordinates; ``None`` if no known way leads there."""
    if start in targets:
        return Route(goal, (), (start,), 0.0)
    if start not in text.graph:
        return None
    cheapest_path = text.graph.path(start, targets)
    if cheapest_path is None:
        return None
    path, cost = cheapest_path
    actions = tuple(text.action(a, b) for a, b in pairwise(path))
    return Route(goal, actions, tuple(path), cost, tuple(path[1:]))


def to_networkx(terrain: Terrain) -> "nx.DiGraph[Node]":
    """Return the graph of poses ``(x, y, heading)`` in NetworkX, with the expected cost as ``weight``."""
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
    """Search with NetworkX's A* over :func:`to_networkx`, with the Manhattan distance to the nearest target.

    The distance is admissible, as no step costs less than 1. :func:`plan_poses` uses this with ``planner="astar"``; by
    default it runs Dijkstra in compiled code, which measures faster than any A* that calls a Python heuristic.

    Returns:
        The path to the nearest target and its cost; ``None`` where no way leads there.
    """
    ends = [target for target in dict.fromkeys(targets) if target in graph]
    if start not in graph or not ends:
        return None

    def manhattan(here: Node, _there: Node) -> float:
        return float(min(abs(here[0] - x) + abs(here[1] - y) for x, y, _ in ends)) if here != _SINK else 0.0

    graph.add_weighted_edges_from((end, _SINK, 0.0) for end in ends)  # one search for the nearest of all
    try:
        path = nx.astar_path(graph, start, _SINK, heuristic=manhattan)[:-1]
    except nx.NetworkXNoPath:
        return None
    finally:
        graph.remove_node(_SINK)
    return path, float(nx.path_weight(graph, path, "weight"))


__all__ = ["Node", "Route", "astar", "beyond", "facing_beside", "in_the_way", "plan_poses", "plan_text", "to_networkx"]
