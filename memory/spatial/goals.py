"""What a goal stands for: marks, things, kinds of things, descriptions, places by number."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memory.errors import UnknownItemError
from memory.spatial.grid_map import Place, Terrain
from memory.spatial.names import place_name, place_number
from memory.spatial.planner import in_the_way, plan_text
from memory.spatial.texts import TextMap, TextPlace, words_of
from memory.spatial.view import Pose, Position
from memory.store import Store

UNVISITED = "unvisited"
"""Goal that stands for the nearest place that was seen but never stood on."""

BESIDE = "beside "
"""Begins a goal that stands for the free cells next to a thing."""

UNKNOWN = "unknown"
"""What :meth:`PlaceGraph.explore` leads to."""

MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Located:
    """Where something was last seen.

    Attributes:
        what: Its name.
        place: Id of the place.
        map: Name of the map.
        cost: Expected cost of the way there from here, ``None`` if none is known.
        seen: When it was seen first, or stood on last, in seconds since the epoch.
        position: Coordinates on the map under one's feet, in cells, ``None`` on a map without.
    """

    what: str
    place: int
    map: str
    cost: float | None
    seen: float
    position: Position | None = None


def names(terrain: Terrain) -> list[str]:
    """Marks, things, kinds of things, and ``unvisited``, as far as the map has them."""
    places = terrain.places.values()
    found = [p.label for p in places if p.label] + [p.content for p in places if p.is_landmark]
    kinds = [" ".join(words[i:]) for name in found if len(words := name.split()) > 1 for i in range(1, len(words))]
    if any(p.passable and not p.visits for p in places):
        kinds.append(UNVISITED)
    return list(dict.fromkeys([*found, *kinds]))


def fitting(terrain: Terrain, goal: str) -> list[tuple[Position, Place]]:
    """Places that a goal stands for: those named exactly, else those described."""
    number = place_number(goal)
    tests: tuple[Callable[[Place], bool], ...] = (
        lambda p: goal in (p.label, p.content) or p.id == number,
        lambda p: goal == UNVISITED and p.passable and not p.visits,
        lambda p: (p.is_landmark or bool(p.label)) and words_of(goal) <= words_of(f"{p.content} {p.label}"),
    )
    for test in tests[: 3 if words_of(goal) else 2] if goal else ():
        found = [(position, place) for position, place in terrain.places.items() if test(place)]
        if found:
            return found
    return []


def barred(terrain: Terrain, start: Pose, ends: Sequence[int]) -> str:
    """What to do about a way that is not there: what is in it, or that more has to be seen."""
    named = ", ".join(f"{thing.content} ({place_name(thing.id)})" for thing in in_the_way(terrain, start, ends))
    return f"in the way: {named}" if named else "explore more"


def unknown(store: Store, here: str, goal: str, known: Sequence[str]) -> UnknownItemError:
    """The error that a goal is not on this map, with what is like it, and other maps that have it."""
    near = difflib.get_close_matches(goal, known, n=3, cutoff=0.5)
    rows = store.db.execute(
        "SELECT DISTINCT map FROM places WHERE (content = ? OR label = ?) AND map != ? LIMIT 3", (goal, goal, here)
    )
    others = [row[0] for row in rows.fetchall()]
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known[:12]) or 'nothing yet'}"
    elsewhere = f"; it is on other maps: {', '.join(others)}" if others else ""
    return UnknownItemError(f"no place called {goal!r} on this map; {hint}{elsewhere}")


def nearness(one: Located) -> tuple[bool, float, int]:
    """Orders what was found: what can be reached first, the nearest first."""
    return one.cost is None, one.cost or 0.0, one.place


def where_text(text: TextMap, here: int, places: Sequence[TextPlace]) -> list[Located]:
    """Where places of a map without coordinates are, nearest first."""
    found = []
    for place in places:
        route = plan_text(text, here, "", [place.id])
        seen = text.store.db.execute("SELECT seen FROM places WHERE id = ?", (place.id,)).fetchone()[0]
        found.append(Located(title(place.context), place.id, text.name, route.cost if route else None, seen))
    return sorted(found, key=nearness)


def title(context: str) -> str:
    """The beginning of a text, at most 60 characters, cut between words."""
    first = context.partition(". ")[0].strip()
    return first if len(first) <= MAX_NAME else first[: MAX_NAME + 1].rpartition(" ")[0] or first[:MAX_NAME]
