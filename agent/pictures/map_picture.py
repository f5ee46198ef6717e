"""A map as a picture: what was walked, what was only seen, what is not known, and a route over it."""

from pathlib import Path

from agent.pictures.graph_picture import PictureError
from memory.spatial import HEADINGS, Pose, Route, Terrain
from memory.spatial.explore import frontier

_INK, _WALL, _SEEN, _WALKED, _THING, _ROUTE = "#1f2430", "#5b6472", "#eef2f6", "#bcd7c4", "#dfe7ef", "#111827"
_FRONTIER, _DOUBT = "#f2a65a", "#b04a5a"
_COLORS = {
    "red": "#d1495b",
    "green": "#3f9b5b",
    "blue": "#3d6fb4",
    "purple": "#8455a8",
    "yellow": "#d9b13b",
    "grey": "#8a94a6",
}


def draw(terrain: Terrain, path: Path, title: str, pose: Pose | None = None, route: Route | None = None) -> None:
    """Draw places as cells.

    Cells on which the agent stood are green, cells that it only saw are pale; the unknown cells beside them are
    outlined. A thing is a dot of its colour with its name. Steps that failed before are marked with their share of
    successes. The route is a line from the agent's place.

    Args:
        terrain: The map.
        path: The file to write; it ends in ``.png`` or ``.svg``.
        title: Text above the picture.
        pose: Where the agent stands.
        route: A route over the map.

    Raises:
        PictureError: The file has another ending, or the map is empty.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise PictureError(f"expected a file that ends in .png or .svg, got {path.name!r}")
    if not terrain.places:
        raise PictureError("the map is empty: there is nothing to draw")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    xs, ys = [x for x, _ in terrain.places], [y for _, y in terrain.places]
    wide, high = max(xs) - min(xs) + 3, max(ys) - min(ys) + 3
    scale = min(0.5, 16 / max(wide, high))
    figure = Figure(figsize=(max(5.0, wide * scale), max(3.5, high * scale) + 1.0), dpi=130)
    (FigureCanvasAgg if path.suffix.lower() == ".png" else FigureCanvasSVG)(figure)
    axes = figure.add_axes((0.02, 0.1, 0.96, 0.82))
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(min(xs) - 1.5, max(xs) + 1.5)
    axes.set_ylim(max(ys) + 1.5, min(ys) - 1.5)
    axes.set_title(title, color=_INK, fontsize=11)
    for (x, y), place in terrain.places.items():
        fill = _WALL if place.content == "wall" else _WALKED if place.visits else _SEEN
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=fill, ec="white", lw=0.6, zorder=1))
        if place.is_landmark:
            _thing(axes, x, y, place.content, bool(place.via))
        if place.label:
            axes.text(x, y, f"★\n{place.label}", ha="center", va="center", fontsize=7, color=_INK, zorder=5)
    for x, y in frontier(terrain):
        axes.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, fc="none", ec=_FRONTIER, ls=":", lw=1.1, zorder=2))
    _doubts(axes, terrain)
    if route is not None:
        where = {place.id: position for position, place in terrain.places.items()}
        line = [where[place] for place in route.places if place in where]
        axes.plot([x for x, _ in line], [y for _, y in line], color=_ROUTE, lw=2.2, marker=".", alpha=0.75, zorder=4)
    if pose is not None:
        dx, dy = HEADINGS[pose.heading]
        arrow = {"width": 0.14, "color": _INK, "zorder": 7, "length_includes_head": True}
        axes.arrow(pose.x - 0.3 * dx, pose.y - 0.3 * dy, 0.6 * dx, 0.6 * dy, **arrow)
    walked = sum(bool(place.visits) for place in terrain.places.values())
    figure.text(
        0.5,
        0.03,
        f"{len(terrain.places)} places: green walked ({walked}), pale only seen; dotted: not known yet"
        + ("; black: the route" if route else ""),
        ha="center",
        fontsize=8,
        color=_INK,
    )
    figure.savefig(path, bbox_inches="tight")


def _thing(axes: object, x: int, y: int, content: str, opens: bool) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    words = content.split()
    color = next((_COLORS[word] for word in words if word in _COLORS), _INK)
    marker = {"door": "D", "box": "s", "key": "^"}.get(words[-1], "o")
    axes.plot([x], [y], marker=marker, ms=9, color=color, mfc="none" if opens else color, mew=2, zorder=3)
    plate = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
    axes.text(x, y + 0.42, content, ha="center", va="center", fontsize=6, color=_INK, zorder=4, bbox=plate)


def _doubts(axes: object, terrain: Terrain) -> None:
    """Draw the steps that did not always succeed, with their probability of success."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    where = {place.id: position for position, place in terrain.places.items()}
    for (src, dst, _), edge in terrain.edges.items():
        if edge.successes == edge.tries or src not in where or dst not in where:
            continue
        (ax, ay), (bx, by) = where[src], where[dst]
        axes.plot([ax, bx], [ay, by], color=_DOUBT, lw=1.5, ls="--", zorder=2)
        axes.text(
            (ax + bx) / 2, (ay + by) / 2, f"{edge.success_prob:.0%}", fontsize=6, color=_DOUBT, ha="center", zorder=5
        )
