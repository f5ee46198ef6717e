"""``hippo map``: look at learnt maps, plan routes over them, export them."""

import json
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.commands.console import Json, emit
from agent.commands.memory import Folder, opened, say
from agent.pictures.maps import draw_map, graph_of, maps_of, remembered_map, stand_on
from memory import InvalidItemError
from memory.files import atomic_path
from memory.spatial import place_name

app = typer.Typer(no_args_is_help=True, help="Maps: list, show, plan over them, export.")

Name = Annotated[str, typer.Option("--map", help="Name of the map; the one with most places by default.")]
From = Annotated[str, typer.Option("--from", help='Where to start, as "place 12"; by default the most visited place.')]
Heading = Annotated[int, typer.Option(min=0, max=3, help="0 to 3: facing east, south, west or north in the picture.")]
Out = Annotated[Path | None, typer.Option("--out", help="Draw the map into this .png or .svg file.")]


FACING = ("east", "south", "west", "north")
"""Names of the headings, north being up in the picture."""


@app.command("list")
def list_maps(folder: Folder, as_json: Json = False) -> None:
    """List the maps with their numbers of places."""
    with opened(folder) as memory:
        maps = maps_of(memory)
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
        chosen = stand_on(memory, name, "", 0)
        spatial = memory.spatial
        goals = spatial.goals()
        if out is not None:
            draw_map(memory, chosen, out, None)
        elif spatial.walk is not None and not as_json:
            Console().print(remembered_map(spatial.walk.grid, None))
        edges = spatial.walk.grid.edges if spatial.walk else {}
        doubtful = [
            f"{a} to {b} by {how}: {e.success_prob:.0%}" for (a, b, how), e in edges.items() if e.success_prob < 0.99
        ]
        picture = {"picture": str(out)} if out else {}
        graph = graph_of(memory, chosen)
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
        chosen = stand_on(memory, name, start, heading)
        here = memory.spatial.place
        route = memory.spatial.explore() if goal == "explore" else memory.spatial.plan(goal)
        if out is not None:
            draw_map(memory, chosen, out, route)
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
        graph = graph_of(memory, name)
        with atomic_path(path) as part:
            if path.suffix.lower() == ".graphml":
                nx.write_graphml(graph, part)
            else:
                part.write_text(json.dumps(nx.node_link_data(graph, edges="edges"), indent=1))
        say({"file": str(path), "places": graph.number_of_nodes(), "edges": graph.number_of_edges()}, as_json)
