"""Views that are read from words."""

import pytest

from memory.spatial import View
from memory.spatial.told import told_view

PAPER = (
    "You see a wall 2 steps forward. You see a wall 1 step left. You see a red ball 1 step right and 1 step forward."
    " You carry a yellow key."
)
LINES = "a wall 3 steps forward\na locked blue door 2 steps left\nan open green door 1 step right and 2 steps forward"


def contents(text: str) -> dict[tuple[int, int], str]:
    view = told_view(text)
    assert view is not None
    View.parse(view)
    return {(forward, right): content for forward, right, content, *_ in view["cells"] if content}


def test_the_wordings_of_the_paper_and_of_others() -> None:
    assert contents(PAPER) == {(2, 0): "wall", (0, -1): "wall", (1, 1): "red ball"}
    assert contents(LINES) == {(3, 0): "wall", (0, -2): "locked blue door", (2, 1): "open green door"}
    assert contents("You see a grey box two steps ahead and one step to your left.") == {(2, -1): "grey box"}
    assert contents("You see a wall 3 steps right, a key 4 steps forward, and a box 1 cell left.") == {
        (0, 3): "wall",
        (4, 0): "key",
        (0, -1): "box",
    }


def test_what_is_carried_can_be_taken_and_done() -> None:
    view = told_view(PAPER)
    assert view is not None
    assert (view["carrying"], view["portable"]) == ("yellow key", ["red ball"])
    assert view["available"] == ["left", "right", "forward", "drop"]
    assert {(f, r) for f, r, content, passable, *_ in view["cells"] if passable} == {
        *((0, r) for r in range(4)),
        *((1, r) for r in range(4) if r != 1),
    }
    door = told_view("You see a closed red door 1 step forward. You carry nothing.")
    assert door is not None
    assert (door["available"], door["carrying"]) == (["left", "right", "toggle"], "")
    assert [1, 0, "closed red door", False, "toggle"] in door["cells"]
    locked = told_view("You see a locked red door 1 step forward. You are carrying a red key")
    assert locked is not None
    assert [1, 0, "locked red door", False, "toggle"] in locked["cells"]


@pytest.mark.parametrize("text", ["", "A cave.", "You see nothing.", "Go 3 times.", "2 steps forward", "You win!"])
def test_other_texts_are_no_views(text: str) -> None:
    assert told_view(text) is None
