import time
from pathlib import Path

import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance, UnknownItemError
from memory.spatial import UNKNOWN, Cell, SpatialConfig, View, place_number

ORIGIN = Provenance("test", "doc", time=1.0)


def corridor(memory: Memory, *contents: str, via: str = "") -> None:
    """See a corridor of one cell's width, straight ahead."""
    cells = [
        Cell(n, 0, content, content in ("", "goal"), via if "door" in content else "")
        for n, content in enumerate(contents, start=1)
    ]
    sides = [Cell(n, side, "wall", False) for n in range(len(contents) + 1) for side in (-1, 1)]
    sides.append(Cell(-1, 0, "wall", False))
    memory.spatial.observe("", View((*cells, *sides)), None, origin=ORIGIN)


def test_a_closed_door_is_opened_on_the_way(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "", "closed red door", "", "green ball", via="toggle")
    route = memory.spatial.plan("green ball")
    assert route.actions == ("forward", "toggle", "forward", "forward")
    assert route.cost == 4.0
    assert memory.spatial.plan("red door").actions == ("forward",)


def test_a_door_that_does_not_open_costs_more_each_time(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "closed red door", "", "green ball", via="toggle")
    before = memory.spatial.plan("green ball").cost
    for _ in range(3):
        view = View((Cell(1, 0, "closed red door", False, "toggle"),))
        memory.spatial.observe("", view, "toggle", origin=ORIGIN)
    assert memory.spatial.plan("green ball").cost == before + 3.0
    edges = [
        (e.tries, e.successes) for (_, _, action), e in memory.spatial.grid_map.edges.items() if action == "toggle"
    ]
    assert edges == [(3, 0)]


def test_what_bars_the_way_is_named(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "", "purple ball", "", "green key", "wall")
    with pytest.raises(UnknownItemError, match=r"in the way: purple ball \(place \d+\)"):
        memory.spatial.plan("green key")
    memory.spatial.enter("yard")
    corridor(memory, "locked red door", "")
    with pytest.raises(UnknownItemError, match=r"in the way: locked red door"):
        memory.spatial.plan(UNKNOWN)


def test_goals_are_things_kinds_places_and_descriptions(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "", "open red door", "", "green ball")
    assert memory.spatial.goals() == ["open red door", "green ball", "red door", "door", "ball", "unvisited"]
    located = memory.spatial.where_is("ball")
    assert [(one.what, one.cost) for one in located] == [("green ball", None)]
    assert memory.spatial.plan("door").actions == ("forward",)
    assert memory.spatial.plan(f"place {located[0].place - 2}").actions == ("forward",)
    assert place_number("place twelve") is None
    with pytest.raises(UnknownItemError, match=r"did you mean .*ball"):
        memory.spatial.plan("bal")


def test_a_thing_on_another_map_is_said_to_be_there(memory: Memory) -> None:
    memory.spatial.enter("cellar")
    corridor(memory, "", "green ball")
    memory.spatial.enter("attic")
    corridor(memory, "", "red key")
    with pytest.raises(UnknownItemError, match="it is on other maps: cellar"):
        memory.spatial.plan("green ball")


def test_beside_leads_to_a_free_cell_next_to_a_thing(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "", "", "", "green ball", "wall")
    assert memory.spatial.plan("beside green ball").actions == ("forward", "forward")


def test_an_empty_map_has_no_routes(memory: Memory) -> None:
    memory.spatial.enter("void")
    for ask in (lambda: memory.spatial.plan("ball"), memory.spatial.explore):
        with pytest.raises(UnknownItemError, match="the map is empty"):
            ask()
    with pytest.raises(UnknownItemError):
        memory.spatial.where_is("ball")


