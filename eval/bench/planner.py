"""Planning: speed compared with the fastest library, optimality of the paths, and the cost of changing an edge.

Paths are searched on a weighted 512 x 512 grid with 25 % obstacles, between random cells of its largest
component; every library answers the same queries in turn and returns the path. Then 1,000 random graphs are
compared with NetworkX's Dijkstra, and the cost of changing an edge and of ``plan_route`` on a 22 x 22 map
is measured.

    python -m eval.bench.planner --json
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from eval.bench.report import tell
from eval.statistics import median_ratio_ci
from memory import HashingEmbedder, Memory, Provenance
from memory.spatial import Cell, SearchGraph, SpatialConfig, View
from memory.spatial.config import Planner
from tools import MemoryTools, Toolbox, ToolCall

Query = Callable[[int, int], list[int]]
STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def grid(side: int, obstacles: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Edges of a 4-connected grid, int64 ``[edges, 2]``, and costs, float64 ``[edges]``, from 1 to 10."""
    rng = np.random.default_rng(seed)
    free = (rng.random((side, side)) >= obstacles).ravel()
    costs = rng.uniform(1.0, 10.0, side * side)
    index = np.arange(side * side).reshape(side, side)
    pairs = []
    for dx, dy in STEPS:
        a = index[max(0, -dy) : side - max(0, dy), max(0, -dx) : side - max(0, dx)].ravel()
        b = index[max(0, dy) : side + min(0, dy), max(0, dx) : side + min(0, dx)].ravel()
        both = free[a] & free[b]
        pairs.append(np.column_stack([a[both], b[both]]))
    edges = np.concatenate(pairs)
    return edges, costs[edges[:, 1]]


