"""Spatial memory (SMPD): where things are and how to get there."""

from memory.spatial.frame import Frame, Place, align
from memory.spatial.places import UNVISITED, PlaceGraph, Sighting
from memory.spatial.planner import Route, plan
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Cell, Pose, View

__all__ = [
    "FORWARD", "HEADINGS", "LEFT", "RIGHT", "UNVISITED", "Cell", "Frame", "Place", "PlaceGraph", "Pose",
    "Route", "Sighting", "View", "align", "plan",
]  # fmt: skip
