from pathlib import Path

import networkx as nx
import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance, UnknownItemError
from memory.spatial import HEADINGS, Cell, GridMap, Pose, Transform, View, astar, plan_poses, to_networkx

ROOM = """
##########
#....b...#
#..k.....#
#........#
#.....#..#
#g....#..#
##########
"""
THINGS = {"b": "blue ball", "k": "red key", "g": "green box"}


class World:
    """A little world to walk in, seen through a 7 by 7 window without walls hiding anything."""

    def __init__(self, x: int, y: int, heading: int) -> None:
        self.rows = ROOM.strip().splitlines()
        self.pose = Pose(x, y, heading)

    def content(self, x: int, y: int) -> str | None:
        if not (0 <= y < len(self.rows) and 0 <= x < len(self.rows[0])):
            return None
        return {"#": "wall", ".": ""}.get(self.rows[y][x], THINGS.get(self.rows[y][x]))

    def view(self) -> View:
        cells = []
        for forward in range(7):
            for right in range(-3, 4):
                content = self.content(*self.pose.at(forward, right))
                if content is not None and (forward, right) != (0, 0):
                    cells.append(Cell(forward, right, content, content == ""))
        return View(tuple(cells))

    def act(self, action: str) -> None:
        if action == "forward":
            if self.content(*self.pose.at(1, 0)) == "":
                self.pose = self.pose.advanced()
        else:
            self.pose = self.pose.turned(1 if action == "right" else -1)


def walk(memory: Memory, world: World, actions: list[str], origin: Provenance) -> None:
    for action in actions:
        world.act(action)
        memory.spatial.observe("", world.view(), action, origin=origin)


def enter(memory: Memory, world: World, origin: Provenance, name: str = "room") -> None:
    memory.spatial.enter(name)
    memory.spatial.observe("", world.view(), None, origin=origin)


def test_path_integration_follows_the_walker(memory: Memory, origin: Provenance) -> None:
    world = World(4, 4, 0)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "forward", "left", "forward", "forward", "left", "forward"], origin)
    assert memory.spatial.pose == Pose(world.pose.x - 4, world.pose.y - 4, world.pose.heading)


def test_a_blocked_step_does_not_move_and_is_counted(memory: Memory, origin: Provenance) -> None:
    world = World(5, 4, 0)
    enter(memory, world, origin)
    before = memory.spatial.pose
    walk(memory, world, ["forward"], origin)
    assert memory.spatial.pose == before
    assert [(e.tries, e.successes) for e in memory.spatial.grid_map.edges.values()] == [(1, 0)]


def test_a_route_leads_to_a_thing_and_faces_it(memory: Memory, origin: Provenance) -> None:
    world = World(4, 4, 3)
    enter(memory, world, origin)
    route = memory.spatial.plan("red key")
    walk(memory, world, list(route.actions), origin)
    assert world.content(*world.pose.at(1, 0)) == "red key"
    assert route.cost == len(route.actions)
    assert route.hint.startswith("red key: ")


def test_a_marked_place_is_a_goal(memory: Memory, origin: Provenance) -> None:
    world = World(2, 3, 0)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "forward"], origin)
    memory.spatial.mark("goal")
    walk(memory, world, ["right", "forward"], origin)
    assert "goal" in memory.spatial.goals()
    route = memory.spatial.plan("goal")
    assert len(route.actions) == 3
    walk(memory, world, list(route.actions), origin)
    assert (world.pose.x, world.pose.y) == (4, 3)
    assert memory.spatial.plan("goal").hint == "goal: you are there"