def test_exploring_ends_with_everything_seen_and_stood_on(memory: Memory) -> None:
    memory.spatial.enter("cell")
    walls = [Cell(f, r, "wall", False) for f, r in ((-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (2, 0))]
    memory.spatial.observe("", View((*walls, Cell(1, 0, "", True))), None, origin=ORIGIN)
    assert memory.spatial.explore().actions == ("forward",)
    view = View((Cell(1, 0, "wall", False), Cell(0, 1, "wall", False), Cell(0, -1, "wall", False)))
    memory.spatial.observe("", view, "forward", origin=ORIGIN)
    with pytest.raises(UnknownItemError):
        memory.spatial.explore()


def test_one_stands_on_a_known_map_to_plan(memory: Memory) -> None:
    memory.spatial.enter("hall")
    corridor(memory, "", "", "green ball")
    here = memory.spatial.place
    memory.spatial.enter("elsewhere")
    memory.spatial.stand("hall", here)
    assert memory.spatial.plan("green ball").actions == ("forward", "forward")
    with pytest.raises(UnknownItemError, match="no map is called 'hal'; there are: hall"):
        memory.spatial.stand("hal")
    with pytest.raises(UnknownItemError, match="not on the map"):
        memory.spatial.stand("hall", 999)
    with pytest.raises(InvalidItemError, match="something is there"):
        memory.spatial.stand("hall", memory.spatial.where_is("green ball")[0].place)
    with pytest.raises(InvalidItemError, match="heading"):
        memory.spatial.stand("hall", here, 7)


def test_maps_not_seen_longest_go_first() -> None:
    with Memory.open(None, HashingEmbedder(32), spatial=SpatialConfig(max_places=100)) as memory:
        for number in range(12):
            memory.spatial.enter(f"room {number}")
            origin = Provenance("test", "doc", time=float(number + 1))
            memory.spatial.observe("", View(tuple(Cell(1, n, "", True) for n in range(14))), None, origin=origin)
        gone = memory.spatial.enter("room 11")
        assert len(memory.spatial) <= 100
        assert gone
        assert memory.spatial.maps()[-1] == "room 11"
        assert "room 0" not in memory.spatial.maps()
        orphans = (
            "SELECT count(*) FROM provenance WHERE item_table = 'places' AND item_id NOT IN (SELECT id FROM places)"
        )
        assert memory.store.db.execute(orphans).fetchone()[0] == 0
        assert memory.verify().ok


def test_places_go_when_their_time_is_over() -> None:
    with Memory.open(None, HashingEmbedder(32), spatial=SpatialConfig(ttl_days=1.0)) as memory:
        for name, age in (("old", 3.0), ("new", 0.1)):
            memory.spatial.enter(name)
            origin = Provenance("test", "doc", time=time.time() - 86_400 * age)
            memory.spatial.observe("", View((Cell(1, 0, "", True),)), None, origin=origin)
        memory.spatial.enter("new")
        assert memory.spatial.maps() == ["new"]


def test_texts_that_differ_a_little_are_one_place_by_a_known_way(memory: Memory) -> None:
    spatial = memory.spatial
    kitchen = "You are in the kitchen, with a stove and two pans on the table. A fire burns."
    changed = "You are in the kitchen, with a stove and two pans on the table. The fire is out."
    cellar = "You are in the cellar, with barrels along the wall. It is cold."
    spatial.enter("village")
    places = [
        spatial.observe(text, None, action, origin=ORIGIN).place
        for text, action in ((kitchen, None), (cellar, "down"), (kitchen, "up"), (cellar, "down"), (changed, "up"))
    ]
    assert places[0] == places[2] == places[4] != places[1] == places[3]
    assert spatial.observe("You fall into a pit full of snakes.", None, "down", origin=ORIGIN).place not in places


def test_weather_soon_counts_little(memory: Memory) -> None:
    memory.spatial.enter("road")
    weather = ("Rain falls.", "Fog hangs low.", "Snow drifts.", "Hail rattles.")
    found = []
    for lap in range(3):
        for number in range(20):
            tree = "oak" if number % 2 else "elm"
            text = f"Milestone {number}: the {tree} of house {number + 100}, a brook. {weather[(lap + number) % 4]}"
            found.append(memory.spatial.observe(text, None, "on", origin=ORIGIN).place)
    assert found[20:40] == found[40:]
    assert len(set(found)) <= 22


@pytest.mark.parametrize(
    "text",
    [
        "Step {}: turn the valve.",
        "You are in room {}. There is a door to the north and a door to the south.",
        "Room {0} {1}. Exits: north, south, east, west.",
    ],
)
def test_texts_that_differ_in_a_number_are_many_places(memory: Memory, text: str) -> None:
    memory.spatial.enter("works")
    for _ in range(2):
        for number in range(60):
            memory.spatial.observe(
                text.format(number % 9, number // 9) if "{1}" in text else text.format(number),
                None,
                "next",
                origin=ORIGIN,
            )
    assert len(memory.spatial) == 60


def test_rooms_with_the_same_words_but_their_names_are_many(memory: Memory) -> None:
    rooms = [
        "kitchen",
        "bedroom",
        "attic",
        "cellar",
        "hall",
        "porch",
        "study",
        "pantry",
        "stable",
        "library",
        "chapel",
        "garden",
    ]
    memory.spatial.enter("house")
    for _ in range(2):
        for room in rooms:
            text = f"You are in the {room}. There is a door to the north and a door to the south, and a small window."
            memory.spatial.observe(text, None, "next", origin=ORIGIN)
    assert len(memory.spatial) == len(rooms)


def test_what_words_are_steady_survives_reading_the_map_again(memory: Memory) -> None:
    def walk(interrupted: bool) -> int:
        memory.spatial.enter(f"road {interrupted}")
        for step in range(240):
            number, weather = step % 12, ("Rain.", "Fog.", "Snow.")[step % 7 % 3]
            text = f"Milestone {number} by the old oak of farm {number + 50}. {weather}"
            memory.spatial.observe(text, None, "on", origin=ORIGIN)
            if interrupted and step % 7 == 0:
                memory.store.invalidate()
        return len(memory.store.db.execute("SELECT 1 FROM places WHERE map = ?", (f"road {interrupted}",)).fetchall())

    assert walk(interrupted=True) == walk(interrupted=False) <= 24


def test_a_blank_observation_is_a_place(memory: Memory) -> None:
    for text in ("", " ", "\n"):
        memory.spatial.enter("void")
        memory.spatial.observe(text, None, None, origin=ORIGIN)
        memory.store.invalidate()
        memory.spatial.mark("goal")
    assert len(memory.spatial) == 1


def test_a_view_may_follow_a_text(memory: Memory) -> None:
    for _ in range(2):
        memory.spatial.enter("house")
        memory.spatial.observe("The hall.", None, None, origin=ORIGIN)
        memory.spatial.observe("", View((Cell(1, 0, "red ball", False),)), "go", origin=ORIGIN)
        assert "red ball" in memory.spatial.goals()


def test_a_step_that_led_nowhere_is_noticed(memory: Memory) -> None:
    memory.spatial.enter("hall")
    view = View(
        (*(Cell(n, 0, "", True) for n in range(1, 4)), Cell(4, 0, "red ball", False), Cell(1, 1, "wall", False))
    )
    memory.spatial.observe("", view, None, origin=ORIGIN)
    for _ in range(3):
        memory.spatial.observe("", view, "forward", origin=ORIGIN)
    assert memory.spatial.pose is not None
    assert memory.spatial.pose.x == 0
    assert [(e.tries, e.successes) for e in memory.spatial.grid_map.edges.values()] == [(3, 0)]


def test_the_cap_holds_within_a_visit() -> None:
    with Memory.open(None, HashingEmbedder(32), spatial=SpatialConfig(max_places=100)) as memory:
        memory.spatial.enter("stream")
        for number in range(1200):
            memory.spatial.observe(f"Message {number}.", None, "next", origin=ORIGIN)
        assert len(memory.spatial) <= 100 + 256
        assert memory.verify().ok


@pytest.mark.parametrize("cells", [[[float("inf"), 0, "", True]], [[2**70, 0, "", True]], [[1, 900, "", True]], [[1]]])
def test_views_out_of_reach_are_refused(cells: list[list[object]]) -> None:
    with pytest.raises(InvalidItemError, match="view must be"):
        View.parse({"cells": cells})


def test_the_steps_of_a_procedure_are_places(memory: Memory) -> None:
    memory.spatial.enter("make tea")
    steps = ["Fill the kettle with water.", "Boil the water.", "Put leaves into the pot.", "Pour and wait."]
    for number, step in enumerate(steps):
        memory.spatial.observe(step, None, "next" if number else None, origin=ORIGIN)
    memory.spatial.enter("make tea")
    memory.spatial.observe(steps[0], None, None, origin=ORIGIN)
    route = memory.spatial.plan("leaves pot")
    assert route.actions == ("next", "next")
    assert memory.spatial.plan("Pour and wait.").actions == ("next",) * 3
    assert memory.spatial.explore().actions == ("next",)
    memory.spatial.stand("make tea", memory.spatial.where_is("boil")[0].place)
    assert memory.spatial.plan("leaves").actions == ("next",)


def test_a_text_map_survives_reopening(tmp_path: Path) -> None:
    for visits in (1, 2):
        with Memory.open(tmp_path / "memory", HashingEmbedder(32)) as memory:
            memory.spatial.enter("road")
            for number in range(12):
                action = "on" if number else None
                memory.spatial.observe(f"Milestone {number} by the oak.", None, action, origin=ORIGIN)
            assert len(memory.spatial) == 12
            assert memory.store.db.execute("SELECT count(*), min(tries), max(tries) FROM edges").fetchone() == (
                11,
                visits,
                visits,
            )
            with pytest.raises(UnknownItemError, match="no other place can be reached"):
                memory.spatial.explore()


def test_a_text_world_tells_where_things_are_and_what_is_unknown(memory: Memory) -> None:
    memory.spatial.enter("house")
    for text, action in (("The hall.", None), ("The kitchen, a lamp.", "north"), ("The hall.", "south")):
        memory.spatial.observe(text, None, action, origin=ORIGIN)
    assert [(one.what, one.cost, one.seen) for one in memory.spatial.where_is("lamp")] == [
        ("The kitchen, a lamp.", 1.0, 1.0)
    ]
    assert memory.spatial.plan(UNKNOWN).actions == ("north",)
