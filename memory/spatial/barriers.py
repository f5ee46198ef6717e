"""What stands in the way of a goal on a map of cells, and what would open it: keys of locked doors, things to move."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory.spatial.grid_map import Place, Terrain
from memory.spatial.planner import Route, in_the_way, plan_poses
from memory.spatial.texts import words_of
from memory.spatial.view import HEADINGS, LEFT, OPEN, PUT, RIGHT, TAKE, Pose, Position

LOCKED = "locked"
"""First word of the name of a thing that a key opens: ``"locked red door"``."""

KEY = "key"


@dataclass(frozen=True, slots=True)
class Barriers:
    """Planner of what has to be done before a goal can be reached.

    Attributes:
        terrain: What is known.
        pose: Where one stands.
        portable: Names of things that can be picked up.
        carrying: Name of what one carries, empty for nothing.
    """

    terrain: Terrain
    pose: Pose
    portable: frozenset[str] = frozenset()
    carrying: str = ""

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

        Returns:
            ``None`` if the key was not seen or can't be reached.
        """
        content = self.terrain.places[door].content
        if opens(self.carrying, content):
            route = plan_poses(self.terrain, self.pose, content, [door])
            return None if route is None else _then(route, OPEN)
        keys = {at: place.content for at, place in self.terrain.places.items() if opens(place.content, content)}
        if not keys:
            return None
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
        """Return how to put down what is carried on a free cell beside one; ``None`` where none is free."""
        for turns in ((), (RIGHT,), (LEFT,), (RIGHT, RIGHT)):
            pose = self.pose.turned(sum(1 if turn == RIGHT else -1 for turn in turns))
            place = self.terrain.places.get(pose.at(1, 0))
            if place is not None and place.passable and not place.content and not self._narrow(pose.at(1, 0)):
                here = self.terrain.places[self.pose.x, self.pose.y].id
                actions = (*turns, PUT)
                return Route(self.carrying, actions, (here,), len(actions), (here,) * len(actions))
        return None

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
        """Return whether a thing on a cell would block a passage: a door is beside it, or walls on two sides."""
        around = [self.terrain.places.get((at[0] + dx, at[1] + dy)) for dx, dy in HEADINGS]
        doors = any(place is not None and "door" in words_of(place.content) for place in around)
        walls = [place is None or place.content == "wall" for place in around]
        return doors or (walls[0] and walls[2]) or (walls[1] and walls[3])


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