@pytest.mark.parametrize("start", [(7, 2, 2), (2, 4, 3), (7, 5, 3), (4, 3, 1)])
def test_a_known_room_is_recognised_from_elsewhere(
    memory: Memory, origin: Provenance, start: tuple[int, int, int]
) -> None:
    world = World(4, 5, 3)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "left", "left", "left", "left", "forward"], origin)
    memory.spatial.mark("goal")
    goal = (world.pose.x, world.pose.y)
    places = len(memory.spatial)
    other = World(*start)
    enter(memory, other, origin)
    walk(memory, other, ["left", "left", "left", "left"], origin)
    assert memory.spatial.localized
    walk(memory, other, list(memory.spatial.plan("goal").actions), origin)
    assert (other.pose.x, other.pose.y) == goal
    assert len(memory.spatial) <= places + 30


def test_another_world_is_not_mistaken_for_it(memory: Memory, origin: Provenance) -> None:
    enter(memory, World(4, 5, 3), origin)
    memory.spatial.mark("goal")
    enter(memory, World(4, 5, 3), origin, "elsewhere")
    assert "goal" not in memory.spatial.goals()


def test_the_map_survives_reopening(tmp_path: Path, origin: Provenance) -> None:
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        enter(memory, World(4, 5, 3), origin)
        before = memory.spatial.grid_map.places
    with Memory.open(tmp_path, HashingEmbedder()) as memory:
        assert GridMap(memory.store, "room").places == before


def test_every_place_and_edge_has_an_origin(memory: Memory, origin: Provenance) -> None:
    world = World(4, 4, 0)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "left", "forward"], origin)
    for table in ("places", "edges"):
        rows = memory.store.db.execute(
            f"SELECT count(*) FROM {table} WHERE id NOT IN (SELECT item_id FROM provenance WHERE item_table = ?)",
            (table,),
        )
        assert rows.fetchone()[0] == 0


def test_vanished_and_appeared_things_are_told(memory: Memory, origin: Provenance) -> None:
    memory.spatial.enter("room")
    first = View((Cell(1, 0, "red ball", False), Cell(2, 0, "", True)))
    seen = memory.spatial.observe("", first, None, origin=origin)
    assert [what for what, _ in seen.appeared] == ["red ball"]
    second = View((Cell(1, 0, "", True), Cell(2, 0, "red ball", False)))
    seen = memory.spatial.observe("", second, "pickup", origin=origin)
    assert [what for what, _ in seen.appeared] == [what for what, _ in seen.vanished] == ["red ball"]
    assert seen.appeared != seen.vanished


def test_text_worlds_have_a_graph_of_observations(memory: Memory, origin: Provenance) -> None:
    spatial = memory.spatial
    spatial.enter("house")
    spatial.observe("the hall", None, None, origin=origin)
    spatial.observe("the kitchen", None, "go north", origin=origin)
    spatial.observe("the cellar", None, "go down", origin=origin)
    spatial.mark("goal")
    spatial.enter("house")
    spatial.observe("the  hall", None, None, origin=origin)
    assert spatial.plan("goal").actions == ("go north", "go down")
    spatial.enter("other house")
    spatial.observe("the hall", None, None, origin=origin)
    assert spatial.goals() == []


def test_unknown_and_unreachable_goals_are_named(memory: Memory, origin: Provenance) -> None:
    memory.spatial.enter("room")
    view = View((Cell(1, 0, "wall", False), Cell(2, 0, "red ball", False)))
    memory.spatial.observe("", view, None, origin=origin)
    with pytest.raises(UnknownItemError, match=r"no place called 'moon'.*red ball"):
        memory.spatial.plan("moon")
    with pytest.raises(UnknownItemError, match="no known way"):
        memory.spatial.plan("red ball")


def test_bad_input_is_refused(memory: Memory, origin: Provenance) -> None:
    with pytest.raises(InvalidItemError, match="enter"):
        memory.spatial.observe("x", None, None, origin=origin)
    with pytest.raises(InvalidItemError, match="name"):
        memory.spatial.enter("a#b")
    memory.spatial.enter("a")
    with pytest.raises(InvalidItemError, match="mark"):
        memory.spatial.mark("goal")
    with pytest.raises(InvalidItemError, match="view must be"):
        View.parse({"cells": [[1, 2]]})


