"""What stands in the way of a goal on a map of cells, and what would open it: keys of locked doors, things to move."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from memory.spatial.grid_map import Place, Terrain
from memory.spatial.planner import Route, in_the_way, plan_poses
from memory.spatial.texts import words_of
from memory.spatial.view import LEFT, OPEN, PUT, RIGHT, TAKE, Pose, Position

LOCKED = "locked"
"""First word of the name of a thing that a key opens: ``"locked red door"``."""

KEY, BOX = "key", "box"


@dataclass(frozen=True, slots=True)
class Barriers:
    """Planner of what has to be done before a goal can be reached.

    Attributes:
        terrain: What is known.
        pose: Where one stands.
        portable: Names of things that can be picked up.
        carrying: Name of what one carries, empty for nothing.
        wanted: Name of the goal; a box of that name is not opened to look into it.
    """

    terrain: Terrain
    pose: Pose
    portable: frozenset[str] = frozenset()
    carrying: str = ""
    wanted: str = ""

    def first_step(self, ends: Sequence[int]) -> Route | None:
        """Return what to do first about what is in the way to some poses; ``None`` where nothing can be done.

        Args:
            ends: Numbers of the poses to reach.
        """
        for thing in in_the_way(self.terrain, self.pose, ends)[:1]:
            if is_locked(thing.content):
                return self.unlock(self._position(thing))
            if thing.content in self.portable:
                return self.put_down() if self.carrying else self._take([self._position(thing)], thing.content)
        return None

    def unlock(self, door: Position) -> Route | None:
        """Return the way to a locked thing, and opening it; without its key, the way to the key, and taking it.

        A key that was not seen may be in a box.

        Returns:
            ``None`` if the key was not seen or can't be reached, and there is no box to look into.
        """
        content = self.terrain.places[door].content
        if opens(self.carrying, content):
            route = plan_poses(self.terrain, self.pose, content, [door])
            return None if route is None else _then(route, OPEN)
        keys = {at: place.content for at, place in self.terrain.places.items() if opens(place.content, content)}
        if not keys:
            return self._look_into(at for at, place in self.terrain.places.items() if self._may_hold(place.content))
        return self.put_down() if self.carrying else self._take(list(keys), next(iter(keys.values())))

    def finished(self, route: Route, spare: bool) -> Route:
        """Return the route to a thing that can be reached, with what has to be done before or there.

        Args:
            route: The way to it.
            spare: Whether what is carried may be put down.
        """
        at = self._faced(route)
        thing = self.terrain.places.get(at)
        if thing is None or not thing.content:
            return route
        if is_locked(thing.content):
            return self.unlock(at) or route
        if not self.carrying and any(opens(thing.content, lock) for lock in self.locks()):
            return _then(route, TAKE)
        useful = any(opens(self.carrying, lock) for lock in self.locks())
        if thing.content in self.portable and self.carrying and spare and not useful:
            return self.put_down() or route
        return route

    def put_down(self) -> Route | None:
        """Return how to put down what is carried on the nearest free cell that is no passage; ``None`` without one."""
        routes, here = self.terrain.routes, (self.pose.x, self.pose.y)
        free = [
            at
            for at, place in self.terrain.places.items()
            if place.passable and not place.content and at != here and not self._narrow(at)
        ]
        poses = [pose for at in free for pose in routes.standing_before(at)]
        route = plan_poses(self.terrain, self.pose, self.carrying, (), poses)
        return None if route is None else _then(route, PUT)

    def locks(self) -> list[str]:
        """Return the names of the locked things on the map."""
        return [place.content for place in self.terrain.places.values() if is_locked(place.content)]

    def told(self, ends: Sequence[int]) -> str:
        """Return in words what is in the way to some poses and can't be opened or moved; empty if nothing is."""
        for thing in in_the_way(self.terrain, self.pose, ends)[:1]:
            if is_locked(thing.content) and not opens(self.carrying, thing.content):
                key = " ".join((*thing.content.split()[1:-1], KEY))
                return f"a {thing.content} is in the way, and no {key} was seen"
            return f"a {thing.content} is in the way"
        return ""

    def _may_hold(self, content: str) -> bool:
        return BOX in words_of(content) and not words_of(content) >= words_of(self.wanted)

    def _look_into(self, boxes: Iterable[Position]) -> Route | None:
        route = plan_poses(self.terrain, self.pose, BOX, list(boxes))
        return None if route is None else _then(route, OPEN)

    def _take(self, at: Sequence[Position], name: str) -> Route | None:
        route = plan_poses(self.terrain, self.pose, name, at)
        return None if route is None else _then(route, TAKE)

    def _position(self, thing: Place) -> Position:
        return next(at for at, place in self.terrain.places.items() if place.id == thing.id)

    def _faced(self, route: Route) -> Position:
        """Return the cell that one faces at the end of a route that does not enter its goal."""
        pose = self.pose
        for action in route.actions:
            if action in (LEFT, RIGHT):
                pose = pose.turned(1 if action == RIGHT else -1)
        last = next(at for at, place in self.terrain.places.items() if place.id == route.places[-1])
        return Pose(*last, pose.heading).at(1, 0)

    def _narrow(self, at: Position) -> bool:
        """Return whether a thing on a cell would cut off what is beside it: in a passage, before a door or a thing.

        Only the eight cells around count; what was not seen beside it may be a way.
        """
        ring = [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)]
        around = [self.terrain.places.get((at[0] + dx, at[1] + dy)) for dx, dy in ring]
        beside = range(0, len(ring), 2)
        free = [index in beside if p is None else p.content != "wall" for index, p in enumerate(around)]
        return sum(free[index] and not (free[index - 1] and free[index - 2]) for index in beside) > 1


def is_locked(content: str) -> bool:
    """Return whether a thing is locked, by its name."""
    return content.startswith(f"{LOCKED} ")


def opens(key: str, lock: str) -> bool:
    """Return whether a thing is a key to a locked thing: a ``"red key"`` to a ``"locked red door"``."""
    words = words_of(key)
    return KEY in words and words >= words_of(" ".join(lock.split()[1:-1]))


def _then(route: Route, action: str) -> Route:
    here = route.after[-1] if route.after else route.places[-1]
    return replace(route, actions=(*route.actions, action), cost=route.cost + 1, after=(*route.after, here))
