"""Where things are: a place graph learnt by walking."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from memory import provenance
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance, origin_of
from memory.spatial import goals
from memory.spatial.config import SpatialConfig
from memory.spatial.goals import BESIDE, UNKNOWN, UNVISITED, Located
from memory.spatial.grid_map import Frame
from memory.spatial.metric import MetricWalk, Sighting
from memory.spatial.names import place_name, place_number
from memory.spatial.planner import Route, beyond, facing_beside, plan_poses, plan_text
from memory.spatial.prune import prune
from memory.spatial.search import distances
from memory.spatial.texts import TextMap, TextPlace, words_of
from memory.spatial.view import Pose, View
from memory.store import Store

MAX_TITLES = 48

CHECKED_EVERY = 256
"""Observations after which the count of places is compared with the cap."""


class PlaceGraph:
    """Places, ways between them and things seen there, for any number of worlds.

    With a :class:`View`, places are cells of a metric map: position comes from path integration
    (one's own moves and what was seen ahead), never from the simulator. A world entered again is
    mapped in a frame of its own until landmarks show where that lies on an older map; then the two
    become one. Without a view, a place is a text, or texts alike, and edges are actions; that also
    serves for the steps of a procedure or the pages of a document.

    Attributes:
        world: The world one is in.
        place: Id of the place one stands on, ``None`` before the first observation.
        joins: How often the map under one's feet became another, so that ids of places changed.

    Args:
        store: The database.
        config: Settings.
    """

    def __init__(self, store: Store, config: SpatialConfig | None = None) -> None:
        self.store = store
        self.config = config or SpatialConfig()
        self.world = ""
        self.place: int | None = None
        self.joins = 0
        self._observed = 0
        self._name = ""
        self._walk: MetricWalk | None = None
        self._text: TextMap | None = None
        self._known: list[str] = []
        self._stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Count of places on all maps."""
        return int(self.store.db.execute("SELECT count(*) FROM places").fetchone()[0])

    @property
    def pose(self) -> Pose | None:
        """Where one stands, ``None`` on a map without coordinates."""
        return self._walk.pose if self._walk else None

    @property
    def walk(self) -> MetricWalk | None:
        """The visit to a world that is seen as cells, if this is one."""
        return self._walk

    @property
    def frame(self) -> Frame:
        """The map one is on, if it has coordinates.

        Raises:
            InvalidItemError: No world was entered yet, or it has no coordinates.
        """
        self._refresh()
        if self._walk is None:
            if self._name and self._text is None:
                return Frame(self.store, self._name)
            raise InvalidItemError("no world with coordinates was entered: call enter(world) and observe with a view")
        return self._walk.frame

    @property
    def localized(self) -> bool:
        """Whether no older map of this world is still waiting to be recognised."""
        return self._walk.localized if self._walk else not self._known

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] that one knows where one is on the maps of earlier visits; 1 without any."""
        return self._walk.confidence if self._walk else 1.0

    def enter(self, world: str) -> list[int]:
        """Begin a visit to ``world``, position unknown; returns ids of stale places that went.

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
        taken = {int(name.rpartition("#")[2]) for name in names if "#" in name}
        self._name = f"{world}#{max(taken, default=0) + 1}" if self._known else world
        self.world, self.place, self._walk, self._text = world, None, None, None
        self._stamp = self.store.stamp

    def _metric(self, names: Sequence[str]) -> list[str]:
        """Those of some maps that have coordinates."""
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
            near = difflib.get_close_matches(map_name, self.maps(), n=3, cutoff=0.3) or self.maps()[:5]
            raise UnknownItemError(f"no map is called {map_name!r}; there are: {', '.join(near) or 'none'}")
        found = next((row for row in rows if place is None or row[0] == place), None)
        if found is None:
            raise UnknownItemError(f"{place_name(place or 0)} is not on the map {map_name!r}")
        if not found[4]:
            raise InvalidItemError(f"nobody can stand on {place_name(found[0])}: something is there")
        self._begin(map_name.partition("#")[0])
        self._name, self.place = map_name, int(found[0])
        if found[3]:
            self._text = self._text_map()
            return
        others = [name for name in self._known if name != map_name]
        self._walk = MetricWalk(self.store, Frame(self.store, map_name), others)
        self._walk.pose = Pose(found[1], found[2], heading)

    def maps(self, world: str | None = None) -> list[str]:
        """Names of all maps, or of those of one world, oldest first."""
        rows = self.store.db.execute("SELECT map FROM places GROUP BY map ORDER BY min(id)")
        names = [str(row[0]) for row in rows.fetchall()]
        return [name for name in names if world is None or name.partition("#")[0] == world]

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
        if not self._name:
            raise InvalidItemError("no world was entered: call enter(world) first")
        with self.store.write():
            self._refresh()
            if self._lost():
                self._begin(self.world)
                action = None
            self._observed += 1
            if self._observed % CHECKED_EVERY == 0 and len(self) > self.config.max_places:
                prune(self.store, self.world, self.config.max_places, None)
                self.store.invalidate()
                self._refresh()
            if view is None and self._walk is None:
                return self._observe_text(context, action, origin)
            return self._observe_view(view or View(()), action, origin)

    def _refresh(self) -> None:
        """Read the maps again when another process wrote, or rows went or came in bulk."""
        stamp, self._stamp = self._stamp, self.store.stamp
        if self._stamp == stamp:
            return
        if self._walk is not None:
            pose, view, reach = self._walk.pose, self._walk.view, self._walk.reach
            known = [name for name in self._metric(self._known) if name != self._walk.frame.name]
            self._walk = MetricWalk(self.store, Frame(self.store, self._walk.frame.name), known)
            self._walk.pose, self._walk.view, self._walk.reach = pose, view, reach
        if self._text is not None:
            before, self._text = self._text, self._text_map()
            self._text.learn_from(before)

    def _text_map(self) -> TextMap:
        config = self.config
        return TextMap(self.store, self.world, config.similar, config.expected)

    def _observe_text(self, context: str, action: str | None, origin: Provenance) -> Sighting:
        if self._text is None:
            self._text = self._text_map()
        came = (self.place, action) if self.place is not None and action else None
        readable = context.encode(errors="replace").decode()
        self.place = self._text.observe(readable, came, origin).id
        return Sighting(self.place, self.world, None)

    def _observe_view(self, view: View, action: str | None, origin: Provenance) -> Sighting:
        if self._walk is None:
            if self._name in self._metric([self._name]):
                self._begin(self.world)  # another process took the name of our frame
            self._walk = MetricWalk(self.store, Frame(self.store, self._name), self._known)
        seen, lost = self._walk.observe(view, action, origin), False
        if seen is None:  # carried away, or mistaken about where one was: begin anew, and recognise
            self._begin(self.world)
            lost = True
            self._walk = MetricWalk(self.store, Frame(self.store, self._name), self._known)
            seen = self._walk.observe(view, None, origin)
            assert seen is not None
        self.place = seen.place
        if seen.relocalized or lost:
            self.joins += 1
            self._known = self._metric(self.maps(self.world))
        return replace(seen, lost=True) if lost else seen

    def _lost(self) -> bool:
        """Whether the place one stood on is gone or another: forgotten, restored, or never committed."""
        if self.place is None:
            return False
        row = self.store.db.execute("SELECT map, x, y FROM places WHERE id = ?", (self.place,)).fetchone()
        if row is None:
            return True
        walk = self._walk
        here = (self.world, 0, 0) if walk is None else (walk.frame.name, walk.pose.x, walk.pose.y)
        return tuple(row) != here

    def mark(self, label: str, origin: Provenance | str | None = None) -> None:
        """Label the place one stands on, for example as ``"goal"``; ``origin`` says who found it.

        Raises:
            InvalidItemError: Nothing was observed yet, or the label is empty.
        """
        if self.place is None or self._lost() or not label:
            raise InvalidItemError("mark needs a label and an observed place")
        with self.store.write() as db:
            self._refresh()
            if self._walk is not None:
                self._walk.frame.label((self._walk.pose.x, self._walk.pose.y), label, origin_of(origin))
                return
            assert self._text is not None
            self._text.places[self.place].label = label
            db.execute("UPDATE places SET label = ? WHERE id = ?", (label, self.place))
            provenance.add(db, ("places", self.place), origin_of(origin), {"label": label})

    def missed(self, label: str, origin: Provenance | str | None = None) -> None:
        """Tell that what ``label`` stands for is not here, where it should be; elsewhere it does nothing."""
        if self.place is None or self._lost():
            return
        with self.store.write() as db:
            self._refresh()
            if self._walk is not None:
                self._walk.missed(label, origin_of(origin))
            elif self._text is not None and self._text.places[self.place].label == label:
                self._text.places[self.place].label = ""
                db.execute("UPDATE places SET label = '' WHERE id = ?", (self.place,))
                provenance.add(db, ("places", self.place), origin_of(origin), {"label": ""})

    def goals(self) -> list[str]:
        """What :meth:`plan` can be asked for on this map: marks, things, kinds of things, ``unvisited``.

        On a map without coordinates: marks, and the beginnings of the texts of the newest places.
        """
        self._refresh()
        if self._walk is None:
            found = list(self._text.places.values()) if self._text else []
            titles = [goals.title(p.context) for p in found[-MAX_TITLES:] if p.id != self.place]
            return list(dict.fromkeys([*(p.label for p in found if p.label), *titles]))
        return goals.names(self._walk.terrain)

    def plan(self, goal: str) -> Route:
        """The cheapest known route from here to ``goal``; to ``unknown``, the one that shows most for its cost.

        Args:
            goal: A mark, a thing, words that describe it, ``"place 12"``, ``"unvisited"`` or
                ``"unknown"``; ``"beside red box"`` leads to where one faces a free cell next to that.

        Raises:
            UnknownItemError: Nothing on this map has that name, or no known way leads there; the message
                names things that are in the way.
        """
        self._refresh()
        if self.place is None:
            raise UnknownItemError(f"the map is empty: nothing was observed yet, so no way to {goal!r} is known")
        ends: list[int] = []
        if self._walk is None:
            route = self._plan_text(goal)
        elif goal == UNKNOWN:
            route, routes = self._look(), self._walk.terrain.routes
            ends = [pose for at in beyond(self._walk.terrain, self._walk.pose) for pose in routes.standing_on(at)]
        else:
            thing = goal.removeprefix(BESIDE)
            positions = [position for position, _ in goals.fitting(self._walk.terrain, thing)] or self._nothing(thing)
            beside = thing != goal
            poses = facing_beside(self._walk.terrain, positions) if beside else []
            if beside and not poses:
                raise UnknownItemError(f"no free cell is known beside {thing!r}: explore more")
            route = plan_poses(self._walk.terrain, self._walk.pose, goal, () if beside else positions, poses)
            ends = [*poses, *(pose for at in positions for pose in self._walk.terrain.routes.standing_before(at))]
        if route is None:
            why = goals.barred(self._walk.terrain, self._walk.pose, ends) if self._walk else "explore more"
            raise UnknownItemError(f"no known way leads to {goal!r} yet: {why}")
        return route

    def _nothing(self, goal: str) -> NoReturn:
        raise goals.unknown(self.store, self._name, goal, self.goals())

    def _named(self, goal: str) -> list[TextPlace]:
        assert self._text is not None
        number = place_number(goal)
        exact = [p for p in self._text.places.values() if goal in (p.label, goals.title(p.context)) or p.id == number]
        return exact or self._text.named(words_of(goal))

    def _plan_text(self, goal: str) -> Route | None:
        assert self._text is not None
        assert self.place is not None
        if goal in (UNKNOWN, UNVISITED):
            return self.explore()
        places = self._named(goal)
        if not places:
            self._nothing(goal)
        return plan_text(self._text, self.place, goal, [place.id for place in places])

    def explore(self) -> Route:
        """The way to where most of the unknown comes into sight for its cost.

        Where nothing unknown is left, the way to the nearest place that was never stood on; on a map
        without coordinates, to the place that was visited least.

        Raises:
            UnknownItemError: Nothing was observed yet, or everything was seen and stood on.
        """
        self._refresh()
        if self.place is None:
            raise UnknownItemError("the map is empty: nothing was observed yet")
        if self._walk is None:
            assert self._text is not None
            others = [place for place in self._text.places.values() if place.id != self.place]
            for place in sorted(others, key=lambda p: (p.visits, p.id)):
                route = plan_text(self._text, self.place, UNKNOWN, [place.id])
                if route is not None:
                    return route
            raise UnknownItemError("no other place can be reached by a known way: try actions that you have not tried")
        return self._look() or self.plan(UNVISITED)

    def _look(self) -> Route | None:
        """The way to where something unknown comes into sight."""
        assert self._walk is not None
        poses = self._walk.look_next()
        return plan_poses(self._walk.terrain, self._walk.pose, UNKNOWN, (), poses) if poses else None

    def where_is(self, what: str) -> list[Located]:
        """Where things of that name or description were last seen on this map, nearest first.

        Raises:
            UnknownItemError: Nothing on this map fits.
        """
        self._refresh()
        if self._walk is None:
            found = goals.where_text(self._text, self.place, self._named(what)) if self._text and self.place else []
            return found or self._nothing(what)
        terrain = self._walk.terrain
        source = terrain.routes.number(self._walk.pose)
        costs = None if source is None else distances(terrain.routes.matrix(), source)[0]
        located = []
        for position, place in goals.fitting(terrain, what):
            poses = terrain.routes.standing_before(position) + terrain.routes.standing_on(position)
            cost = min((float(costs[pose]) for pose in poses), default=float("inf")) if costs is not None else None
            reached = None if cost is None or cost == float("inf") else cost
            located.append(
                Located(place.content or place.label, place.id, self._walk.frame.name, reached, place.seen, position)
            )
        return sorted(located, key=goals.nearness) or self._nothing(what)
