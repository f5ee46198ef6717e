"""What a MiniGrid agent perceives, as structure and as words.

The words follow BabyAI-Text (Carta et al. 2023, arXiv:2302.02662): things are named with their
distance in steps forward, left and right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT
from numpy.typing import NDArray

DOOR_STATES = ("open", "closed", "locked")
PORTABLE = frozenset({"key", "ball", "box"})

ACTIONS = {
    "forward": (2, "move one step ahead"),
    "left": (0, "turn left"),
    "right": (1, "turn right"),
    "pickup": (3, "pick up the thing ahead"),
    "drop": (4, "put down what you carry, ahead"),
    "toggle": (5, "open or close the door or box ahead"),
}
"""MiniGrid's actions by name: value and description. ``done`` does nothing and is left out."""


@dataclass(frozen=True, slots=True)
class SeenCell:
    """One visible cell, relative to the agent; ``right`` is negative to the left."""

    forward: int
    right: int
    kind: str
    color: str
    state: str

    @property
    def content(self) -> str:
        """``""`` for bare floor, ``"wall"``, or a name such as ``"locked red door"``."""
        if self.kind in ("empty", "floor"):
            return ""
        if self.kind in ("wall", "lava"):
            return self.kind
        if self.kind == "goal":
            return f"{self.color} goal"
        return f"{self.state} {self.color} {self.kind}".strip()

    @property
    def passable(self) -> bool:
        """Whether one can walk onto it and live."""
        return self.kind in ("empty", "floor", "goal") or (self.kind == "door" and self.state == "open")

    @property
    def is_thing(self) -> bool:
        """Whether it is worth a word of its own."""
        return self.kind not in ("empty", "floor", "wall")

    def where(self) -> str:
        """Distance in words: ``1 step left and 2 steps forward``."""
        parts = []
        if self.right:
            parts.append(_steps(abs(self.right), "right" if self.right > 0 else "left"))
        if self.forward:
            parts.append(_steps(self.forward, "forward"))
        return " and ".join(parts) or "here"


@dataclass(frozen=True, slots=True)
class Perception:
    """One egocentric observation: the visible cells without one's own, and what is carried."""

    cells: tuple[SeenCell, ...]
    carrying: str

    @classmethod
    def from_image(cls, image: NDArray[np.uint8]) -> "Perception":
        """Decode MiniGrid's symbolic image, uint8 ``[width, height, 3]``, agent at bottom centre."""
        width, height = image.shape[:2]
        cells, carrying = [], ""
        for i in range(width):
            for j in range(height):
                kind = IDX_TO_OBJECT[int(image[i, j, 0])]
                if kind == "unseen":
                    continue
                color = IDX_TO_COLOR[int(image[i, j, 1])]
                state = DOOR_STATES[int(image[i, j, 2])] if kind == "door" else ""
                cell = SeenCell(height - 1 - j, i - width // 2, kind, color, state)
                if (cell.forward, cell.right) != (0, 0):
                    cells.append(cell)
                elif kind in PORTABLE:
                    carrying = cell.content
        return cls(tuple(cells), carrying)

    @property
    def ahead(self) -> SeenCell | None:
        """The cell one step ahead."""
        return next((c for c in self.cells if (c.forward, c.right) == (1, 0)), None)

    def text(self) -> str:
        """The observation in words."""
        seen = [f"a wall {cell.where()}" for cell in self._walls()]
        things = [cell for cell in self.cells if cell.is_thing]
        for cell in sorted(things, key=lambda c: (c.forward + abs(c.right), c.forward, c.right)):
            article = "an" if cell.content[0] in "aeiou" else "a"
            seen.append(f"{article} {cell.content} {cell.where()}")
        sight = f"You see {', '.join(seen)}." if seen else "You see nothing but floor."
        return f"{sight} You carry a {self.carrying}." if self.carrying else sight

    def _walls(self) -> list[SeenCell]:
        """The wall straight ahead, to the left and to the right, where nothing stands before it."""
        nearest: dict[tuple[int, int], SeenCell] = {}
        for cell in sorted(self.cells, key=lambda c: c.forward + abs(c.right)):
            if cell.content and 0 in (cell.forward, cell.right):
                nearest.setdefault((np.sign(cell.forward), np.sign(cell.right)), cell)
        first = (nearest.get(key) for key in ((1, 0), (0, -1), (0, 1)))
        return [cell for cell in first if cell is not None and cell.kind == "wall"]

    def available(self) -> list[str]:
        """Names of the actions that can have an effect now, walking into lava included."""
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
        """What opens a door: it must be closed only, or locked with the key in hand."""
        if cell.kind != "door" or cell.state == "open":
            return ""
        return "toggle" if cell.state == "closed" or self.carrying == f"{cell.color} key" else ""

    def view(self) -> dict[str, Any]:
        """The structure of the observation, ready for JSON.

        ``cells`` are ``[forward, right, content, passable, via]``, where ``via`` is the action that opens a
        door that can be opened; ``objects`` name the things in them.
        """
        return {
            "cells": [[c.forward, c.right, c.content, c.passable, self._via(c)] for c in self.cells],
            "objects": [
                {"kind": c.kind, "color": c.color, "state": c.state, "forward": c.forward, "right": c.right}
                for c in self.cells
                if c.is_thing
            ],
            "carrying": self.carrying,
        }


def _steps(count: int, direction: str) -> str:
    return f"{count} step{'' if count == 1 else 's'} {direction}"