def test_routes_cost_what_dijkstra_says(memory: Memory, origin: Provenance) -> None:
    world = World(4, 5, 3)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "left", "left", "left", "left", "forward"], origin)
    frame, start = memory.spatial.grid_map, memory.spatial.pose
    assert start is not None
    graph = to_networkx(frame)
    lengths = nx.single_source_dijkstra_path_length(graph, (start.x, start.y, start.heading))
    reachable = [p for p, place in frame.places.items() if place.passable and (*p, 0) in lengths]
    assert len(reachable) > 20
    for x, y in reachable:
        route = plan_poses(frame, start, "there", [(x, y)])
        assert route is not None
        assert route.cost == len(route.actions) == min(lengths[x, y, h] for h in range(4))
        assert len(route.after) == len(route.actions)
        found = astar(graph, (start.x, start.y, start.heading), [(x, y, h) for h in range(4)])
        assert found is not None
        assert found[1] == route.cost


def test_transforms_turn_then_shift() -> None:
    assert [Transform(turns, 10, 20).apply((1, 2)) for turns in range(4)] == [(11, 22), (8, 21), (9, 18), (12, 19)]
    assert all(Transform(t, 0, 0).apply((1, 0)) == HEADINGS[t] for t in range(4))


def test_joining_two_maps_loses_nothing(memory: Memory, origin: Provenance) -> None:
    second = Provenance("second visit", time=2.0)
    world = World(4, 5, 3)
    enter(memory, world, origin)
    walk(memory, world, ["forward", "left", "left", "left", "left"], origin)
    other = World(7, 3, 1)
    memory.spatial.enter("room")
    memory.spatial.observe("", View((Cell(1, 0, "", True),)), None, origin=second)
    other.act("forward")
    memory.spatial.observe("", View((Cell(1, 0, "", True),)), "forward", origin=second)
    memory.spatial.mark("lamp", second)
    assert not memory.spatial.localized
    renamed: dict[int, int] = {}
    for _ in range(4):
        other.act("right")
        renamed |= memory.spatial.observe("", other.view(), "right", origin=second).renamed
    assert memory.spatial.localized
    assert renamed
    db = memory.store.db
    assert [row[0] for row in db.execute("SELECT DISTINCT map FROM places")] == ["room"]
    lamp = db.execute("SELECT id FROM places WHERE label = 'lamp'").fetchone()[0]
    sources = db.execute("SELECT DISTINCT source FROM provenance WHERE item_table = 'places' AND item_id = ?", (lamp,))
    assert "second visit" in [row[0] for row in sources]
    walked = db.execute("SELECT count(*) FROM edges WHERE dst = ? AND successes = 1", (lamp,)).fetchone()[0]
    assert walked == 1
    assert db.execute("SELECT count(*) FROM edges WHERE src NOT IN (SELECT id FROM places)").fetchone()[0] == 0
    orphans = "SELECT count(*) FROM provenance WHERE item_table = 'places' AND item_id NOT IN (SELECT id FROM places)"
    assert db.execute(orphans).fetchone()[0] == 0


def test_a_visit_with_views_stays_on_its_map(memory: Memory, origin: Provenance) -> None:
    world = World(4, 4, 0)
    enter(memory, world, origin)
    memory.spatial.observe("the end", None, "forward", origin=origin)
    memory.spatial.mark("goal")
    assert memory.spatial.pose == Pose(1, 0, 0)
    assert "goal" in memory.spatial.goals()


def test_an_action_that_often_leads_elsewhere_costs_more(memory: Memory, origin: Provenance) -> None:
    spatial = memory.spatial
    for end in ("pit", "pit", "pit", "treasure"):
        spatial.enter("cave")
        spatial.observe("mouth", None, None, origin=origin)
        spatial.observe(end, None, "go", origin=origin)
    spatial.mark("goal")
    spatial.enter("cave")
    spatial.observe("mouth", None, None, origin=origin)
    assert spatial.plan("goal").cost == pytest.approx(5 / 2)
