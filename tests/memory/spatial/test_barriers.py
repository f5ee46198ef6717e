"""What stands in the way of a goal, and what is done about it."""

import re

import pytest

from envs import make
from memory import HashingEmbedder, Memory
from memory.spatial import Cell, Route, View
from memory.spatial.barriers import Barriers, is_locked, opens


def room(*things: tuple[int, int, str], width: int = 5, depth: int = 4) -> View:
    """Return a walled room seen from the middle of its lower side; things by cells ahead and to the right."""
    placed = {(ahead, right): name for ahead, right, name in things}
    half, cells = width // 2, []
    for ahead in range(-1, depth + 1):
        for right in range(-half - 1, half + 2):
            edge = ahead in (-1, depth) or abs(right) == half + 1
            content = placed.get((ahead, right), "wall" if edge else "")
            cells.append(Cell(ahead, right, content, not content))
    return View(tuple(cells), frozenset(name for name in placed.values() if "door" not in name and name != "wall"))


def found(view: View, goal: str, carrying: str = "", spare: bool = False) -> Route:
    with Memory.open(None, HashingEmbedder(8)) as memory:
        memory.spatial.enter("world")
        memory.spatial.observe("", view)
        return memory.spatial.find(goal, carrying, spare)


DOOR, KEY = (4, 0, "locked red door"), (1, 2, "red key")


def test_a_locked_door_sends_for_its_key() -> None:
    route = found(room(DOOR, KEY), "green box")
    assert route.goal == "red key"
    assert route.actions[-1] == "pickup"
    assert len(route.after) == len(route.actions) == route.cost


def test_with_the_key_the_door_is_opened() -> None:
    assert found(room(DOOR), "green box", "red key").hint == "locked red door: forward 3, toggle (4 steps)"


def test_without_the_key_it_is_said_what_is_missing() -> None:
    with Memory.open(None, HashingEmbedder(8)) as memory:
        memory.spatial.enter("world")
        memory.spatial.observe("", room(DOOR, (3, 1, "blue key")))
        walk = memory.spatial.walk
        assert walk is not None
        barriers = Barriers(walk.terrain, walk.pose)
        door = next(at for at, place in walk.terrain.places.items() if place.content == DOOR[2])
        assert barriers.unlock(door) is None
        ends = walk.terrain.routes.standing_on(door)
        assert barriers.told(ends) == "a locked red door is in the way, and no red key was seen"


def test_who_asks_for_a_locked_door_is_sent_for_the_key_too() -> None:
    assert found(room(DOOR, KEY), "door").actions[-1] == "pickup"
    assert found(room(DOOR), "door", "red key").actions[-1] == "toggle"


def test_what_is_carried_for_nothing_is_put_down_before_a_thing_is_fetched() -> None:
    view = room((3, 1, "green box"))
    assert found(view, "green box", "red key", spare=True).hint == "red key: drop (1 step)"
    assert found(view, "green box", "red key").actions[-1] != "drop"
    assert found(view, "green box").actions[-1] != "drop"


def test_where_every_cell_is_a_passage_it_is_put_down_in_a_dead_end() -> None:
    """A corridor that ends in a niche: the key goes there, and not into the way to the box."""
    sides = tuple((ahead, right, "wall") for ahead in range(4) for right in (-2, -1, 1, 2) if (ahead, right) != (1, -1))
    niche = ((1, -2, "wall"), (0, -1, "wall"), (2, -1, "wall"), (-1, -1, "wall"))
    view = room(*sides, *niche, (3, 0, "green box"), depth=4)
    route = found(view, "green box", "red key", spare=True)
    assert route.hint == "red key: forward, left, drop (3 steps)"


def test_a_key_that_was_not_seen_may_be_in_a_box() -> None:
    boxed = room(DOOR, (1, 2, "blue box"))
    assert found(boxed, "green ball").hint == "box: forward, right, forward, toggle (4 steps)"
    with Memory.open(None, HashingEmbedder(8)) as memory:
        memory.spatial.enter("world")
        memory.spatial.observe("", boxed)
        walk = memory.spatial.walk
        assert walk is not None
        door = next(at for at, place in walk.terrain.places.items() if place.content == DOOR[2])
        assert (
            Barriers(walk.terrain, walk.pose, wanted="box").unlock(door) is None
        )  # the box that is wanted stays whole


def test_a_thing_in_the_way_is_carried_away() -> None:
    row = tuple((2, right, "wall") for right in (-2, -1, 1, 2))
    route = found(room(*row, (2, 0, "blue ball"), (3, 0, "green box")), "green box")
    assert route.hint == "blue ball: forward, pickup (2 steps)"


@pytest.mark.parametrize(
    ("key", "lock", "fits"),
    [
        ("red key", "locked red door", True),
        ("blue key", "locked red door", False),
        ("key", "locked door", True),
        ("red ball", "locked red door", False),
        ("", "locked red door", False),
    ],
)
def test_keys_fit_by_their_words(key: str, lock: str, fits: bool) -> None:
    assert opens(key, lock) is fits
    assert is_locked(lock)


@pytest.mark.parametrize(
    "name",
    [
        "BabyAI-UnlockPickup-v0",
        "MiniGrid-DoorKey-6x6-v0",
        "MiniGrid-BlockedUnlockPickup-v0",
        "MiniGrid-KeyCorridorS3R2-v0",
        "MiniGrid-ObstructedMaze-1Dlh-v0",
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_who_does_what_find_says_solves_the_world(name: str, seed: int) -> None:
    env = make(name)
    number = {action: value for action, (value, _) in env.get_wrapper_attr("named_actions").items()}
    with Memory.open(None, HashingEmbedder(8)) as memory:
        memory.spatial.enter("world")
        text, info = env.reset(seed=seed)
        goal = "goal" if "goal" in info["mission"] else re.sub("pick up (the|a) ", "", info["mission"])
        memory.spatial.observe(text, View.parse(info["view"]))
        for _ in range(100):
            carrying = info["view"]["carrying"]
            route = memory.spatial.find(goal, carrying, spare=True)
            for action in (*route.actions, *(("pickup",) if route.goal == goal else ())):
                text, reward, ended, _, info = env.step(number[action])
                if ended:
                    assert reward > 0
                    return
                memory.spatial.observe(text, View.parse(info["view"]), action)
    pytest.fail("it was not solved")


def test_in_a_world_of_texts_what_was_not_tried_comes_first() -> None:
    with Memory.open(None, HashingEmbedder(8)) as memory:
        memory.spatial.enter("house")
        memory.spatial.observe("You are in the hall. Elsa left a note.")
        assert memory.spatial.find("lamp", actions=("go north", "go south")).hint == "unknown: go north (1 step)"
        memory.spatial.observe("You are in the kitchen. A silver lamp hangs here.", action="go north")
        memory.spatial.observe("You are in the hall. Elsa left a note.", action="go back")
        assert memory.spatial.find("silver lamp").hint == "silver lamp: go north (1 step)"
        assert Route.parse_actions("silver lamp: go north, go east 2 (3 steps)") == ["go north", "go east", "go east"]
        assert memory.spatial.find("dragon", actions=("go north", "go south")).actions == ("go south",)
        assert memory.spatial.excerpt("Elsa") == "Elsa left a note."
