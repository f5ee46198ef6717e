"""Spatial memory (SMPD): where things are and how to get there."""

from memory.spatial.frame import Frame, Place, align
from memory.spatial.macros import Macro, MacroLib, Step
from memory.spatial.names import place_name
from memory.spatial.places import UNVISITED, PlaceGraph, Sighting
from memory.spatial.planner import Route, plan
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Cell, Pose, View

__all__ = [
    "FORWARD", "HEADINGS", "LEFT", "RIGHT", "UNVISITED", "Cell", "Frame", "Macro", "MacroLib", "Place",
    "PlaceGraph", "Pose", "Route", "Sighting", "Step", "View", "align", "place_name", "plan",
]  # fmt: skip
