"""The map that one is on, whatever it is made of: what the place graph needs of it."""

from collections.abc import Sequence
from typing import NoReturn, Protocol

from memory.errors import UnknownItemError
from memory.provenance import Provenance
from memory.spatial import goals
from memory.spatial.goals import Located
from memory.spatial.names import place_name
from memory.spatial.planner import Route
from memory.spatial.sighting import Sighting
from memory.spatial.view import Pose, View
from memory.store import Store


class WorldMap(Protocol):
    """The map of one visit to a world: of cells (:class:`MetricMap`), of texts (:class:`TextWorld`), or none yet."""

    @property
    def name(self) -> str:
        """Name of the map."""
        ...

    @property
    def place(self) -> int | None:
        """Id of the place one stands on, ``None`` before the first observation."""
        ...

    @property
    def pose(self) -> Pose | None:
        """Where one stands, ``None`` on a map without coordinates."""
        ...

    @property
    def localized(self) -> bool:
        """Whether no map of an earlier visit is still waiting to be recognised."""
        ...

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] that one knows where one is on the maps of earlier visits; 1 without any."""
        ...

    def observe(self, context: str, view: View | None, action: str | None, origin: Provenance) -> Sighting | None:
        """Take in one observation; returns ``None`` when it can't be made from where one should be."""
        ...

    def here(self) -> tuple[str, int, int]:
        """Return map and coordinates that the row of the place one stands on has, if nobody changed it."""
        ...

    def reread(self, known: list[str]) -> None:
        """Read the map again, after others changed rows.

        Args:
            known: Names of the maps of earlier visits.
        """
        ...

    def mark(self, label: str, origin: Provenance) -> None:
        """Label the place one stands on."""
        ...

    def missed(self, label: str, origin: Provenance) -> None:
        """Note that what ``label`` stands for is not here; does nothing where it should not be."""
        ...

    def goals(self) -> list[str]:
        """Return what :meth:`plan` can be asked for."""
        ...

    def plan(self, goal: str) -> Route:
        """Return the cheapest known route to a goal.

        Raises:
            UnknownItemError: Nothing has that name, or no known way leads there.
        """
        ...

    def find(self, goal: str, carrying: str = "", spare: bool = False, actions: Sequence[str] = ()) -> Route:
        """Return the route to a thing, or what to do first to find or reach it.

        Raises:
            UnknownItemError: Nothing can be done.
        """
        ...

    def plan_to(self, place: int) -> Route:
        """Return the cheapest known route to the place with an id.

        Raises:
            UnknownItemError: It is not on this map, or no known way leads there.
        """
        ...

    def explore(self) -> Route:
        """Return the route to where most is unknown.

        Raises:
            UnknownItemError: Nothing is left to explore.
        """
        ...

    def where_is(self, what: str) -> list[Located]:
        """Return where things of that name or description were last seen, nearest first.

        Raises:
            UnknownItemError: Nothing fits.
        """
        ...


class EmptyMap:
    """The map before the first observation: nothing is known yet.

    Args:
        store: The database.
        name: Name of the map that the first observation begins.
        known: Names of the maps of earlier visits.
    """

    place: int | None = None
    pose: Pose | None = None
    confidence = 1.0

    def __init__(self, store: Store, name: str, known: list[str]) -> None:
        self.store = store
        self.name = name
        self.localized = not known

    def observe(self, context: str, view: View | None, action: str | None, origin: Provenance) -> Sighting | None:
        """Refuse: the place graph begins a map with the first observation."""
        raise NotImplementedError

    def here(self) -> tuple[str, int, int]:
        """Return the name of the map to be; nobody stands on it."""
        return self.name, 0, 0

    def reread(self, known: list[str]) -> None:
        """Do nothing: there is nothing to read."""

    def mark(self, label: str, origin: Provenance) -> None:
        """Do nothing: nobody stands anywhere."""

    def missed(self, label: str, origin: Provenance) -> None:
        """Do nothing: nobody stands anywhere."""

    def goals(self) -> list[str]:
        """Return nothing."""
        return []

    def plan(self, goal: str) -> Route:
        """Raise: no way is known."""
        raise UnknownItemError(f"the map is empty: nothing was observed yet, so no way to {goal!r} is known")

    def find(self, goal: str, carrying: str = "", spare: bool = False, actions: Sequence[str] = ()) -> Route:  # noqa: ARG002
        """Raise: no way is known."""
        return self.plan(goal)

    def plan_to(self, place: int) -> Route:
        """Raise: no way is known."""
        return self.plan(place_name(place))

    def explore(self) -> Route:
        """Raise: nothing was observed."""
        raise UnknownItemError("the map is empty: nothing was observed yet")

    def where_is(self, what: str) -> list[Located]:
        """Raise: nothing is known."""
        nothing_called(self, self.store, what)


def nothing_called(world_map: WorldMap, store: Store, goal: str) -> NoReturn:
    """Raise the error that a goal is not on a map, with the names that are like it.

    Raises:
        UnknownItemError: Always.
    """
    raise goals.unknown(store, world_map.name, goal, world_map.goals())
