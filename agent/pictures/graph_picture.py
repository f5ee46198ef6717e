"""A subgraph as a picture: PNG or SVG."""

import warnings
from pathlib import Path

import networkx as nx

from agent.errors import AgentError
from memory.files import atomic_path

_INK, _SEED, _NODE, _EDGE = "#1f2430", "#f2a65a", "#dfe7ef", "#8a94a6"
_WRAP = 18


class PictureError(AgentError, ValueError):
    """A picture that can't be drawn."""


def draw(graph: "nx.MultiDiGraph[str]", seeds: tuple[str, ...], path: Path, title: str = "") -> None:
    """Draw entities as boxes and facts as labelled arrows.

    Args:
        graph: The nodes are names; the edges have the attribute ``relation``.
        seeds: Nodes that are drawn in another colour.
        path: The file to write; it ends in ``.png`` or ``.svg``.
        title: Text above the picture.

    Raises:
        PictureError: The file has another ending, or there is nothing to draw.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise PictureError(f"expected a file that ends in .png or .svg, got {path.name!r}")
    if not graph.number_of_edges():
        raise PictureError("there is no fact to draw")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    count = graph.number_of_nodes()
    figure = Figure(figsize=(6 + 0.35 * count, 4.5 + 0.25 * count), dpi=130)
    (FigureCanvasAgg if path.suffix.lower() == ".png" else FigureCanvasSVG)(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.9))
    axes.set_axis_off()
    axes.set_title(title, color=_INK)
    simple = nx.Graph(graph.to_undirected())
    place = nx.kamada_kawai_layout(simple, dist=_distances(simple)) if count > 2 else nx.circular_layout(simple)
    reach = [1.25 * max(0.4, *(abs(float(spot[axis])) for spot in place.values())) for axis in (0, 1)]
    axes.set_xlim(-reach[0], reach[0])
    axes.set_ylim(-reach[1], reach[1])
    labels: dict[tuple[str, str], list[str]] = {}
    for head, tail, data in graph.edges(data=True):
        labels.setdefault((head, tail), []).append(str(data["relation"]).replace("_", " "))
    boxes = {}
    for name, (x, y) in place.items():
        boxes[name] = axes.text(
            x,
            y,
            _wrapped(name),
            ha="center",
            va="center",
            fontsize=9,
            color=_INK,
            zorder=3,
            bbox={"boxstyle": "round,pad=0.45", "fc": _SEED if name in seeds else _NODE, "ec": _EDGE},
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.canvas.draw()  # only now have the boxes their sizes, which the arrows need
    for (head, tail), relations in labels.items():
        (x0, y0), (x1, y1) = place[head], place[tail]
        bend = 0.18 if (tail, head) in labels else 0.0
        arrow = {
            "arrowstyle": "-|>",
            "color": _EDGE,
            "lw": 1.4,
            "shrinkA": 2,
            "shrinkB": 3,
            "connectionstyle": f"arc3,rad={bend}",
            "patchA": boxes[head].get_bbox_patch(),
            "patchB": boxes[tail].get_bbox_patch(),
        }
        axes.annotate("", (x1, y1), (x0, y0), zorder=1, arrowprops=arrow)
        x, y = (x0 + x1) / 2 + bend * (y1 - y0) / 2, (y0 + y1) / 2 - bend * (x1 - x0) / 2
        axes.text(
            x,
            y,
            "\n".join(sorted(set(relations))),
            ha="center",
            va="center",
            fontsize=8,
            color=_INK,
            zorder=2,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
        )
    with atomic_path(path, PictureError) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the font lacks the letters of some scripts
        figure.savefig(part)


def _distances(graph: "nx.Graph[str]") -> dict[str, dict[str, float]]:
    """Return the hops between nodes; unconnected nodes are one hop further apart than the furthest connected ones."""
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    furthest = max(max(row.values()) for row in hops.values()) + 1.0
    return {node: {other: float(hops[node].get(other, furthest)) for other in graph} for node in graph}


def _wrapped(name: str) -> str:
    lines, line = [], ""
    for word in name.split():
        if line and len(line) + len(word) >= _WRAP:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line])
