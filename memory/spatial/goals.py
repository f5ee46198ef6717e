"""Resolution of goals: labels, things, kinds of things, descriptions, places by number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memory.errors import UnknownItemError
from memory.nearest import nearest
from memory.spatial.grid_map import Place, Terrain
from memory.spatial.names import place_name, place_number
from memory.spatial.planner import in_the_way, plan_text
from memory.spatial.texts import TextMap, TextPlace, words_of
from memory.spatial.view import Pose, Position
from memory.store import Store

UNVISITED = "unvisited"
"""Goal that means the nearest place that was seen but never visited."""

BESIDE = "beside "
"""Prefix of a goal that means the free cells next to a thing."""

UNKNOWN = "unknown"
"""Name of the goal of a route that :meth:`PlaceGraph.explore` returns."""

MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Located:
    """Place where something was last seen.

    Attributes:
        what: Its name.
        place: Id of the place.
        map: Name of the map.
        cost: Expected cost of the way there from here, ``None`` if no way is known.
        seen: Time in seconds since the epoch when it was last visited or, if it never was, first seen.
        position: Coordinates on the current map, in cells; ``None`` on a map without coordinates.
    """

    what: str
    place: int
    map: str
    cost: float | None
    seen: float
    position: Position | None = None


def names(terrain: Terrain) -> list[str]:
    """Return the names that goals may use: labels, things, kinds of things and ``unvisited``, if on the map."""
    places = terrain.places.values()
    named = [p.label for p in places if p.label] + [p.content for p in places if p.is_landmark]
    kinds = [" ".join(words[i:]) for name in named if len(words := name.split()) > 1 for i in range(1, len(words))]
    if any(p.passable and not p.visits for p in places):
        kinds.append(UNVISITED)
    return list(dict.fromkeys([*named, *kinds]))


def fitting(terrain: Terrain, goal: str) -> list[tuple[Position, Place]]:
    """Return the places that a goal means: those named exactly, else those that fit it as a description."""
    number = place_number(goal)
    tests: tuple[Callable[[Place], bool], ...] = (
        lambda p: goal in (p.label, p.content) or p.id == number,
        lambda p: goal == UNVISITED and p.passable and not p.visits,
        lambda p: (p.is_landmark or bool(p.label)) and words_of(goal) <= words_of(f"{p.content} {p.label}"),
    )
    for test in tests[: 3 if words_of(goal) else 2] if goal else ():
        matches = [(position, place) for position, place in terrain.places.items() if test(place)]
        if matches:
            return matches
    return []


def barred(terrain: Terrain, start: Pose, ends: Sequence[int]) -> str:
    """Return a hint for a goal that no way leads to: the things in the way, or to explore more."""
    named = ", ".join(f"{thing.content} ({place_name(thing.id)})" for thing in in_the_way(terrain, start, ends))
    return f"in the way: {named}" if named else "explore more"


def unknown(store: Store, here: str, goal: str, known: Sequence[str]) -> UnknownItemError:
    """Make the error for a goal that is not on this map, with similar names and other maps that have it."""
    near = nearest(goal, known)
    rows = store.db.execute(
        "SELECT DISTINCT map FROM places WHERE (content = ? OR label = ?) AND map != ? LIMIT 3", (goal, goal, here)
    )
    others = [row[0] for row in rows.fetchall()]
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known[:12]) or 'nothing yet'}"
    elsewhere = f"; it is on other maps: {', '.join(others)}" if others else ""
    return UnknownItemError(f"no place called {goal!r} on this map; {hint}{elsewhere}")


def nearness(one: Located) -> tuple[bool, float, int]:
    """Return a sort key: places that can be reached come first, the nearest first."""
    return one.cost is None, one.cost or 0.0, one.place


def where_text(text: TextMap, here: int, places: Sequence[TextPlace]) -> list[Located]:
    """Locate places of a map without coordinates, the nearest first."""
    located = []
    for place in places:
        route = plan_text(text, here, "", [place.id])
        seen = text.store.db.execute("SELECT seen FROM places WHERE id = ?", (place.id,)).fetchone()[0]
        located.append(Located(title(place.context), place.id, text.name, route.cost if route else None, seen))
    return sorted(located, key=nearness)


def title(context: str) -> str:
    """Return the beginning of a text, at most 60 characters, cut between words."""
    first = context.partition(". ")[0].strip()
    return first if len(first) <= MAX_NAME else first[: MAX_NAME + 1].rpartition(" ")[0] or first[:MAX_NAME]
