"""What a MiniGrid agent perceives, as data and in words.

The words follow BabyAI-Text (Carta et al. 2023, arXiv:2302.02662): things are named with their
distance in steps forward, left and right.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT, OBJECT_TO_IDX
from numpy.typing import NDArray

DOOR_STATES = ("open", "closed", "locked")
PORTABLE = frozenset({"key", "ball", "box"})
UNSEEN = OBJECT_TO_IDX["unseen"]
MAX_TOLD = 16
"""Greatest number of things in an observation, the nearest ones; a view has all of them."""

ACTIONS = {
    "forward": (2, "move one step ahead"),
    "left": (0, "turn left"),
    "right": (1, "turn right"),
    "pickup": (3, "pick up the thing ahead"),
    "drop": (4, "put down what you carry, ahead"),
    "toggle": (5, "open or close the door or box ahead"),
}
"""MiniGrid's actions: name to value and description. ``done`` has no effect and is left out."""


@dataclass(frozen=True, slots=True)
class SeenCell:
    """One visible cell, relative to the agent; ``right`` is negative to the left.

    Attributes:
        forward: Cells ahead.
        right: Cells to the right.
        kind: Kind of thing, such as ``"door"``, or a person's name.
        color: Colour, such as ``"red"``; empty for a person.
        state: State of a door: open, closed or locked; empty for other things.
        content: ``""`` for bare floor, ``"wall"``, or a name such as ``"locked red door"``.
        passable: Whether the agent can walk onto it and survive.
        is_thing: Whether the observation mentions it as a thing.
    """

    forward: int
    right: int
    kind: str
    color: str
    state: str
    content: str
    passable: bool
    is_thing: bool

    @classmethod
    def of(cls, forward: int, right: int, kind: str, color: str, state: str) -> "SeenCell":
        """Make a cell, with the fields that follow from the given ones."""
        content = f"{state} {color} {kind}".strip()
        if kind in ("empty", "floor"):
            content = ""
        elif kind in ("wall", "lava"):
            content = kind
        passable = kind in ("empty", "floor", "goal") or (kind == "door" and state == "open")
        return cls(forward, right, kind, color, state, content, passable, kind not in ("empty", "floor", "wall"))

    def where(self) -> str:
        """Return the distance in words: ``1 step left and 2 steps forward``."""
        return _where(self.forward, self.right)


@cache
def _where(forward: int, right: int) -> str:
    parts = []
    if right:
        parts.append(_steps(abs(right), "right" if right > 0 else "left"))
    if forward:
        parts.append(_steps(forward, "forward"))
    return " and ".join(parts) or "here"


@cache
def _decoded(forward: int, right: int, kind: int, color: int, state: int) -> SeenCell:
    """Decode a cell of MiniGrid's image; cached, as there are few different ones."""
    name = IDX_TO_OBJECT[kind]
    return SeenCell.of(forward, right, name, IDX_TO_COLOR[color], DOOR_STATES[state] if name == "door" else "")


@dataclass(frozen=True, slots=True)
class Perception:
    """One egocentric observation: the visible cells without the agent's own, and what the agent carries."""

    cells: tuple[SeenCell, ...]
    carrying: str

    @classmethod
    def from_image(cls, image: NDArray[np.uint8]) -> "Perception":
        """Decode MiniGrid's symbolic image, uint8 ``[width, height, 3]``, agent at bottom centre."""
        width, height = image.shape[:2]
        carrying = ""
        cells = []
        for i, column in enumerate(image.tolist()):
            for j, (kind, color, state) in enumerate(column):
                if kind == UNSEEN:
                    continue
                cell = _decoded(height - 1 - j, i - width // 2, kind, color, state)
                if cell.forward or cell.right:
                    cells.append(cell)
                elif cell.kind in PORTABLE:
                    carrying = cell.content
        return cls(tuple(cells), carrying)

    @property
    def ahead(self) -> SeenCell | None:
        """The cell one step ahead."""
        return next((c for c in self.cells if (c.forward, c.right) == (1, 0)), None)

    def text(self) -> str:
        """Return the observation in words."""
        seen = [f"a wall {cell.where()}" for cell in self._walls()]
        things = [cell for cell in self.cells if cell.is_thing]
        things.sort(key=lambda c: (c.forward + abs(c.right), c.forward, c.right))
        seen += [f"{_article(cell)}{cell.content} {cell.where()}" for cell in things[:MAX_TOLD]]
        if len(things) > MAX_TOLD:
            seen.append("and more beyond")
        sight = f"You see {', '.join(seen)}." if seen else "You see nothing but floor."
        return f"{sight} You carry a {self.carrying}." if self.carrying else sight

    def _walls(self) -> list[SeenCell]:
        """Return the walls straight ahead, to the left and to the right, where nothing stands before them."""
        ahead = left = right = None
        for cell in self.cells:
            if not cell.content:
                continue
            if not cell.right and cell.forward > 0 and (ahead is None or cell.forward < ahead.forward):
                ahead = cell
            elif not cell.forward and cell.right < 0 and (left is None or cell.right > left.right):
                left = cell
            elif not cell.forward and cell.right > 0 and (right is None or cell.right < right.right):
                right = cell
        return [cell for cell in (ahead, left, right) if cell is not None and cell.kind == "wall"]

    def available(self) -> list[str]:
        """Return the names of the actions that can have an effect now, walking into lava included."""
        ahead = self.ahead
        names = ["left", "right"]
        if ahead is None:
            return names
        if ahead.passable or ahead.kind == "lava":
            names.append("forward")
        if ahead.kind in PORTABLE and not self.carrying:
            names.append("pickup")
        if ahead.kind in ("empty", "floor") and self.carrying:
            names.append("drop")
        if ahead.kind in ("door", "box"):
            names.append("toggle")
        return names

    def _via(self, cell: SeenCell) -> str:
        """Return the action that opens a door; empty if it is open, or locked without its key in hand."""
        if cell.kind != "door" or cell.state == "open":
            return ""
        return "toggle" if cell.state == "closed" or self.carrying == f"{cell.color} key" else ""

    def view(self) -> dict[str, Any]:
        """Return the observation as data that JSON can hold.

        ``cells`` are ``[forward, right, content, passable, via]``, where ``via`` is the action that opens a
        door, if it can be opened now; ``objects`` describe the things in the cells, ``portable`` names those that can
        be picked up.
        """
        return {
            "cells": [[c.forward, c.right, c.content, c.passable, self._via(c)] for c in self.cells],
            "objects": [
                {"kind": c.kind, "color": c.color, "state": c.state, "forward": c.forward, "right": c.right}
                for c in self.cells
                if c.is_thing
            ],
            "carrying": self.carrying,
            "portable": sorted({c.content for c in self.cells if c.kind in PORTABLE}),
        }


def _article(cell: SeenCell) -> str:
    """Return the article before a thing, a or an; none before a person's name or lava."""
    return "" if cell.kind[0].isupper() or cell.kind == "lava" else "an " if cell.content[0] in "aeiou" else "a "


def _steps(count: int, direction: str) -> str:
    return f"{count} step{'' if count == 1 else 's'} {direction}"
