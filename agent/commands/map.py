"""``hippo map``: look at learnt maps, plan routes over them, export them."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.commands import graph_picture, map_picture
from agent.commands.console import Json, emit
from agent.commands.memory import Folder, opened, say
from agent.commands.terminal import remembered_map
from memory import InvalidItemError, Memory, StorageError, UnknownItemError
from memory.files import atomic_path
from memory.spatial import Route, place_name, place_number

app = typer.Typer(no_args_is_help=True, help="Maps: list, show, plan over them, export.")

Name = Annotated[str, typer.Option("--map", help="Name of the map; the one with most places by default.")]
From = Annotated[str, typer.Option("--from", help='Where to start, as "place 12"; by default the most visited place.')]
Heading = Annotated[int, typer.Option(min=0, max=3, help="0 to 3: facing east, south, west or north in the picture.")]
Out = Annotated[Path | None, typer.Option("--out", help="Draw the map into this .png or .svg file.")]


def _maps(memory: Memory) -> list[dict[str, Any]]:
    rows = memory.store.db.execute(
        "SELECT map, count(*), sum(visits > 0), sum(content NOT IN ('', 'wall')), min(context) != '', max(seen)"
        " FROM places GROUP BY map ORDER BY count(*) DESC"
    )
    keys = ("map", "places", "walked", "things", "text", "seen")
    return [dict(zip(keys, (*row[:4], bool(row[4]), row[5]), strict=True)) for row in rows.fetchall()]


def _stand(memory: Memory, name: str, start: str, heading: int) -> str:
    """Place the agent on a map, and return the map's name."""
    maps = _maps(memory)
    if not maps:
        raise UnknownItemError("this memory holds no map: run an agent with it first")
    start = f"place {start}" if start.isdecimal() else start
    if start and place_number(start) is None:
        raise InvalidItemError(f'--from takes a place such as "place 12", got {start!r}')
    chosen = name or str(maps[0]["map"])
    memory.spatial.stand(chosen, place_number(start) if start else None, heading)
    return chosen


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that an XML file must not hold."""


FACING = ("east", "south", "west", "north")
"""Names of the headings, north being up in the picture."""


@app.command("list")
def list_maps(folder: Folder, as_json: Json = False) -> None:
    """List the maps with their numbers of places."""
    with opened(folder) as memory:
        maps = _maps(memory)
        if as_json:
            emit(maps)
            return
        table = Table("map", "places", "walked", "things", "kind", box=None)
        for row in maps:
            kind = "texts" if row["text"] else "cells"
            table.add_row(escape(row["map"]), str(row["places"]), str(row["walked"]), str(row["things"]), kind)
        Console().print(table if maps else "no maps yet")


@app.command()
def show(folder: Folder, name: Name = "", out: Out = None, as_json: Json = False) -> None:
    """Show one map: where things are, and which steps are uncertain."""
    with opened(folder) as memory:
        chosen = _stand(memory, name, "", 0)
        spatial = memory.spatial
        goals = spatial.goals()
        if out is not None:
            _draw(memory, chosen, out, None)
        elif spatial.walk is not None and not as_json:
            Console().print(remembered_map(spatial.walk.grid, None))
        edges = spatial.walk.grid.edges if spatial.walk else {}
        doubtful = [
            f"{a} to {b} by {how}: {e.success_prob:.0%}" for (a, b, how), e in edges.items() if e.success_prob < 0.99
        ]
        picture = {"picture": str(out)} if out else {}
        graph = _graph(memory, chosen)
        things = [(number, data) for number, data in graph.nodes(data=True) if data["content"] not in ("", "wall")]
        named = [f"{place_name(number)}: {data['content']} at ({data['x']}, {data['y']})" for number, data in things]
        result: dict[str, Any] = {"map": chosen, "goals": goals, "things": named, "doubtful": doubtful}
        if as_json:
            result["places"] = [{"place": number, **data} for number, data in graph.nodes(data=True)]
        say(result | picture, as_json)


@app.command()
def plan(
    folder: Folder,
    goal: Annotated[str, typer.Argument(help='A thing, a mark, words that describe it, "place 12", unknown.')],
    name: Name = "",
    start: From = "",
    heading: Heading = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Plan the cheapest route over a map; to `unknown`, the route that shows most of it for its cost."""
    with opened(folder) as memory:
        chosen = _stand(memory, name, start, heading)
        here = memory.spatial.place
        route = memory.spatial.explore() if goal == "explore" else memory.spatial.plan(goal)
        if out is not None:
            _draw(memory, chosen, out, route)
        result = {
            "map": chosen,
            "from": place_name(here or 0),
            "goal": goal,
            "hint": route.hint,
            "cost": route.cost,
            "actions": list(route.actions),
            "places": list(route.places),
        }
        if as_json:
            emit(result | ({"picture": str(out)} if out else {}))
            return
        facing = f" facing {FACING[heading]}" if memory.spatial.pose else ""
        print(f"from {result['from']}{facing}: {route.hint}, expected cost {route.cost:.1f}")  # noqa: T201


@app.command()
def export(
    folder: Folder,
    path: Annotated[Path, typer.Argument(help="A .graphml or .json (node-link) file.")],
    name: Annotated[str, typer.Option("--map", help="Name of the map; all maps by default.")] = "",
    as_json: Json = False,
) -> None:
    """Write places and the steps tried between them as a graph; all maps unless one is named."""
    with opened(folder) as memory:
        if path.suffix.lower() not in (".graphml", ".json"):
            raise InvalidItemError(f"expected a file that ends in .graphml or .json, got {path.name!r}")
        graph = _graph(memory, name)
        with atomic_path(path) as part:
            if path.suffix.lower() == ".graphml":
                nx.write_graphml(graph, part)
            else:
                part.write_text(json.dumps(nx.node_link_data(graph, edges="edges"), indent=1))
        say({"file": str(path), "places": graph.number_of_nodes(), "edges": graph.number_of_edges()}, as_json)


def _graph(memory: Memory, name: str) -> "nx.MultiDiGraph[int]":
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


def _draw(memory: Memory, name: str, path: Path, route: Route | None) -> None:
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
    full = _graph(memory, name)
    title = {
        n: f"{data['context'][:40]}{' ★' + data['label'] if data['label'] else ''}" for n, data in full.nodes(data=True)
    }
    for src, dst, data in full.edges(data=True):
        graph.add_edge(title[src], title[dst], relation=f"{data['action']} {data['success_prob']:.0%}")
    graph_picture.draw(graph, tuple(title[p] for p in (route.places if route else ()) if p in title), path, name)
