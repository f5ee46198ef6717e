"""Which tails of one relation can't hold at once: two towns, but not a town and the country that it lies in."""

from memory.relational.aliases import Aliases
from memory.relational.language.places import lies_in
from memory.relational.names import WHERE
from memory.store import Store

_INSIDE = ("located_in", "part_of")
_DEEPEST = 4
"""Greatest number of steps from a place to the area around it."""


class Exclusion:
    """Test of whether two tails of a functional relation exclude each other.

    Args:
        store: The database.
        aliases: Groups of names that stand for one entity.
    """

    def __init__(self, store: Store, aliases: Aliases) -> None:
        self.store = store
        self.aliases = aliases

    def excludes(self, relation: str, one: str, other: str) -> bool:
        """Return whether two tails can't hold at once: not if they are one entity, or a place and the area around it.

        Args:
            relation: A functional relation.
            one: Normalised name.
            other: Normalised name.
        """
        if self.aliases.entity(one) == self.aliases.entity(other):
            return False
        return relation not in WHERE or not (self._within(one, other) or self._within(other, one))

    def _within(self, place: str, area: str) -> bool:
        """Return whether a place lies in an area, by the facts of the graph or the map of the world."""
        areas, inside = self.aliases.names(area), [place]
        for _ in range(_DEEPEST):
            names = [name for one in inside for name in self.aliases.names(one)]
            rows = self.store.db.execute(
                f"SELECT DISTINCT tail FROM facts WHERE head IN ({', '.join('?' * len(names))})"
                f" AND relation IN ({', '.join('?' * len(_INSIDE))}) AND valid_to IS NULL LIMIT 50",
                (*names, *_INSIDE),
            )
            inside = [tail for (tail,) in rows]
            if any(tail in areas or lies_in(tail, area) for tail in inside):
                return True
            if not inside:
                break
        return lies_in(place, area)
