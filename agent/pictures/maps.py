"""Learnt maps: which there are, where to stand on one, as text, as a picture, as a graph."""

import re
from pathlib import Path
from typing import Any

import networkx as nx
from rich.text import Text

from agent.pictures import graph_picture, map_picture
from memory import InvalidItemError, Memory, StorageError, UnknownItemError
from memory.spatial import GridMap, Pose, Route, place_number

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that an XML file must not hold."""


def maps_of(memory: Memory) -> list[dict[str, Any]]:
    """Return the maps with their numbers of places, the one with most first."""
    rows = memory.store.db.execute(
        "SELECT map, count(*), sum(visits > 0), sum(content NOT IN ('', 'wall')), min(context) != '', max(seen)"
        " FROM places GROUP BY map ORDER BY count(*) DESC"
    )
    keys = ("map", "places", "walked", "things", "text", "seen")
    return [dict(zip(keys, (*row[:4], bool(row[4]), row[5]), strict=True)) for row in rows.fetchall()]


def stand_on(memory: Memory, name: str, start: str, heading: int) -> str:
    """Place the agent on a map, and return the map's name.

    Args:
        memory: The memory.
        name: Name of the map; by default the one with most places.
        start: The place, as ``"place 12"`` or ``"12"``; by default the most visited one.
        heading: 0 to 3, facing east, south, west or north in the picture.

    Raises:
        UnknownItemError: There is no map, or no such map or place.
        InvalidItemError: ``start`` is no place.
    """
    maps = maps_of(memory)
    if not maps:
        raise UnknownItemError("this memory holds no map: run an agent with it first")
    start = f"place {start}" if start.isdecimal() else start
    if start and place_number(start) is None:
        raise InvalidItemError(f'the start is a place such as "place 12", got {start!r}')
    chosen = name or str(maps[0]["map"])
    memory.spatial.stand(chosen, place_number(start) if start else None, heading)
    return chosen


def remembered_map(frame: GridMap, pose: Pose | None) -> Text:
    """Return the map as the agent remembers it; what the agent never saw stays blank."""
    if not frame.places:
        return Text("nothing yet")
    xs = [x for x, _ in frame.places]
    ys = [y for _, y in frame.places]
    drawing = Text()
    for y in range(min(ys), max(ys) + 1):
        for x in range(min(xs), max(xs) + 1):
            place = frame.places.get((x, y))
            if pose and (pose.x, pose.y) == (x, y):
                drawing.append("▶▼◀▲"[pose.heading] + " ", style="bold bright_white")
            elif place is None:
                drawing.append("  ")
            elif place.label:
                drawing.append("★ ", style="bold yellow")
            elif place.content == "wall":
                drawing.append("██", style="bright_black")
            elif place.is_landmark:
                drawing.append(_initials(place.content), style="cyan")
            else:
                drawing.append("• " if place.visits else "· ", style="green" if place.visits else "bright_black")
        drawing.append("\n")
    drawing.rstrip()
    return drawing


def _initials(content: str) -> str:
    return "".join(word[0] for word in content.split()[-2:]).ljust(2)


def graph_of(memory: Memory, name: str) -> "nx.MultiDiGraph[int]":
    """Return a map, or all maps if none is named, as a graph of places and the steps tried between them.

    Raises:
        UnknownItemError: There is no such map.
    """
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    places = memory.store.db.execute(
        "SELECT id, map, x, y, context, passable, content, label, visits, via, seen FROM places"
        " WHERE ? IN ('', map) ORDER BY id",
        (name,),
    )
    keys = ("map", "x", "y", "context", "passable", "content", "label", "visits", "via", "seen")
    for number, *values in places.fetchall():
        readable = [_CONTROL.sub(" ", value) if isinstance(value, str) else value for value in values]
        graph.add_node(number, **dict(zip(keys, readable, strict=True)))
    if not graph:
        raise UnknownItemError(f"there is no map {name!r}" if name else "this memory holds no map")
    edges = memory.store.db.execute("SELECT src, dst, action, cost, tries, successes FROM edges ORDER BY id")
    for src, dst, action, cost, tries, successes in edges.fetchall():
        if src in graph and dst in graph:
            chance = (successes + 1) / (tries + 1)
            graph.add_edge(src, dst, action=action, cost=cost, tries=tries, successes=successes, success_prob=chance)
    return graph


def draw_map(memory: Memory, name: str, path: Path, route: Route | None) -> None:
    """Draw the map one stands on, with a route over it, into a ``.png`` or ``.svg`` file.

    Raises:
        PictureError: The file has another ending, or the map is empty.
        StorageError: The file can't be written.
    """
    try:
        _drawn(memory, name, path, route)
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror}; choose another file") from error


def _drawn(memory: Memory, name: str, path: Path, route: Route | None) -> None:
    spatial = memory.spatial
    if spatial.walk is not None:
        map_picture.draw(spatial.walk.terrain, path, name, spatial.pose if route else None, route)
        return
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    full = graph_of(memory, name)
    title = {
        n: f"{data['context'][:40]}{' ★' + data['label'] if data['label'] else ''}" for n, data in full.nodes(data=True)
    }
    for src, dst, data in full.edges(data=True):
        graph.add_edge(title[src], title[dst], relation=f"{data['action']} {data['success_prob']:.0%}")
    graph_picture.draw(graph, tuple(title[p] for p in (route.places if route else ()) if p in title), path, name)
