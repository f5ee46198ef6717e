"""Routes over a map: A* over expected cost."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise

import networkx as nx

from memory.spatial.frame import Edge, Frame, Position
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Pose

Node = tuple[int, int, int]
_SINK: Node = (0, 0, -1)


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a goal.

    Attributes:
        goal: What was asked for.
        actions: Names of the actions, in order; empty when one is there already.
        places: Ids of the places stepped on, the start included.
        cost: Expected number of actions, counting failed tries.
    """

    goal: str
    actions: tuple[str, ...]
    places: tuple[int, ...]
    cost: float

    @property
    def hint(self) -> str:
        """The route in words, for example ``goal: forward 3, left, forward (5 steps)``."""
        if not self.actions:
            return f"{self.goal}: you are there"
        runs = ((name, len(list(same))) for name, same in groupby(self.actions))
        words = ", ".join(name if count == 1 else f"{name} {count}" for name, count in runs)
        steps = "1 step" if len(self.actions) == 1 else f"{len(self.actions)} steps"
        return f"{self.goal}: {words} ({steps})"


def pose_graph(frame: Frame) -> "nx.DiGraph[Node]":
    """The graph of poses ``(x, y, heading)`` over the map's passable places.

    Turning costs 1; walking costs 1, or what past tries make of it (cost over success).
    """
    graph: nx.DiGraph[Node] = nx.DiGraph()
    default = Edge()
    for (x, y), place in frame.places.items():
        if not place.passable:
            continue
        for heading, (dx, dy) in enumerate(HEADINGS):
            graph.add_edge((x, y, heading), (x, y, (heading + 1) % 4), weight=1.0, action=RIGHT)
            graph.add_edge((x, y, heading), (x, y, (heading - 1) % 4), weight=1.0, action=LEFT)
            ahead = frame.places.get((x + dx, y + dy))
            if ahead is not None and ahead.passable:
                edge = frame.edges.get((place.id, ahead.id, FORWARD), default)
                graph.add_edge((x, y, heading), (x + dx, y + dy, heading), weight=edge.expected_cost, action=FORWARD)
    return graph


def plan(frame: Frame, start: Pose, goal: str, targets: Iterable[Position]) -> Route | None:
    """The cheapest route from ``start`` to the nearest of ``targets``.

    A target that can't be walked onto is reached when one stands before it and faces it.

    Args:
        frame: The map.
        start: Where one stands.
        goal: Name of the goal, for the hint.
        targets: Positions that satisfy the goal.

    Returns:
        The route, or ``None`` when no known way leads there.
    """
    graph = pose_graph(frame)
    source = (start.x, start.y, start.heading)
    graph.add_node(source)
    positions = list(targets)
    for x, y in positions:
        passable = frame.places[x, y].passable
        for heading, (dx, dy) in enumerate(HEADINGS):
            node = (x, y, heading) if passable else (x - dx, y - dy, heading)
            if node in graph:
                graph.add_edge(node, _SINK, weight=0.0, action="")
    if _SINK not in graph:
        return None
    try:
        path = nx.astar_path(graph, source, _SINK, heuristic=_heuristic(frame, positions))
    except nx.NetworkXNoPath:
        return None
    walked = path[:-1]
    steps = [graph.edges[a, b] for a, b in pairwise(walked)]
    places = [frame.places[position].id for position, _ in groupby((x, y) for x, y, _ in walked)]
    return Route(goal, tuple(e["action"] for e in steps), tuple(places), sum(e["weight"] for e in steps))


def _heuristic(frame: Frame, targets: list[Position]) -> Callable[[Node, Node], float]:
    """Manhattan distance to the nearest target, less the last step where it can't be walked onto."""
    offsets = [(x, y, 0 if frame.places[x, y].passable else 1) for x, y in targets]

    def estimate(node: Node, _sink: Node) -> float:
        if node == _SINK:
            return 0.0
        return float(min(abs(node[0] - x) + abs(node[1] - y) - less for x, y, less in offsets))

    return estimate
