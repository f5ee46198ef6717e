from itertools import product

from memory import Memory, Provenance
from memory.spatial import Cell, Pose, Transform, View
from memory.spatial.localize import kind_of

GOAL = "goal"
ORIGIN = Provenance("test", "doc", time=1.0)


def test_transforms_have_an_inverse() -> None:
    for turns in range(4):
        move = Transform(turns, 3, -5)
        assert move.inverse().apply(move.apply((7, 2))) == (7, 2)


def test_states_of_a_thing_are_one_kind() -> None:
    assert kind_of("open red door") == kind_of("locked red door") == "red door"
    assert kind_of("ball") == "ball"


def room(memory: Memory, things: dict[tuple[int, int], str], size: int = 6) -> None:
    """Look once over a whole room from its corner."""
    cells = []
    for x in range(-1, size + 1):
        for y in range(-1, size + 1):
            wall = not (0 <= x < size and 0 <= y < size)
            content = "wall" if wall else things.get((x, y), "")
            if (x, y) != (0, 0):
                cells.append(Cell(x, y, content, content == ""))
    memory.spatial.observe("", View(tuple(cells)), None, origin=ORIGIN)


def test_a_belief_is_acted_upon_but_not_written(memory: Memory) -> None:
    memory.spatial.enter("room")
    room(memory, {(3, 3): "red ball", (1, 4): "blue box", (5, 2): "green key"})
    memory.spatial.mark(GOAL)
    places = len(memory.spatial)
    memory.spatial.enter("room")
    seen = memory.spatial.observe(
        "", View((Cell(2, 0, "red ball", False), Cell(3, 0, "", True), Cell(4, 0, "wall", False))), None, origin=ORIGIN
    )
    assert not seen.relocalized
    assert 0.0 < seen.confidence < 1.0
    assert len(memory.spatial) == places + 4
    assert len(memory.spatial.maps("room")) == 2


def test_the_goal_that_is_not_there_is_unlearnt(memory: Memory) -> None:
    memory.spatial.enter("room")
    room(memory, {(3, 3): "red ball"})
    memory.spatial.mark(GOAL, ORIGIN)
    assert GOAL in memory.spatial.goals()
    memory.spatial.missed("another", ORIGIN)
    assert GOAL in memory.spatial.goals()
    memory.spatial.missed(GOAL, ORIGIN)
    assert GOAL not in memory.spatial.goals()


def test_who_is_carried_away_begins_a_new_map_and_recognises_the_old(memory: Memory) -> None:
    memory.spatial.enter("room")
    things = {(3, 3): "red ball", (1, 4): "blue box", (5, 2): "green key"}
    room(memory, things)
    before = len(memory.spatial)
    pose = Pose(3, 1, 1)
    cells = []
    for forward, right in product(range(-8, 9), repeat=2):
        x, y = pose.at(forward, right)
        if -1 <= x <= 6 and -1 <= y <= 6 and (forward, right) != (0, 0):
            wall = not (0 <= x < 6 and 0 <= y < 6)
            content = "wall" if wall else things.get((x, y), "")
            cells.append(Cell(forward, right, content, content == ""))
    seen = memory.spatial.observe("", View(tuple(cells)), None, origin=ORIGIN)
    assert seen.lost
    assert seen.relocalized
    assert len(memory.spatial) == before
    assert memory.spatial.pose == pose
