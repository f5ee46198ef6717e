"""Spatial memory (SMPD: spatial map with replay-to-policy distillation): where things are, how to get there."""

import memory.spatial.table  # noqa: F401 - declares its tables
from memory.spatial.config import SpatialConfig
from memory.spatial.goals import UNKNOWN, UNVISITED, Located
from memory.spatial.grid_map import Edge, GridMap, Place, Terrain, Transform
from memory.spatial.localize import Belief
from memory.spatial.names import place_name, place_number
from memory.spatial.places import PlaceGraph
from memory.spatial.planner import CUT, THERE, Route, astar, plan_poses, to_networkx
from memory.spatial.search import SearchGraph
from memory.spatial.sighting import Sighting
from memory.spatial.view import FORWARD, HEADINGS, LEFT, RIGHT, Cell, Pose, Position, View

__all__ = [
    "CUT",
    "FORWARD",
    "HEADINGS",
    "LEFT",
    "RIGHT",
    "THERE",
    "UNKNOWN",
    "UNVISITED",
    "Belief",
    "Cell",
    "Edge",
    "GridMap",
    "Located",
    "Place",
    "PlaceGraph",
    "Pose",
    "Position",
    "Route",
    "SearchGraph",
    "Sighting",
    "SpatialConfig",
    "Terrain",
    "Transform",
    "View",
    "astar",
    "place_name",
    "place_number",
    "plan_poses",
    "to_networkx",
]
