"""The tables of the map: places and edges."""

from collections.abc import Mapping
from typing import Any

from memory.tables import References, Remaining, Table, Values, declare


def _recompute_place(row: Remaining) -> Values:
    """Recompute content, label and the way to enter a place from the latest origin that contributed each of them."""
    latest: Values = {}
    for said in row.by_time():
        latest |= {name: said[name] for name in ("content", "passable", "via", "label") if name in said}
    if "content" not in latest:
        latest = {name: value for name, value in latest.items() if name == "label"}
    lost_label = row.gone and any("label" in said for said in row.contributions)
    if lost_label and not any("label" in said for said in row.said):
        latest["label"] = ""
    return latest


def _follow_place(values: Mapping[str, Any], references: References) -> Values:
    return {"map": references.map_name(values["map"])}


def _follow_edge(values: Mapping[str, Any], references: References) -> Values:
    return {end: references.id("places", values[end]) for end in ("src", "dst")}


PLACES = declare(
    Table(
        "places",
        ("map", "x", "y", "context"),
        counters={"visits": "visits"},
        recompute=_recompute_place,
        follow=_follow_place,
    )
)
EDGES = declare(
    Table(
        "edges",
        ("src", "dst", "action"),
        counters={"tries": "tries", "successes": "successes"},
        refers_to=("places",),
        follow=_follow_edge,
    )
)
