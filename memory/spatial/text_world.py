"""A map of texts, as the place graph uses it: goals and routes between rooms, steps or pages."""

from collections.abc import Sequence

from memory import provenance
from memory.errors import UnknownItemError
from memory.provenance import Provenance
from memory.spatial import goals
from memory.spatial.config import SpatialConfig
from memory.spatial.goals import UNKNOWN, UNVISITED, Located
from memory.spatial.names import place_name, place_number
from memory.spatial.planner import Route, plan_text
from memory.spatial.sighting import Sighting
from memory.spatial.texts import TextMap, TextPlace, words_of
from memory.spatial.view import Pose, View
from memory.spatial.world_map import nothing_called
from memory.store import Store

MAX_TITLES = 48
"""Places whose titles are offered as goals: the newest."""


class TextWorld:
    """One visit to a world whose places are texts.

    Args:
        store: The database.
        name: Name of the map.
        config: When texts are one place.
        place: Id of the place one stands on, if one stands on a known map.
    """

    pose: Pose | None = None
    localized = True
    confidence = 1.0

    def __init__(self, store: Store, name: str, config: SpatialConfig, place: int | None = None) -> None:
        self.store = store
        self.name = name
        self.config = config
        self.place = place
        self.texts = TextMap(store, name, config.similar, config.expected)

    def observe(self, context: str, view: View | None, action: str | None, origin: Provenance) -> Sighting:  # noqa: ARG002
        """Take in one text."""
        came = (self.place, action) if self.place is not None and action else None
        readable = context.encode(errors="replace").decode()
        self.place = self.texts.observe(readable, came, origin).id
        return Sighting(self.place, self.name, None)

    def here(self) -> tuple[str, int, int]:
        """Return map and coordinates that the row of the place one stands on has, if nobody changed it."""
        return self.name, 0, 0

    def reread(self, known: list[str]) -> None:  # noqa: ARG002
        """Read the map again; how steady words are is not read, but known better here."""
        before = self.texts
        self.texts = TextMap(self.store, self.name, self.config.similar, self.config.expected)
        self.texts.learn_from(before)

    def mark(self, label: str, origin: Provenance) -> None:
        """Label the place one stands on."""
        assert self.place is not None
        self.texts.places[self.place].label = label
        self.store.db.execute("UPDATE places SET label = ? WHERE id = ?", (label, self.place))
        provenance.add(self.store.db, ("places", self.place), origin, {"label": label})

    def missed(self, label: str, origin: Provenance) -> None:
        """Note that what ``label`` stands for is not here; does nothing where it should not be."""
        if self.place is not None and self.texts.places[self.place].label == label:
            self.mark("", origin)

    def goals(self) -> list[str]:
        """Return marks, and the beginnings of the texts of the newest places."""
        places = list(self.texts.places.values())
        titles = [goals.title(place.context) for place in places[-MAX_TITLES:] if place.id != self.place]
        return list(dict.fromkeys([*(place.label for place in places if place.label), *titles]))

    def plan(self, goal: str) -> Route:
        """Return the cheapest known route to a place.

        Raises:
            UnknownItemError: No place has that name, or no known way leads there.
        """
        if goal in (UNKNOWN, UNVISITED):
            return self.explore()
        return self._route(goal, [place.id for place in self._named(goal)])

    def find(self, goal: str, carrying: str = "", spare: bool = False, actions: Sequence[str] = ()) -> Route:  # noqa: ARG002
        """Return the route to what some words stand for; else an action not tried here, or where one was least.

        Raises:
            UnknownItemError: No other place can be reached by a known way.
        """
        try:
            return self.plan(goal)
        except UnknownItemError:
            pass
        assert self.place is not None
        tried = {action for place, action in self.texts.ways if place == self.place}
        if new := [action for action in actions if action not in tried]:
            return Route(UNKNOWN, (new[0],), (self.place,), 1.0, (self.place,))
        return self.explore()

    def plan_to(self, place: int) -> Route:
        """Return the cheapest known route to the place with an id.

        Raises:
            UnknownItemError: It is not on this map, or no known way leads there.
        """
        return self._route(place_name(place), [place] if place in self.texts.places else [])

    def _route(self, goal: str, places: list[int]) -> Route:
        assert self.place is not None
        if not places:
            nothing_called(self, self.store, goal)
        route = plan_text(self.texts, self.place, goal, places)
        if route is None:
            raise UnknownItemError(f"no known way leads to {goal!r} yet: explore more")
        return route

    def _named(self, goal: str) -> list[TextPlace]:
        """Return the places that a name or some words stand for."""
        number = place_number(goal)
        exact = [
            place
            for place in self.texts.places.values()
            if goal in (place.label, goals.title(place.context)) or place.id == number
        ]
        return exact or self.texts.named(words_of(goal))

    def explore(self) -> Route:
        """Return the route to the place that was visited least.

        Raises:
            UnknownItemError: No other place can be reached by a known way.
        """
        assert self.place is not None
        others = [place for place in self.texts.places.values() if place.id != self.place]
        for place in sorted(others, key=lambda place: (place.visits, place.id)):
            route = plan_text(self.texts, self.place, UNKNOWN, [place.id])
            if route is not None:
                return route
        raise UnknownItemError("no other place can be reached by a known way: try actions that you have not tried")

    def where_is(self, what: str) -> list[Located]:
        """Return where places of that name or description are, nearest first.

        Raises:
            UnknownItemError: Nothing fits.
        """
        assert self.place is not None
        located = goals.where_text(self.texts, self.place, self._named(what))
        if not located:
            nothing_called(self, self.store, what)
        return located
