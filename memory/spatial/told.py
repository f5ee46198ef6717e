"""Views read from words, for worlds that say what is seen and no more: the sentences of BabyAI-Text and its kin.

BabyAI-Text (Carta et al. 2023, arXiv:2302.02662) names things with their distance in steps: "You see a wall 2 steps
forward", "You see a locked blue door 1 step left and 3 steps forward", one sentence or one line for each, or all of
them in one sentence. What is not named is taken for bare floor as far as the walls that are.
"""

import re
from typing import Any

from memory.spatial.view import FORWARD, LEFT, OPEN, PUT, RIGHT, TAKE

AHEAD, ASIDE = 6, 3
"""How far is seen, in cells: ahead, and to each side."""

_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
_COUNT = rf"(\d+|{'|'.join(_NUMBERS)})"
_WAY = r"(?:to (?:your|the) )?(forward|ahead|in front(?: of you)?|left|right)"
_THING = re.compile(
    rf"\b(?:an?|the)?\s*((?:(?!\b(?:you|see|and|an?|the)\b)[\w'-]+ ){{1,4}}?){_COUNT} (?:steps?|cells?|tiles?) {_WAY}"
    rf"(?:,? (?:and )?{_COUNT} (?:steps?|cells?|tiles?) {_WAY})?",
    re.IGNORECASE,
)
_CARRIED = re.compile(
    r"\byou (?:carry|are carrying|hold|are holding) (?:an? |the )?([\w -]+?)\s*(?:[.,;\n]|$)", re.IGNORECASE
)
_PORTABLE = frozenset({"key", "ball", "box"})
_SOLID = frozenset({"wall", "door", "box", "ball", "key"})


def told_view(text: str) -> dict[str, Any] | None:
    """Return a view, in the form of ``info["view"]``, that a text describes; ``None`` if it names no distances.

    Args:
        text: An observation.

    Returns:
        The view, with ``carrying``, ``portable``, and ``available``: the actions that can have an effect by what is
        ahead.
    """
    named: dict[tuple[int, int], str] = {}
    for found in _THING.finditer(" ".join(text.split())):
        where = _place(found[2], found[3], found[4], found[5])
        content = " ".join(found[1].lower().split())
        if where is not None and content and where != (0, 0):
            named.setdefault(where, content)
    if not named:
        return None
    carried = _CARRIED.search(text)
    carrying = carried[1].strip().lower() if carried else ""
    carrying = "" if carrying in ("nothing", "no", "anything") else carrying
    cells = [_cell(where, content, carrying) for where, content in named.items()]
    cells += [[*where, "", True] for where in _floor(named)]
    portable = sorted({content for content in named.values() if content.split()[-1] in _PORTABLE})
    available = _available(named.get((1, 0), ""), (1, 0) in {(f, r) for f, r, *_ in cells}, carrying)
    return {"cells": cells, "carrying": carrying, "portable": portable, "available": available}


def _place(count: str, way: str, further: str | None, other: str | None) -> tuple[int, int] | None:
    """Return cells ahead and to the right; ``None`` where both distances go the same way."""
    ahead = right = 0
    for number, direction in ((count, way), (further, other)):
        if number is None or direction is None:
            continue
        steps = int(number) if number.isdigit() else _NUMBERS[number.lower()]
        if direction.lower() == "left":
            right -= steps
        elif direction.lower() == "right":
            right += steps
        else:
            ahead += steps
    return (ahead, right) if max(abs(ahead), abs(right)) <= 60 else None


def _cell(where: tuple[int, int], content: str, carrying: str) -> list[Any]:
    words = content.split()
    if words[-1] == "door":
        opened = "open" in words
        way = OPEN if "closed" in words or (len(words) > 1 and carrying == f"{words[-2]} key") else ""
        return [*where, content, opened, "" if opened else way]
    return [*where, content, words[-1] not in _SOLID and content != "lava"]


def _floor(named: dict[tuple[int, int], str]) -> list[tuple[int, int]]:
    """Return the cells that are taken for bare floor: those before the nearest walls that nothing else is named on."""
    walls = [where for where, content in named.items() if content == "wall"]
    ahead = min([forward - 1 for forward, right in walls if not right and forward > 0], default=AHEAD)
    left = min([-right - 1 for forward, right in walls if not forward and right < 0], default=ASIDE)
    right = min([right - 1 for forward, right in walls if not forward and right > 0], default=ASIDE)
    rows, columns = range(min(ahead, AHEAD) + 1), range(-min(left, ASIDE), min(right, ASIDE) + 1)
    return [(forward, aside) for forward in rows for aside in columns if (forward, aside) not in named]


def _available(ahead: str, known: bool, carrying: str) -> list[str]:
    kind = ahead.split()[-1] if ahead else ""
    names = [LEFT, RIGHT]
    if known and (kind not in _SOLID or ahead.startswith("open ")):
        names.append(FORWARD)
    if kind in _PORTABLE and not carrying:
        names.append(TAKE)
    if not ahead and carrying:
        names.append(PUT)
    if kind in ("door", "box"):
        names.append(OPEN)
    return names
