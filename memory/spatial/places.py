"""Where things are: a place graph learnt by walking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import networkx as nx

from memory import provenance
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance, origin_of
from memory.spatial.frame import Frame, Joined, Place, align
from memory.spatial.planner import Route, plan
from memory.spatial.view import FORWARD, LEFT, RIGHT, Pose, View
from memory.store import Store

UNVISITED = "unvisited"
"""Goal that stands for the nearest place that was seen but never stood on."""


_Seen = tuple[str, int]
_Shortest = tuple[dict[int, float], dict[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one observation changed on the map.

    Attributes:
        place: Id of the place one stands on.
        map: Name of the map it is on.
        pose: Where that is, or ``None`` on a map without coordinates.
        relocalized: Whether a map of an earlier visit was just recognised.
        appeared: ``(what, place id)`` of things seen where they were not known to be.
        vanished: ``(what, place id)`` of things no longer where they were.
        renamed: New ids of places that turned out to be known ones.
    """

    place: int
    map: str
    pose: Pose | None
    relocalized: bool = False
    appeared: tuple[_Seen, ...] = ()
    vanished: tuple[_Seen, ...] = ()
    renamed: Mapping[int, int] = field(default_factory=dict)


class PlaceGraph:
    """Places, ways between them and things seen there, for any number of worlds.

    With a :class:`View`, places are cells of a metric map: position comes from path integration
    (one's own moves and what was seen ahead), never from the simulator. A world entered again is
    mapped in a frame of its own until landmarks show where that lies on an older map; then the two
    become one. Without a view, a place is a distinct observation text and edges are actions.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.world = ""
        self.pose: Pose | None = None
        self.place: int | None = None
        self._frame: Frame | None = None
        self._known: list[str] = []
        self._view: View | None = None
        self._stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Count of places on all maps."""
        return int(self.store.db.execute("SELECT count(*) FROM places").fetchone()[0])

    @property
    def frame(self) -> Frame:
        """The map one is on.

        Raises:
            InvalidItemError: No world was entered yet.
        """
        if self._frame is None:
            raise InvalidItemError("no world was entered: call enter(world) first")
        if self.store.stamp != self._stamp:
            self._frame = Frame(self.store, self._frame.name)
            self._stamp = self.store.stamp
        return self._frame

    def enter(self, world: str) -> None:
        """Begin a visit to ``world``, position unknown.

        Raises:
            InvalidItemError: An empty name, or one with a ``#``.
        """
        if not world or "#" in world:
            raise InvalidItemError(f"a world's name must be non-empty and without '#', got {world!r}")
        rows = self.store.db.execute(
            "SELECT DISTINCT map FROM places WHERE map = ? OR map GLOB ? ORDER BY id",
            (world, world.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]") + "#*"),
        )
        self._known = [row[0] for row in rows.fetchall()]
        taken = {int(name.rpartition("#")[2]) for name in self._known if "#" in name}
        name = f"{world}#{max(taken, default=0) + 1}" if self._known else world
        self.world, self.pose, self.place, self._view = world, Pose(0, 0, 0), None, None
        self._stamp = self.store.stamp
        self._frame = Frame(self.store, name)

    def observe(
        self, context: str, view: View | None = None, action: str | None = None, *, origin: Provenance
    ) -> Sighting:
        """Take in one observation and the action that led to it.

        Args:
            context: The observation's text; it identifies the place in a world without views.
            view: The cells perceived, if the environment tells; once one came, a missing one
                means that nothing was seen.
            action: Name of one's own last action, ``None`` at the start.
            origin: Where the observation came from.

        Raises:
            InvalidItemError: No world was entered.
        """
        if self._frame is None:
            raise InvalidItemError("no world was entered: call enter(world) first")
        with self.store.write():
            if self._lost():
                self.enter(self.world)
                action = None
            if view is None and self._view is None:
                return self._observe_text(context, action, origin)
            if self._view is None and self.frame.places:
                self.enter(self.world)  # another process took the name of our frame
            return self._observe_view(self.frame, view or View(()), action, origin)

    def _observe_text(self, context: str, action: str | None, origin: Provenance) -> Sighting:
        db, name = self.store.db, self.world
        key = " ".join(context.split())
        row = db.execute("SELECT id FROM places WHERE map = ? AND context = ?", (name, key)).fetchone()
        if row is None:
            cursor = db.execute(
                "INSERT INTO places(map, x, y, context, passable, content, label, visits)"
                " VALUES (?, 0, 0, ?, 1, '', '', 1)",
                (name, key),
            )
            place = int(cursor.lastrowid or 0)
        else:
            place = int(row[0])
            db.execute("UPDATE places SET visits = visits + 1 WHERE id = ?", (place,))
            origin = provenance.wordless(origin)
        provenance.add(db, ("places", place), origin, {"visits": 1}, fresh=row is None)
        if self.place is not None and action:
            self._walked(self.place, place, action, origin)
        self.place, self.pose = place, None
        return Sighting(place, name, None)

    def _walked(self, src: int, dst: int, action: str, origin: Provenance) -> None:
        """Count one try of ``action`` for every way it ever led from ``src``; a success for this one."""
        db, origin = self.store.db, provenance.wordless(origin)
        known = db.execute("SELECT id, dst, tries FROM edges WHERE src = ? AND action = ?", (src, action)).fetchall()
        for edge_id, led_to, _ in known:
            success = int(led_to == dst)
            db.execute("UPDATE edges SET tries = tries + 1, successes = successes + ? WHERE id = ?", (success, edge_id))
            provenance.add(db, ("edges", edge_id), origin, {"tries": 1, "successes": success})
        if all(led_to != dst for _, led_to, _ in known):
            tries = 1 + max((tries for *_, tries in known), default=0)
            cursor = db.execute(
                "INSERT INTO edges(src, dst, action, cost, tries, successes) VALUES (?, ?, ?, 1.0, ?, 1)",
                (src, dst, action, tries),
            )
            edge = ("edges", int(cursor.lastrowid or 0))
            provenance.add(db, edge, origin, {"tries": 1, "successes": 1}, fresh=True)

    def _observe_view(self, frame: Frame, view: View, action: str | None, origin: Provenance) -> Sighting:
        before = self.pose or Pose(0, 0, 0)
        pose = self._moved(before, action)
        appeared: list[_Seen] = []
        vanished: list[_Seen] = []
        for cell in view.cells:
            position = pose.at(cell.forward, cell.right)
            was = frame.see(position, cell.content, cell.passable, origin)
            if was == cell.content:
                continue
            place = frame.places[position]
            if place.is_landmark:
                appeared.append((cell.content, place.id))
            if was not in (None, "", "wall"):
                vanished.append((str(was), place.id))
        if action == FORWARD:
            frame.tried((before.x, before.y), before.at(1, 0), FORWARD, pose != before, origin)
        if (pose.x, pose.y) not in frame.places:
            frame.see((pose.x, pose.y), "", True, origin)
        frame.visit((pose.x, pose.y), origin)
        self.pose, self._view = pose, view
        here = self.frame
        joined = self._relocalize(origin)
        renamed = joined.renamed if joined else {}
        if joined:
            landmarks = [(p.content, p.id) for p in here.places.values() if p.is_landmark and p.id in renamed]
            appeared += landmarks
            vanished += [*landmarks, *joined.replaced]
        self.place = self.frame.places[self.pose.x, self.pose.y].id
        return Sighting(
            place=self.place,
            map=self.frame.name,
            pose=self.pose,
            relocalized=joined is not None,
            appeared=tuple(dict.fromkeys((what, renamed.get(place, place)) for what, place in appeared)),
            vanished=tuple(dict.fromkeys(vanished)),
            renamed=renamed,
        )

    def _lost(self) -> bool:
        """Whether the place one stood on is gone or another: forgotten, restored, or never committed."""
        if self.place is None:
            return False
        row = self.store.db.execute("SELECT map, x, y FROM places WHERE id = ?", (self.place,)).fetchone()
        if row is None:
            return True
        here = (self.world, 0, 0) if self.pose is None else (self.frame.name, self.pose.x, self.pose.y)
        return tuple(row) != here

    def _moved(self, pose: Pose, action: str | None) -> Pose:
        """Path integration: the pose after one's own action."""
        if action == LEFT:
            return pose.turned(-1)
        if action == RIGHT:
            return pose.turned(1)
        if action == FORWARD and self._view is not None and self._view.ahead_passable:
            return pose.advanced()
        return pose

    def _relocalize(self, origin: Provenance) -> Joined | None:
        """Recognise an older map of this world and go on there; tells what became of the places."""
        here = self.frame
        for name in self._known:
            known = Frame(self.store, name)
            move = align(here, known)
            if move is None or self.pose is None:
                continue
            joined = known.absorb(here, move, origin)
            x, y = move.apply((self.pose.x, self.pose.y))
            self.pose = Pose(x, y, (self.pose.heading + move.quarter_turns) % 4)
            self._frame = known
            self._known = [other for other in self._known if other != name]
            return joined
        return None

    @property
    def localized(self) -> bool:
        """Whether no older map of this world is still waiting to be recognised."""
        return not self._known

    def mark(self, label: str, origin: Provenance | str | None = None) -> None:
        """Label the place one stands on, for example as ``"goal"``; ``origin`` says who found it.

        Raises:
            InvalidItemError: Nothing was observed yet, or the label is empty.
        """
        if self.place is None or self._lost() or not label:
            raise InvalidItemError("mark needs a label and an observed place")
        with self.store.write() as db:
            if self.pose is not None:
                self.frame.label((self.pose.x, self.pose.y), label, origin_of(origin))
                return
            db.execute("UPDATE places SET label = ? WHERE id = ?", (label, self.place))
            provenance.add(db, ("places", self.place), origin_of(origin), {"label": label})

    def goals(self) -> list[str]:
        """What :meth:`plan` can be asked for on this map: marks, things, ``unvisited``."""
        if self.pose is None:
            rows = self.store.db.execute(
                "SELECT DISTINCT label FROM places WHERE map = ? AND label != '' ORDER BY id", (self.world,)
            )
            return [row[0] for row in rows.fetchall()]
        places = self.frame.places.values()
        names = [p.label for p in places if p.label] + [p.content for p in places if p.is_landmark]
        if any(p.passable and not p.visits for p in places):
            names.append(UNVISITED)
        return list(dict.fromkeys(names))

    def plan(self, goal: str) -> Route:
        """The cheapest known route from here to ``goal``.

        Raises:
            UnknownItemError: Nothing on this map has that name, or no known way leads there.
        """
        if goal not in self.goals():
            known = ", ".join(self.goals()) or "nothing yet"
            raise UnknownItemError(f"no place called {goal!r} on this map; known: {known}")
        if self.pose is None:
            return self._plan_text(goal)

        def wanted(place: Place) -> bool:
            if goal == UNVISITED:
                return place.passable and not place.visits
            return goal in (place.label, place.content)

        targets = [position for position, place in self.frame.places.items() if wanted(place)]
        route = plan(self.frame, self.pose, goal, targets)
        if route is None:
            raise UnknownItemError(f"no known way leads to {goal!r} yet: explore more")
        return route

    def _plan_text(self, goal: str) -> Route:
        db = self.store.db
        graph: nx.DiGraph[int] = nx.DiGraph()
        assert self.place is not None
        graph.add_node(self.place)
        for src, dst, action, cost, tries, successes in db.execute(
            "SELECT src, dst, action, cost, tries, successes FROM edges"
            " WHERE src IN (SELECT id FROM places WHERE map = ?)",
            (self.world,),
        ):
            weight = cost * (tries + 1) / (successes + 1)
            if weight < graph.get_edge_data(src, dst, {"weight": float("inf")})["weight"]:
                graph.add_edge(src, dst, weight=weight, action=action)
        rows = db.execute("SELECT id FROM places WHERE map = ? AND label = ?", (self.world, goal))
        costs, paths = cast(_Shortest, nx.single_source_dijkstra(graph, self.place))
        reached = [row[0] for row in rows.fetchall() if row[0] in costs]
        if not reached:
            raise UnknownItemError(f"no known way leads to {goal!r} yet: explore more")
        best = min(reached, key=lambda place: (costs[place], place))
        actions = tuple(graph.edges[a, b]["action"] for a, b in pairwise(paths[best]))
        return Route(goal, actions, tuple(paths[best]), float(costs[best]))