def libraries(edges: NDArray[np.int64], costs: NDArray[np.float64], side: int) -> dict[str, Query]:
    """Every library's fastest way to answer a query with the path."""
    pairs = edges.tolist()
    search_graph = SearchGraph((a, b, cost) for (a, b), cost in zip(pairs, costs.tolist(), strict=True))
    queries: dict[str, Query] = {"ours": lambda a, b: _path(search_graph.path(a, [b]))}

    matrix = csr_array((costs, (edges[:, 0], edges[:, 1])), shape=(side * side, side * side))

    def scipy(a: int, b: int) -> list[int]:
        _, before = dijkstra(matrix, indices=a, return_predecessors=True)
        path = [b]
        while path[-1] != a:
            path.append(int(before[path[-1]]))
        return path[::-1]

    queries["scipy"] = scipy
    try:
        import rustworkx as rx
    except ImportError:
        print("rustworkx is not installed (pip install rustworkx): left out")
    else:
        rust = rx.PyDiGraph()
        rust.add_nodes_from(range(side * side))
        rust.add_edges_from([(a, b, cost) for (a, b), cost in zip(pairs, costs.tolist(), strict=True)])

        def far(target: int) -> Callable[[int], float]:
            x, y = target % side, target // side
            return lambda node: float(abs(node % side - x) + abs(node // side - y))

        queries["rustworkx A*"] = lambda a, b: list(rx.astar_shortest_path(rust, a, lambda n: n == b, float, far(b)))
        queries["rustworkx Dijkstra"] = lambda a, b: list(
            rx.dijkstra_shortest_paths(rust, a, target=b, weight_fn=float)[b]
        )
    try:
        import igraph
    except ImportError:
        print("igraph is not installed (pip install igraph): left out")
    else:
        other = igraph.Graph(n=side * side, edges=edges, directed=True)
        other.es["weight"] = costs.tolist()
        weights = costs.tolist()
        queries["igraph"] = lambda a, b: list(other.get_shortest_path(a, b, weights=weights))
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_weighted_edges_from((a, b, cost) for (a, b), cost in zip(pairs, costs.tolist(), strict=True))
    queries["networkx Dijkstra"] = lambda a, b: list(nx.bidirectional_dijkstra(graph, a, b)[1])

    def manhattan(a: int, b: int) -> float:
        return float(abs(a % side - b % side) + abs(a // side - b // side))

    queries["networkx A*"] = lambda a, b: list(nx.astar_path(graph, a, b, heuristic=manhattan))
    return queries


def _path(found: tuple[list[int], float] | None) -> list[int]:
    assert found is not None
    return found[0]


def compare(side: int, obstacles: float, queries: int, seed: int = 0) -> dict[str, Any]:
    """Time every library on the same queries, in turns."""
    edges, costs = grid(side, obstacles, seed)
    table = {(a, b): cost for (a, b), cost in zip(edges.tolist(), costs.tolist(), strict=True)}
    _, parts = connected_components(csr_array((costs, (edges[:, 0], edges[:, 1])), shape=(side**2, side**2)))
    cells = np.flatnonzero(parts == np.bincount(parts).argmax())
    rng = np.random.default_rng(seed + 1)
    pairs = [tuple(map(int, rng.choice(cells, 2, replace=False))) for _ in range(queries)]
    solvers = libraries(edges, costs, side)
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    worst = 0.0
    for name, solve in solvers.items():
        solve(*pairs[0])  # caches and lazily built arrays
        print(f"warm: {name}", flush=True)
    for a, b in pairs:
        lengths = {}
        for name, solve in solvers.items():
            began = time.perf_counter()
            path = solve(a, b)
            seconds[name].append(time.perf_counter() - began)
            lengths[name] = sum(table[edge] for edge in pairwise(path))
        best = min(lengths.values())
        worst = max(worst, lengths["ours"] - best)
        assert all(abs(length - best) < 1e-6 for length in lengths.values()), lengths
    medians = {name: 1e3 * median(values) for name, values in seconds.items()}
    others = {name: value for name, value in medians.items() if name != "ours"}
    fastest = min(others, key=lambda name: others[name])
    return {
        "grid": [side, side],
        "obstacles": obstacles,
        "queries": queries,
        "edges": len(edges),
        "median_ms": medians,
        "fastest": fastest,
        "ratio_to_fastest": medians["ours"] / medians[fastest],
        "ci95": median_ratio_ci(seconds["ours"], seconds[fastest]),
        "worse_than_best_by": worst,
    }


def updates(side: int, obstacles: float, count: int = 100_000) -> dict[str, float]:
    """Cost of changing an edge that the next query must respect, in microseconds."""
    edges, costs = grid(side, obstacles, 0)
    graph = SearchGraph((a, b, c) for (a, b), c in zip(edges.tolist(), costs.tolist(), strict=True))
    graph.matrix()
    rng = random.Random(0)
    chosen = [tuple(edges[rng.randrange(len(edges))].tolist()) for _ in range(count)]
    began = time.perf_counter()
    for a, b in chosen:
        graph.set(a, b, 5.0)
    taken = time.perf_counter() - began
    assert graph.matrix().data[graph._order[graph._slots[chosen[0]]]] == 5.0
    return {"edge_update_us": 1e6 * taken / count}


def optimal(graphs: int) -> dict[str, Any]:
    """Costs on random weighted graphs against NetworkX's Dijkstra."""
    wrong = reached = 0
    for seed in range(graphs):
        rng = random.Random(seed)
        graph = nx.gnp_random_graph(rng.randint(2, 60), rng.uniform(0.02, 0.3), seed=seed, directed=True)
        for _, _, data in graph.edges(data=True):
            data["weight"] = rng.uniform(0.1, 10.0)
        search_graph = SearchGraph.from_networkx(graph)
        start, end = rng.randrange(len(graph)), rng.randrange(len(graph))
        result = search_graph.path(start, [end])
        try:
            length: float | None = nx.dijkstra_path_length(graph, start, end)
        except nx.NetworkXNoPath:
            length = None
        reached += length is not None
        wrong += (result is None) != (length is None) or (
            result is not None and length is not None and abs(result[1] - length) > 1e-9
        )
    return {"random_graphs": graphs, "reachable": reached, "not_optimal": wrong}


def through_the_tool(side: int, calls: int = 300, planner: Planner = "dijkstra") -> dict[str, float]:
    """A square map of cells, planned over by ``plan_route`` through the toolbox."""
    rng = random.Random(0)
    with Memory.open(None, HashingEmbedder(32), spatial=SpatialConfig(planner=planner)) as memory:
        memory.spatial.enter("square")
        cells: list[Cell] = []
        for forward in range(side):
            for right in range(-(side // 2), side - side // 2):
                free = rng.random() >= 0.2 or (forward, right) in ((0, 0), (1, 0))
                ball = rng.random() < 0.02 or not any(cell.content for cell in cells)
                thing = f"ball {len(cells)}" if ball else "wall"
                cells.append(Cell(forward, right, "" if free else thing, free))
        memory.spatial.observe("", View(tuple(cells)), None, origin=Provenance("bench"))
        toolbox = Toolbox(MemoryTools(memory).select(["plan_route"]))
        goals = [goal for goal in memory.spatial.goals() if goal.startswith("ball ")]
        seconds, inside = [], []
        for number in range(calls):
            call = ToolCall(name="plan_route", arguments={"goal": goals[number % len(goals)]})
            began = time.perf_counter()
            toolbox.dispatch(call)
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
            memory.spatial.explore()
            inside.append(time.perf_counter() - began)
    return {
        "tool_ms_p50": 1e3 * median(seconds),
        "tool_ms_p95": 1e3 * sorted(seconds)[int(0.95 * calls)],
        "explore_ms_p50": 1e3 * median(inside),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--obstacles", type=float, default=0.25)
    parser.add_argument("--queries", type=int, default=25)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--map-side", type=int, default=22)
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tool = through_the_tool(options.map_side)  # before five copies of a large graph fill the caches
    tool["astar_tool_ms_p50"] = through_the_tool(options.map_side, 60, "astar")["tool_ms_p50"]
    figures = compare(options.side, options.obstacles, options.queries)
    figures |= updates(options.side, options.obstacles)
    figures |= optimal(options.graphs) | tool
    tell(figures, options.json)


if __name__ == "__main__":
    main()
