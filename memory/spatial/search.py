"""Cheapest paths: Dijkstra over sparse arrays, and the graphs of places and of poses that it runs on.

Of networkx, rustworkx, igraph and scipy, scipy's Dijkstra was the fastest on weighted grids (``python -m
eval.bench.planner``). It reads the weights in place, so changing an edge is one write into an array.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, cast

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from memory.errors import InvalidItemError, UnknownItemError
from memory.spatial.view import HEADINGS, Pose, Position

BLOCKED = float("inf")
_FAR = 1e18
_SLOTS = 3


class SearchGraph:
    """A directed graph with costs on its edges.

    Nodes are any hashable values. Edges may be added at any time; the next query then rebuilds the arrays.
    Changing the cost of an existing edge is a single write.

    Args:
        edges: ``(from, to, cost)``; of several edges between the same nodes the last counts.

    Raises:
        InvalidItemError: A cost that is not positive.
    """

    def __init__(self, edges: Iterable[tuple[Hashable, Hashable, float]] = ()) -> None:
        self._index: dict[Hashable, int] = {}
        self._nodes: list[Hashable] = []
        self._slots: dict[tuple[Hashable, Hashable], int] = {}
        self._ends: list[tuple[int, int]] = []
        self._costs: list[float] = []
        self._matrix: Any = None
        self._order: list[int] = []
        for src, dst, cost in edges:
            self.set(src, dst, cost)

    @classmethod
    def from_networkx(cls, graph: "nx.DiGraph[Any]", weight: str = "weight") -> "SearchGraph":
        """Make the graph from a NetworkX graph; an edge without ``weight`` costs 1."""
        result = cls((a, b, data.get(weight, 1.0)) for a, b, data in graph.edges(data=True))
        for node in graph:
            result._number(node)
        return result

    def to_networkx(self) -> "nx.DiGraph[Any]":
        """Return the same graph in NetworkX, with costs as ``weight``."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(self._nodes)
        graph.add_weighted_edges_from((src, dst, self.cost(src, dst)) for src, dst in self._slots)
        return graph

    def __len__(self) -> int:
        """Return the count of nodes."""
        return len(self._nodes)

    def __contains__(self, node: object) -> bool:
        """Return whether the graph has this node."""
        return node in self._index

    def _number(self, node: Hashable) -> int:
        number = self._index.get(node)
        if number is None:
            number = self._index[node] = len(self._nodes)
            self._nodes.append(node)
            self._matrix = None
        return number

    def set(self, src: Hashable, dst: Hashable, cost: float) -> None:
        """Add an edge, or give it a new cost; ``inf`` blocks it.

        Raises:
            InvalidItemError: The cost is not above 0.
        """
        if not cost > 0:
            raise InvalidItemError(f"an edge must cost more than 0, got {cost}")
        slot = self._slots.get((src, dst))
        if slot is None:
            self._slots[src, dst] = len(self._ends)
            self._ends.append((self._number(src), self._number(dst)))
            self._costs.append(cost)
            self._matrix = None
            return
        self._costs[slot] = cost
        if self._matrix is not None:
            self._matrix.data[self._order[slot]] = cost

    def cost(self, src: Hashable, dst: Hashable) -> float:
        """Return the cost of one edge; ``inf`` if there is none."""
        slot = self._slots.get((src, dst))
        return BLOCKED if slot is None else self._costs[slot]

    def matrix(self) -> Any:
        """Return the costs as a sparse matrix, float64 ``[nodes, nodes]``, with nodes in the order of insertion."""
        if self._matrix is None:
            from scipy.sparse import csr_array  # it takes long to import

            count = len(self._nodes)
            ends = np.array(self._ends, dtype=np.int32).reshape(-1, 2)
            order = np.argsort(ends[:, 0], kind="stable")
            indptr = np.zeros(count + 1, dtype=np.int32)
            np.cumsum(np.bincount(ends[:, 0], minlength=count), out=indptr[1:])
            costs = np.array(self._costs, dtype=np.float64)[order]
            self._matrix = csr_array((costs, ends[order, 1], indptr), shape=(count, count))
            where = np.empty(len(order), dtype=np.int64)
            where[order] = np.arange(len(order))
            self._order = where.tolist()
        return self._matrix

    def path(self, src: Hashable, targets: Iterable[Hashable]) -> tuple[list[Any], float] | None:
        """Return the cheapest path to the nearest of ``targets`` and its cost; ``None`` if none can be reached.

        Raises:
            UnknownItemError: ``src`` is not a node of the graph.
        """
        if src not in self._index:
            raise UnknownItemError(f"no node {src!r} in a graph of {len(self)}")
        ends = [self._index[target] for target in targets if target in self._index]
        cheapest_path = cheapest(self.matrix(), self._index[src], ends)
        return None if cheapest_path is None else ([self._nodes[node] for node in cheapest_path[0]], cheapest_path[1])


def cheapest(matrix: Any, src: int, targets: Sequence[int]) -> tuple[list[int], float] | None:
    """Return path and cost from ``src`` to the nearest target, all as node numbers; ``None`` if none can be reached."""
    if not targets:
        return None
    costs, before = distances(matrix, src)
    ends = np.asarray(targets)
    best = int(ends[np.argmin(costs[ends])])
    if not np.isfinite(costs[best]):
        return None
    return trace(before, src, best), float(costs[best])


