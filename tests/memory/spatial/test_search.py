import random

import networkx as nx
import numpy as np
import pytest

from memory import InvalidItemError, UnknownItemError
from memory.spatial import Pose, SearchGraph
from memory.spatial.search import BLOCKED, PoseGraph, cheapest, distances


def random_graph(seed: int) -> "nx.DiGraph[int]":
    rng = random.Random(seed)
    graph = nx.gnp_random_graph(rng.randint(2, 40), rng.uniform(0.02, 0.3), seed=seed, directed=True)
    for _, _, data in graph.edges(data=True):
        data["weight"] = rng.uniform(0.1, 10.0)
    return graph


def test_paths_cost_what_dijkstra_says() -> None:
    reached = 0
    for seed in range(300):
        graph = random_graph(seed)
        found = SearchGraph.from_networkx(graph).path(0, [len(graph) - 1])
        if not nx.has_path(graph, 0, len(graph) - 1):
            assert found is None
            continue
        reached += 1
        assert found is not None
        path, cost = found
        assert cost == pytest.approx(nx.dijkstra_path_length(graph, 0, len(graph) - 1))
        assert nx.path_weight(graph, path, "weight") == pytest.approx(cost)
    assert reached > 100


def test_a_changed_cost_counts_at_once() -> None:
    graph = SearchGraph([("a", "b", 1.0), ("b", "d", 1.0), ("a", "c", 2.0), ("c", "d", 2.0)])
    assert graph.path("a", ["d"]) == (["a", "b", "d"], 2.0)
    graph.set("a", "b", 9.0)
    assert graph.path("a", ["d"]) == (["a", "c", "d"], 4.0)
    graph.set("c", "d", BLOCKED)
    assert graph.path("a", ["d"]) == (["a", "b", "d"], 10.0)
    graph.set("a", "d", 3.0)
    assert graph.path("a", ["d", "c"]) == (["a", "c"], 2.0)
    assert graph.cost("a", "d") == 3.0


def test_it_goes_to_networkx_and_back() -> None:
    graph = random_graph(7)
    graph.add_node(999)
    back = SearchGraph.from_networkx(graph).to_networkx()
    assert {(a, b): d["weight"] for a, b, d in back.edges(data=True)} == {
        (a, b): d["weight"] for a, b, d in graph.edges(data=True)
    }
    assert set(back) == set(graph)


@pytest.mark.parametrize("cost", [0.0, -1.0, float("nan")])
def test_costs_are_positive(cost: float) -> None:
    with pytest.raises(InvalidItemError, match="more than 0"):
        SearchGraph([("a", "b", cost)])


def test_an_unknown_start_is_told() -> None:
    graph = SearchGraph([("a", "b", 1.0)])
    with pytest.raises(UnknownItemError, match="no node 'x'"):
        graph.path("x", ["b"])
    assert graph.path("a", ["x"]) is None
    assert graph.path("b", ["a"]) is None


def test_a_pose_graph_that_grew_is_as_one_made_at_once() -> None:
    rng = random.Random(3)
    cells = [(x, y) for x in range(12) for y in range(12)]
    grown = PoseGraph()
    entry = {}
    for at in rng.choices(cells, k=600):
        entry[at] = rng.choice([0.0, 0.0, 1.0, BLOCKED])
        grown.put(at, entry[at])
        grown.matrix()
    whole = PoseGraph()
    for at in grown.positions:
        whole.put(at, entry[at])
    assert np.array_equal(grown.matrix().toarray(), whole.matrix().toarray())
    start = grown.number(Pose(*grown.positions[0], 0))
    assert start is not None
    assert np.array_equal(distances(grown.matrix(), start)[0], distances(whole.matrix(), start)[0])


def test_a_step_that_fails_often_is_gone_around() -> None:
    graph = PoseGraph()
    for at in [(x, y) for x in range(3) for y in range(2)]:
        graph.put(at, 0.0)
    start = graph.number(Pose(0, 0, 0))
    assert start is not None
    found = cheapest(graph.matrix(), start, graph.standing_on((2, 0)))
    assert found is not None
    assert found[1] == 2.0
    graph.step((0, 0), (1, 0), 20.0)
    found = cheapest(graph.matrix(), start, graph.standing_on((2, 0)))
    assert found is not None
    assert found[1] == 7.0  # down, along, up: two turns more than the four steps and the first turn
