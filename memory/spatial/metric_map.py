"""A map of cells, as the place graph uses it: goals and routes over what a visit has mapped."""

from collections.abc import Sequence
from typing import NoReturn

from memory.errors import UnknownItemError
from memory.provenance import Provenance
from memory.spatial import goals
from memory.spatial.barriers import Barriers
from memory.spatial.config import Planner
from memory.spatial.goals import BESIDE, UNKNOWN, UNVISITED, Located
from memory.spatial.grid_map import GridMap, Terrain
from memory.spatial.metric import MetricWalk
from memory.spatial.names import place_name
from memory.spatial.planner import Route, beyond, facing_beside, plan_poses
from memory.spatial.search import distances
from memory.spatial.sighting import Sighting
from memory.spatial.view import Pose, Position, View
from memory.spatial.world_map import nothing_called
from memory.store import Store

_NAMED = 8
"""Most things that are named where one was not found."""


class MetricMap:
    """One visit to a world that is seen as cells.

    Args:
        store: The database.
        name: Name of the map of this visit.
        known: Names of the maps of earlier visits to this world.
        planner: How routes are searched.
        place: Id of the place one stands on, if one stands on a known map.
        pose: Where that is.

    Attributes:
        walk: Path integration, and which maps this visit lies on.
        portable: Names of things that can be picked up, as far as views of this visit told.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        known: list[str],
        planner: Planner,
        place: int | None = None,
        pose: Pose | None = None,
    ) -> None:
        self.store = store
        self.planner: Planner = planner
        self.place = place
        self.portable: set[str] = set()
        self.walk = MetricWalk(store, GridMap(store, name), known)
        if pose is not None:
            self.walk.pose = pose

    @property
    def name(self) -> str:
        """Name of the map."""
        return self.walk.grid.name

    @property
    def pose(self) -> Pose:
        """Where one stands."""
        return self.walk.pose

    @property
    def localized(self) -> bool:
        """Whether no map of an earlier visit is still waiting to be recognised."""
        return self.walk.localized

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] that one knows where one is on the maps of earlier visits; 1 without any."""
        return self.walk.confidence

    @property
    def terrain(self) -> Terrain:
        """What routes are planned over."""
        return self.walk.terrain

    def observe(self, context: str, view: View | None, action: str | None, origin: Provenance) -> Sighting | None:  # noqa: ARG002
        """Take in one view; returns ``None`` when it can't be seen from where one should be."""
        self.portable |= view.portable if view else set()
        sighting = self.walk.observe(view or View(()), action, origin)
        if sighting is not None:
            self.place = sighting.place
        return sighting

    def here(self) -> tuple[str, int, int]:
        """Return map and coordinates that the row of the place one stands on has, if nobody changed it."""
        return self.name, self.pose.x, self.pose.y

    def reread(self, known: list[str]) -> None:
        """Read the map and those of earlier visits again."""
        before = self.walk
        self.walk = MetricWalk(
            self.store, GridMap(self.store, self.name), [name for name in known if name != self.name]
        )
        self.walk.pose, self.walk.view, self.walk.reach = before.pose, before.view, before.reach

    def mark(self, label: str, origin: Provenance) -> None:
        """Label the place one stands on."""
        self.walk.grid.label((self.pose.x, self.pose.y), label, origin)

    def missed(self, label: str, origin: Provenance) -> None:
        """Note that what ``label`` stands for is not here; does nothing where it should not be."""
        self.walk.missed(label, origin)

    def goals(self) -> list[str]:
        """Return marks, things, kinds of things, and ``unvisited``, as far as the map has them."""
        return goals.names(self.terrain)

    def plan(self, goal: str) -> Route:
        """Return the cheapest known route to a goal; see :meth:`memory.spatial.PlaceGraph.plan`.

        Raises:
            UnknownItemError: Nothing has that name, or no known way leads there.
        """
        if goal == UNKNOWN:
            ends = [pose for at in beyond(self.terrain, self.pose) for pose in self.terrain.routes.standing_on(at)]
            return self._look() or self._barred(goal, ends)
        thing = goal.removeprefix(BESIDE)
        positions = [position for position, _ in goals.fitting(self.terrain, thing)]
        if not positions:
            nothing_called(self, self.store, thing)
        if thing == goal:
            return self._route(goal, positions)
        poses = facing_beside(self.terrain, positions)
        if not poses:
            raise UnknownItemError(f"no free cell is known beside {thing!r}: explore more")
        route = plan_poses(self.terrain, self.pose, goal, (), poses, self.planner)
        return route or self._barred(goal, [*poses, *self._before(positions)])

    def find(self, goal: str, carrying: str = "", spare: bool = False, actions: Sequence[str] = ()) -> Route:  # noqa: ARG002
        """Return the route to a thing, or what to do first; see :meth:`memory.spatial.PlaceGraph.find`.

        Raises:
            UnknownItemError: Nothing can be done.
        """
        barriers = Barriers(self.terrain, self.pose, frozenset(self.portable), carrying, goal.removeprefix(BESIDE))
        positions = [position for position, _ in goals.fitting(self.terrain, goal.removeprefix(BESIDE))]
        try:
            route = self.plan(goal)
        except UnknownItemError:
            pass
        else:
            return route if goal.startswith(BESIDE) or goal in (UNKNOWN, UNVISITED) else barriers.finished(route, spare)
        if (look := self._look()) is not None:
            return look
        unseen = [pose for at in beyond(self.terrain, self.pose) for pose in self.terrain.routes.standing_on(at)]
        ends = self._before(positions) or unseen
        if (step := barriers.first_step(ends)) is not None:
            return step
        try:
            return self.plan(UNVISITED)
        except UnknownItemError:
            raise UnknownItemError(self._lost(goal, bool(positions), barriers.told(ends))) from None

    def _lost(self, goal: str, known: bool, why: str) -> str:
        """Return in words why nothing leads to a goal."""
        seen = [name for name in goals.names(self.terrain) if name != UNVISITED]
        parts = [
            f"{goal} can't be reached" if known else f"{goal} was not seen",
            why or "all that can be reached was seen",
        ]
        return "; ".join([*parts, *([] if known else [f"seen: {', '.join(seen[:_NAMED]) or 'nothing'}"])])

    def plan_to(self, place: int) -> Route:
        """Return the cheapest known route to the place with an id.

        Raises:
            UnknownItemError: It is not on this map, or no known way leads there.
        """
        name = place_name(place)
        positions = [position for position, known in self.terrain.places.items() if known.id == place]
        if not positions:
            nothing_called(self, self.store, name)
        return self._route(name, positions)

    def _route(self, goal: str, positions: Sequence[Position]) -> Route:
        route = plan_poses(self.terrain, self.pose, goal, positions, (), self.planner)
        return route or self._barred(goal, self._before(positions))

    def _before(self, positions: Sequence[Position]) -> list[int]:
        return [pose for at in positions for pose in self.terrain.routes.standing_before(at)]

    def _barred(self, goal: str, ends: Sequence[int]) -> NoReturn:
        why = goals.barred(self.terrain, self.pose, ends)
        raise UnknownItemError(f"no known way leads to {goal!r} yet: {why}")

    def explore(self) -> Route:
        """Return the route to where most of the unknown comes into sight, else to the nearest unvisited place."""
        return self._look() or self.plan(UNVISITED)

    def _look(self) -> Route | None:
        """Return the route to where something unknown comes into sight."""
        poses = self.walk.look_next()
        return plan_poses(self.terrain, self.pose, UNKNOWN, (), poses, self.planner) if poses else None

    def where_is(self, what: str) -> list[Located]:
        """Return where things of that name or description were last seen, nearest first.

        Raises:
            UnknownItemError: Nothing fits.
        """
        terrain = self.terrain
        source = terrain.routes.number(self.pose)
        costs = None if source is None else distances(terrain.routes.matrix(), source)[0]
        located = []
        for position, place in goals.fitting(terrain, what):
            poses = terrain.routes.standing_before(position) + terrain.routes.standing_on(position)
            cost = min((float(costs[pose]) for pose in poses), default=float("inf")) if costs is not None else None
            reached = None if cost is None or cost == float("inf") else cost
            located.append(Located(place.content or place.label, place.id, self.name, reached, place.seen, position))
        if not located:
            nothing_called(self, self.store, what)
        return sorted(located, key=goals.nearness)