def distances(matrix: Any, src: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the cost from ``src`` to every node, float64 ``[nodes]``, and its predecessor, int32 ``[nodes]``."""
    from scipy.sparse.csgraph import dijkstra  # it takes long to import

    return cast(
        tuple[NDArray[np.float64], NDArray[np.int32]],
        dijkstra(matrix, indices=src, return_predecessors=True, limit=_FAR),
    )


def trace(before: NDArray[np.int32], src: int, end: int) -> list[int]:
    """Return the nodes from ``src`` to ``end``, from the predecessors of :func:`distances`."""
    path = [end]
    while path[-1] != src:
        path.append(int(before[path[-1]]))
    return path[::-1]


class PoseGraph:
    """Graph of poses (cell and heading) on a map of cells.

    The number of a pose is four times that of its cell plus the heading. Each pose has three outgoing edges: a
    turn right, a turn left, a step ahead. They are in fixed slots, so the graph grows and changes in place.
    """

    def __init__(self) -> None:
        self.cells: dict[Position, int] = {}
        self.positions: list[Position] = []
        self._entry: list[float] = []
        self._ahead: dict[tuple[int, int], float] = {}
        self._targets = np.zeros((0, _SLOTS), dtype=np.int32)
        self._costs = np.zeros((0, _SLOTS))
        self._matrix: Any = None

    def put(self, position: Position, entry: float) -> None:
        """Add a cell or change it.

        Args:
            position: Its coordinates.
            entry: Additional cost of stepping onto it: 0 for floor, ``inf`` for a wall.
        """
        cell = self.cells.get(position)
        if cell is None:
            cell = self._add(position)
        elif self._entry[cell] == entry:
            return
        self._entry[cell] = entry
        x, y = position
        for heading, (dx, dy) in enumerate(HEADINGS):
            behind = self.cells.get((x - dx, y - dy))
            if behind is not None:
                self._connect(behind, heading, cell)
            before = self.cells.get((x + dx, y + dy))
            if before is not None:
                self._connect(cell, heading, before)

    def _add(self, position: Position) -> int:
        cell = len(self.positions)
        self.cells[position] = cell
        self.positions.append(position)
        self._entry.append(BLOCKED)
        self._matrix = None
        if 4 * cell >= len(self._targets):
            room = max(64, len(self._targets))
            self._targets = np.vstack([self._targets, np.zeros((room, _SLOTS), dtype=np.int32)])
            self._costs = np.vstack([self._costs, np.ones((room, _SLOTS))])
        first = 4 * cell
        self._targets[first : first + 4] = [(first + (h + 1) % 4, first + (h + 3) % 4, first + h) for h in range(4)]
        self._costs[first : first + 4] = (1.0, 1.0, BLOCKED)
        return cell

    def _connect(self, src: int, heading: int, dst: int) -> None:
        pose = 4 * src + heading
        self._targets[pose, 2] = 4 * dst + heading
        self._costs[pose, 2] = self._ahead.get((src, heading), 1.0) + self._entry[dst]

    def step(self, src: Position, dst: Position, cost: float) -> None:
        """Set the cost of the step from one cell to the next, without the entry cost of the next cell."""
        heading = HEADINGS.index((dst[0] - src[0], dst[1] - src[1]))
        a, b = self.cells[src], self.cells[dst]
        self._ahead[a, heading] = cost
        self._connect(a, heading, b)

    def pose(self, number: int) -> Pose:
        """Return the pose with this number."""
        return Pose(*self.positions[number // 4], number % 4)

    def number(self, pose: Pose) -> int | None:
        """Return the number of a pose, ``None`` if its cell is not on the map."""
        cell = self.cells.get((pose.x, pose.y))
        return None if cell is None else 4 * cell + pose.heading

    def matrix(self) -> Any:
        """Return the costs as a sparse matrix, float64 ``[poses, poses]``."""
        if self._matrix is None:
            from scipy.sparse import csr_array  # it takes long to import

            count = 4 * len(self.positions)
            indptr = np.arange(0, _SLOTS * count + 1, _SLOTS, dtype=np.int32)
            self._matrix = csr_array((count, count))
            # Set one by one: the constructor would copy slices of a larger array, and copies would miss later changes.
            self._matrix.data = self._costs[:count].reshape(-1)
            self._matrix.indices = self._targets[:count].reshape(-1)
            self._matrix.indptr = indptr
        return self._matrix

    def standing_before(self, position: Position) -> list[int]:
        """Return the numbers of the poses on neighbouring cells that face ``position``."""
        x, y = position
        cells = ((heading, self.cells.get((x - dx, y - dy))) for heading, (dx, dy) in enumerate(HEADINGS))
        return [4 * cell + heading for heading, cell in cells if cell is not None]

    def standing_on(self, position: Position) -> list[int]:
        """Return the numbers of the four poses on ``position``."""
        cell = self.cells.get(position)
        return [] if cell is None else [4 * cell + heading for heading in range(4)]
