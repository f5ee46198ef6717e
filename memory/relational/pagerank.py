"""Personalized PageRank by local pushes: the cost depends on the neighbourhood of the seeds, not on the graph's size.

Andersen, Chung and Lang 2006, "Local Graph Partitioning using PageRank Vectors".
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)


@dataclass
class Reached(Generic[Node]):
    """Result of a walk from the seeds.

    Attributes:
        score: Share of the walk's time at each node; the sum is at most 1.
        parent: The neighbour that passed the largest single part of its score to a node before the node was
            followed; none for a seed whose own weight was larger.
    """

    score: dict[Node, float] = field(default_factory=dict)
    parent: dict[Node, Node] = field(default_factory=dict)

    def path(self, node: Node) -> list[Node]:
        """Return the path from a seed to ``node``, both included."""
        path = [node]
        while path[-1] in self.parent and self.parent[path[-1]] not in path:
            path.append(self.parent[path[-1]])
        return path[::-1]


def personalized_pagerank(
    seeds: Mapping[Node, float],
    neighbours: Callable[[Node], Iterable[tuple[Node, float]]],
    restart: float = 0.5,
    least: float = 1e-4,
    most: int = 2000,
) -> Reached[Node]:
    """Approximate personalized PageRank: a random walk that restarts at the seeds with probability ``restart``.

    Args:
        seeds: Nodes to start from, with their weights.
        neighbours: Function that returns the neighbours of a node with positive weights.
        restart: Probability of a restart at each step, in (0, 1).
        least: Residual mass below which a node isn't followed further.
        most: Greatest number of nodes to follow, which bounds the time.
    """
    reached: Reached[Node] = Reached()
    total = sum(seeds.values())
    if total <= 0:
        return reached
    residual = {node: weight / total for node, weight in seeds.items() if weight > 0}
    brought: dict[Node, float] = dict(residual)
    queue = deque(sorted(residual, key=lambda node: -residual[node]))
    waiting = set(queue)
    while queue and most > 0:
        node = queue.popleft()
        waiting.discard(node)
        mass = residual.pop(node, 0.0)
        if mass < least:
            residual[node] = mass
            continue
        most -= 1
        reached.score[node] = reached.score.get(node, 0.0) + restart * mass
        edges = list(neighbours(node))
        weight = sum(w for _, w in edges)
        if not weight:
            continue
        for other, w in edges:
            part = (1 - restart) * mass * w / weight
            residual[other] = residual.get(other, 0.0) + part
            if part > brought.get(other, 0.0) and other not in reached.score:
                brought[other] = part
                reached.parent[other] = node
            if residual[other] >= least and other not in waiting:
                waiting.add(other)
                queue.append(other)
    for node, mass in residual.items():
        reached.score[node] = reached.score.get(node, 0.0) + restart * mass
    return reached
