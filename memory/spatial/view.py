"""Views: what the agent perceives of space at one moment, and its pose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from memory.errors import InvalidItemError

HEADINGS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Unit steps of the four headings, clockwise, y pointing down."""

Position = tuple[int, int]
"""Coordinates of a cell on its map."""

MAX_DISTANCE = 64
"""Greatest distance of a cell of a view, ahead or to a side, in cells."""

FORWARD, LEFT, RIGHT = "forward", "left", "right"
"""Names of the actions that move: one cell ahead, a quarter turn left, a quarter turn right."""

TAKE, PUT, OPEN = "pickup", "drop", "toggle"
"""Names of the actions that take up the thing ahead, put it down ahead, and open what is ahead."""

MOVES = (FORWARD, LEFT, RIGHT)
ACTIONS = (*MOVES, TAKE, PUT, OPEN)


@dataclass(frozen=True, slots=True)
class Pose:
    """Position in cells and heading (0 to 3, clockwise) in the frame of one map."""

    x: int
    y: int
    heading: int

    def at(self, forward: int, right: int) -> tuple[int, int]:
        """Return the map coordinates of the cell ``forward`` cells ahead and ``right`` cells to the right."""
        ahead, side = HEADINGS[self.heading], HEADINGS[(self.heading + 1) % 4]
        return self.x + forward * ahead[0] + right * side[0], self.y + forward * ahead[1] + right * side[1]

    def turned(self, quarter_turns: int) -> "Pose":
        """Return the pose after turning clockwise on the spot."""
        return Pose(self.x, self.y, (self.heading + quarter_turns) % 4)

    def advanced(self) -> "Pose":
        """Return the pose one cell ahead."""
        return Pose(*self.at(1, 0), self.heading)


@dataclass(frozen=True, slots=True)
class Cell:
    """One perceived cell, relative to the observer.

    Attributes:
        forward: Cells ahead; 0 is the observer's own row.
        right: Cells to the right; negative is left.
        content: ``""`` for bare floor, ``"wall"``, or what is there (``"green ball"``).
        passable: Whether the observer can walk onto it now.
        via: Name of the action, done in front of it, that makes it passable, for example ``"toggle"`` for a
            closed door; empty if none is known.
    """

    forward: int
    right: int
    content: str
    passable: bool
    via: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """All cells perceived at one moment, the observer's own cell included.

    Attributes:
        cells: The cells.
        portable: Contents of cells that can be picked up, as far as the environment tells.
    """

    cells: tuple[Cell, ...]
    portable: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read ``{"cells": [[forward, right, content, passable], ...]}``; a fifth element is ``via``.

        ``"portable"``, if there, lists contents that can be picked up.

        Raises:
            InvalidItemError: The data has another form, or a cell is too far away.
        """
        try:
            cells = tuple(
                Cell(int(f), int(r), str(c), bool(p), *map(str, via[:1])) for f, r, c, p, *via in data["cells"]
            )
            if any(max(abs(cell.forward), abs(cell.right)) > MAX_DISTANCE for cell in cells):
                raise ValueError(f"a cell is more than {MAX_DISTANCE} away")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidItemError(
                f'a view must be {{"cells": [[forward, right, content, passable], ...]}}: {error!r}'
            ) from error
        return cls(cells, frozenset(map(str, data.get("portable", ()))))

    @property
    def ahead_passable(self) -> bool:
        """Whether the cell straight ahead can be walked onto."""
        return any(c.passable for c in self.cells if (c.forward, c.right) == (1, 0))
