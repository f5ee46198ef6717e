"""Where things are: a place graph learnt by walking."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from memory.errors import InvalidItemError, UnknownItemError
from memory.nearest import nearest
from memory.provenance import Provenance, origin_of
from memory.spatial.config import SpatialConfig
from memory.spatial.goals import Located
from memory.spatial.grid_map import GridMap
from memory.spatial.metric import MetricWalk
from memory.spatial.metric_map import MetricMap
from memory.spatial.names import place_name
from memory.spatial.planner import Route
from memory.spatial.prune import prune
from memory.spatial.sighting import Sighting
from memory.spatial.text_world import TextWorld
from memory.spatial.texts import words_of
from memory.spatial.view import Pose, View
from memory.spatial.world_map import EmptyMap, WorldMap
from memory.store import Store

CHECKED_EVERY = 256
"""Observations after which the count of places is compared with the cap."""

PLAIN_WORLD = "world"
"""Name of the world of a plain observation that names none."""


class PlaceGraph:
    """Places, ways between them and things seen there, for any number of worlds.

    With a :class:`View`, places are cells of a metric map: position comes from path integration
    (one's own moves and what was seen ahead), never from the simulator. A world entered again is
    mapped in coordinates of its own until landmarks show where that lies on an older map; then the two
    become one. Without a view, a place is a text, or texts alike, and edges are actions; that also
    serves for the steps of a procedure or the pages of a document.

    Args:
        store: The database.
        config: Settings.

    Attributes:
        world: The world one is in.
        joins: How often the map under one's feet became another, so that ids of places changed.
    """

    def __init__(self, store: Store, config: SpatialConfig | None = None) -> None:
        self.store = store
        self.config = config or SpatialConfig()
        self.world = ""
        self.joins = 0
        self._observed = 0
        self._map: WorldMap = EmptyMap(store, "", [])
        self._known: list[str] = []
        self._stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Return the count of places on all maps."""
        return int(self.store.db.execute("SELECT count(*) FROM places").fetchone()[0])

    @property
    def place(self) -> int | None:
        """Id of the place one stands on, ``None`` before the first observation."""
        return self._map.place

    @property
    def pose(self) -> Pose | None:
        """Where one stands, ``None`` on a map without coordinates."""
        return self._map.pose

    @property
    def walk(self) -> MetricWalk | None:
        """The visit to a world that is seen as cells, if this is one."""
        return self._map.walk if isinstance(self._map, MetricMap) else None

    @property
    def grid_map(self) -> GridMap:
        """The map one is on, if it has coordinates.

        Raises:
            InvalidItemError: No world was entered yet, or it has no coordinates.
        """
        self._refresh()
        if isinstance(self._map, MetricMap):
            return self._map.walk.grid
        if isinstance(self._map, EmptyMap) and self._map.name:
            return GridMap(self.store, self._map.name)
        raise InvalidItemError("no world with coordinates was entered: call enter(world) and observe with a view")

    @property
    def localized(self) -> bool:
        """Whether no older map of this world is still waiting to be recognised."""
        return self._map.localized

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] that one knows where one is on the maps of earlier visits; 1 without any."""
        return self._map.confidence

    def enter(self, world: str) -> list[int]:
        """Begin a visit to ``world``, position unknown; returns the ids of stale places that were removed.

        Raises:
            InvalidItemError: An empty name, one with a ``#``, or one that is no valid Unicode.
        """
        if not world or "#" in world or world != world.encode(errors="replace").decode():
            raise InvalidItemError(f"a world's name must be non-empty, valid Unicode and without '#', got {world!r}")
        gone = prune(self.store, world, self.config.max_places, self.config.ttl_days)
        self._begin(world)
        return gone

    def _begin(self, world: str) -> None:
        """Begin a visit: on a map of its own if there are maps of the world already."""
        names = self.maps(world)
        self._known = self._metric(names)
        numbers = {int(name.rpartition("#")[2]) for name in names if "#" in name}
        name = f"{world}#{max(numbers, default=0) + 1}" if self._known else world
        self.world, self._map = world, EmptyMap(self.store, name, self._known)
        self._stamp = self.store.stamp

    def _metric(self, names: Sequence[str]) -> list[str]:
        """Return those of some maps that have coordinates."""
        rows = self.store.db.execute("SELECT DISTINCT map FROM places WHERE context = ''")
        cells = {row[0] for row in rows.fetchall()}
        return [name for name in names if name in cells]

    def stand(self, map_name: str, place: int | None = None, heading: int = 0) -> None:
        """Stand on a known place, as if one had just come there: to plan, or to go on where one left off.

        Args:
            map_name: One of :meth:`maps`.
            place: Id of a place on it that can be stood on; the one visited most by default.
            heading: 0 to 3, clockwise, on a map with coordinates.

        Raises:
            UnknownItemError: There is no such map, or no such place on it.
            InvalidItemError: Nobody can stand there, or the heading is another number.
        """
        if heading not in range(4):
            raise InvalidItemError(f"heading must be 0 to 3, clockwise, got {heading}")
        rows = self.store.db.execute(
            "SELECT id, x, y, context, passable FROM places WHERE map = ? ORDER BY visits DESC, id", (map_name,)
        ).fetchall()
        if not rows:
            near = nearest(map_name, self.maps(), least=0.3) or self.maps()[:5]
            raise UnknownItemError(f"no map is called {map_name!r}; there are: {', '.join(near) or 'none'}")
        row = next((row for row in rows if place is None or row[0] == place), None)
        if row is None:
            raise UnknownItemError(f"{place_name(place or 0)} is not on the map {map_name!r}")
        number, x, y, context, passable = row
        if not passable:
            raise InvalidItemError(f"nobody can stand on {place_name(number)}: something is there")
        self._begin(map_name.partition("#")[0])
        if context:
            self._map = self._text_world(int(number))
            return
        others = [name for name in self._known if name != map_name]
        self._map = MetricMap(self.store, map_name, others, self.config.planner, int(number), Pose(x, y, heading))

    def maps(self, world: str | None = None) -> list[str]:
        """Return the names of all maps, or of those of one world, oldest first."""
        rows = self.store.db.execute("SELECT map FROM places GROUP BY map ORDER BY min(id)")
        names = [str(row[0]) for row in rows.fetchall()]
        return [name for name in names if world is None or name.partition("#")[0] == world]

    @overload
    def observe(
        self,
        context: str,
        view: View | None = None,
        action: str | None = None,
        *,
        origin: Provenance | str | None = None,
    ) -> Sighting: ...
    @overload
    def observe(self, context: Mapping[str, Any], *, origin: Provenance | str | None = None) -> int: ...

    def observe(
        self,
        context: str | Mapping[str, Any],
        view: View | None = None,
        action: str | None = None,
        *,
        origin: Provenance | str | None = None,
    ) -> Sighting | int:
        """Take in one observation and the action that led to it.

        The plain form takes a mapping and returns the id of the place one stands on: ``observe({"text": "You are in
        the hall.", "action": "north"})``. Its keys are ``text``, ``view`` (as ``info["view"]`` has it), ``action`` and
        ``world``, which is entered if one is not in it; any other keys are part of the text.

        Args:
            context: The observation's text; it identifies the place in a world without views.
            view: The cells perceived, if the environment tells; once one came, a missing one
                means that nothing was seen.
            action: Name of one's own last action, ``None`` at the start.
            origin: Where the observation came from; the caller's line of code by default.

        Raises:
            InvalidItemError: No world was entered.
        """
        if not isinstance(context, str):
            if not isinstance(context, Mapping) or view is not None or action is not None:
                raise InvalidItemError(
                    "observe takes a text with a view and an action, or a mapping that holds all three, "
                    f"got {context!r}, {view!r}, {action!r}"
                )
            return self._observe_plain(context, origin_of(origin))
        if not self._map.name:
            raise InvalidItemError("no world was entered: call enter(world) first")
        origin = origin_of(origin)
        with self.store.write():
            self._refresh()
            if self._moved_away():
                self._begin(self.world)
                action = None
            self._observed += 1
            if self._observed % CHECKED_EVERY == 0 and len(self) > self.config.max_places:
                prune(self.store, self.world, self.config.max_places, None)
                self.store.invalidate()
                self._refresh()
            return self._observe(context, view, action, origin)

    def _observe_plain(self, context: Mapping[str, Any], origin: Provenance) -> int:
        plain = dict(context)
        world = str(plain.pop("world", None) or self.world or PLAIN_WORLD)
        view, action = plain.pop("view", None), plain.pop("action", None)
        text = plain.pop("text", None)
        words = [] if text is None else [str(text)]
        words += [f"{name}: {value}" for name, value in plain.items()]
        seen = view if view is None or isinstance(view, View) else View.parse(view)
        if world != self.world:
            self.enter(world)
        return self.observe(". ".join(words), seen, None if action is None else str(action), origin=origin).place

    def _observe(self, context: str, view: View | None, action: str | None, origin: Provenance) -> Sighting:
        if view is not None and not isinstance(self._map, MetricMap):
            self._map = self._metric_map(self._map.name)
        elif isinstance(self._map, EmptyMap):
            self._map = self._text_world()
        sighting, lost = self._map.observe(context, view, action, origin), False
        if sighting is None:  # carried away, or mistaken about where one was: begin anew, and recognise
            self._begin(self.world)
            self._map, lost = self._metric_map(self._map.name), True
            sighting = self._map.observe(context, view, None, origin)
            assert sighting is not None
        if sighting.relocalized or lost:
            self.joins += 1
            self._known = self._metric(self.maps(self.world))
        return replace(sighting, lost=True) if lost else sighting

    def _metric_map(self, name: str) -> MetricMap:
        if name in self._metric([name]):
            self._begin(self.world)  # another process took the name of our map
        return MetricMap(self.store, self._map.name, self._known, self.config.planner)

    def _text_world(self, place: int | None = None) -> TextWorld:
        made = TextWorld(self.store, self.world, self.config, place)
        made.localized = not self._known
        return made

    def _refresh(self) -> None:
        """Read the map again when another process wrote, or rows went or came in bulk."""
        stamp, self._stamp = self._stamp, self.store.stamp
        if self._stamp != stamp:
            self._map.reread(self._metric(self._known))

    def _moved_away(self) -> bool:
        """Return whether the place one stood on is gone or another: forgotten, restored, or never committed."""
        if self.place is None:
            return False
        row = self.store.db.execute("SELECT map, x, y FROM places WHERE id = ?", (self.place,)).fetchone()
        return row is None or tuple(row) != self._map.here()

    def mark(self, label: str, origin: Provenance | str | None = None) -> None:
        """Label the place one stands on, for example as ``"goal"``; ``origin`` says who found it.

        Raises:
            InvalidItemError: Nothing was observed yet, or the label is empty.
        """
        if self.place is None or self._moved_away() or not label:
            raise InvalidItemError("mark needs a label and an observed place")
        with self.store.write():
            self._refresh()
            self._map.mark(label, origin_of(origin))

    def missed(self, label: str, origin: Provenance | str | None = None) -> None:
        """Note that what ``label`` stands for is not here, where it should be; elsewhere it does nothing."""
        if self.place is None or self._moved_away():
            return
        with self.store.write():
            self._refresh()
            self._map.missed(label, origin_of(origin))

    def goals(self) -> list[str]:
        """Return what :meth:`plan` can be asked for on this map: marks, things, kinds of things, ``unvisited``.

        On a map without coordinates: marks, and the beginnings of the texts of the newest places.
        """
        self._refresh()
        return self._map.goals()

    @overload
    def plan(self, start: str) -> Route: ...
    @overload
    def plan(self, *, goal: str) -> Route: ...
    @overload
    def plan(self, start: int, goal: int) -> list[int]: ...

    def plan(self, start: str | int | None = None, goal: str | int | None = None) -> Route | list[int]:
        """Return the cheapest known route from here to a goal; to ``unknown``, the one that shows most for its cost.

        The plain form, ``plan(start, goal)`` with the ids of two places, returns the ids of the places on the way,
        both included; to a thing or a wall, the way ends on the place before it.

        Args:
            start: Id of the place to start from, or, alone, the goal.
            goal: A mark, a thing, words that describe it, ``"place 12"``, ``"unvisited"`` or
                ``"unknown"``; ``"beside red box"`` leads to where one faces a free cell next to that.

        Raises:
            UnknownItemError: Nothing on this map has that name, or no known way leads there; the message
                names things that are in the way.
            InvalidItemError: Neither a goal nor two places.
        """
        if isinstance(start, int | np.integer) and isinstance(goal, int | np.integer):
            return self._plan_between(int(start), int(goal))
        wanted = goal if start is None else start
        if not isinstance(wanted, str) or (start is not None and goal is not None):
            raise InvalidItemError(f"plan takes a goal, or the ids of two places, got {start!r} and {goal!r}")
        self._refresh()
        return self._map.plan(wanted)

    def _plan_between(self, start: int, goal: int) -> list[int]:
        """Return the places on the way from one place to another, whatever way one faces at the start."""
        row = self.store.db.execute("SELECT map FROM places WHERE id = ?", (start,)).fetchone()
        if row is None:
            raise UnknownItemError(f"there is no {place_name(start)}: observe something there first")
        elsewhere = PlaceGraph(self.store, self.config)
        elsewhere.stand(row[0], start)
        return list(elsewhere._map.plan_to(goal).places)

    def find(self, goal: str, carrying: str = "", spare: bool = False, actions: Sequence[str] = ()) -> Route:
        """Return the route to a thing, or, where it was not seen or can't be reached, what to do first.

        On a map of cells that is, in this order: look where something unknown comes into sight; fetch the key of a
        locked door that is in the way, or open the door with it; carry away what is in the way; go where nobody
        stood. A route may then end with taking, putting down or opening something, and is named after that thing. On
        a map without coordinates it is the place that was visited least.

        Args:
            goal: As for :meth:`plan`.
            carrying: Name of what one carries; empty for nothing.
            spare: Whether what is carried may be put down, if it opens nothing that is known.
            actions: What can be done now; on a map without coordinates, one that was not tried here comes before the
                place that was visited least.

        Raises:
            UnknownItemError: Nothing of that can be done; the message says what is known and what is in the way.
        """
        self._refresh()
        return self._map.find(goal, carrying, spare, actions)

    def excerpt(self, words: str) -> str:
        """Return the sentence of the text of this place that has the most of some words; empty if none has any."""
        row = self.store.db.execute("SELECT context FROM places WHERE id = ?", (self.place,)).fetchone()
        sentences = re.split(r"(?<=[.!?])\s+", row[0]) if row else []
        best = max(sentences, key=lambda sentence: len(words_of(words) & words_of(sentence)), default="")
        return best if words_of(words) & words_of(best) else ""

    def explore(self) -> Route:
        """Return the route to where most of the unknown comes into sight for its cost.

        Where nothing unknown is left, the route to the nearest place that was never stood on; on a map
        without coordinates, to the place that was visited least.

        Raises:
            UnknownItemError: Nothing was observed yet, or everything was seen and stood on.
        """
        self._refresh()
        return self._map.explore()

    def where_is(self, what: str) -> list[Located]:
        """Return where things of that name or description were last seen on this map, nearest first.

        Raises:
            UnknownItemError: Nothing on this map fits.
        """
        self._refresh()
        return self._map.where_is(what)
