"""Places without coordinates: rooms in a text world, steps of a procedure, pages of a document."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from memory import provenance
from memory.provenance import Provenance
from memory.spatial.search import SearchGraph
from memory.store import Store

RARE = 4
"""How many of the rarest words of an observation look for places like it."""


@dataclass(slots=True)
class TextPlace:
    """One row of ``places`` on a map without coordinates."""

    id: int
    context: str
    label: str
    visits: int
    words: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(slots=True)
class Way:
    """What one action came to from one place."""

    id: int
    dst: int
    cost: float
    tries: int
    successes: int

    @property
    def expected_cost(self) -> float:
        """Cost over Laplace-smoothed success."""
        return self.cost * (self.tries + 1) / (self.successes + 1)


def words_of(text: str) -> frozenset[str]:
    """The words and numbers of a text."""
    return frozenset(re.findall(r"\w+", text.lower()))


class TextMap:
    """The places and ways of one map without coordinates.

    Two observations are one place if their words are alike enough: more so when one came by a way that
    is not known yet, less so when a known way led there.

    Args:
        store: The database.
        name: Name of the map.
        similar: Least likeness in [0, 1] that makes an observation a known place.
        expected: Least likeness of the place that the way taken led to before.
    """

    def __init__(self, store: Store, name: str, similar: float, expected: float) -> None:
        self.store = store
        self.name = name
        self.similar = similar
        self.expected = expected
        self.places: dict[int, TextPlace] = {}
        self.ways: dict[tuple[int, str], list[Way]] = {}
        self.graph = SearchGraph()
        self._exact: dict[str, int] = {}
        self._with: dict[str, set[int]] = {}
        self._leads: dict[tuple[int, int], dict[str, Way]] = {}
        for row in store.db.execute(
            "SELECT id, context, label, visits FROM places WHERE map = ? AND context != '' ORDER BY id", (name,)
        ):
            self._note(TextPlace(*row))
        for src, action, *way in store.db.execute(
            "SELECT src, action, id, dst, cost, tries, successes FROM edges"
            " WHERE src IN (SELECT id FROM places WHERE map = ? AND context != '')", (name,),
        ):  # fmt: skip
            self.ways.setdefault((src, action), []).append(Way(*way))
            self._settle(src, action, self.ways[src, action][-1])

    def _note(self, place: TextPlace) -> None:
        place.words = words_of(place.context)
        self.places[place.id] = place
        self._exact[place.context] = place.id
        for word in place.words:
            self._with.setdefault(word, set()).add(place.id)

    def _settle(self, src: int, action: str, way: Way) -> None:
        """Bring the graph level with what is known of one way."""
        leads = self._leads.setdefault((src, way.dst), {})
        leads[action] = way
        self.graph.set(src, way.dst, min(found.expected_cost for found in leads.values()))

    def action(self, src: int, dst: int) -> str:
        """The cheapest action from one place to the next."""
        leads = self._leads[src, dst]
        return min(leads, key=lambda action: (leads[action].expected_cost, action))

    def likeness(self, words: frozenset[str], other: frozenset[str]) -> float:
        """Shared words over all words, each by its rarity on this map, in [0, 1]."""
        union = sum(map(self._rarity, words | other))
        return sum(map(self._rarity, words & other)) / union if union else 1.0

    def _rarity(self, word: str) -> float:
        return math.log(1.0 + (1 + len(self.places)) / (1 + len(self._with.get(word, ()))))

    def find(self, context: str, came: tuple[int, str] | None) -> TextPlace | None:
        """The known place that an observation shows, if any.

        Args:
            context: The observation, white space made plain.
            came: The place before and the action taken there.
        """
        exact = self._exact.get(context)
        if exact is not None:
            return self.places[exact]
        words = words_of(context)
        ahead = max(self.ways.get(came, ()), key=lambda w: w.successes, default=None) if came else None
        if ahead is not None and self.likeness(words, self.places[ahead.dst].words) >= self.expected:
            return self.places[ahead.dst]
        rare = sorted((w for w in words if w in self._with), key=lambda w: (len(self._with[w]), w))[:RARE]
        near = Counter(place for word in rare for place in self._with[word])
        best, best_place = 0.0, None
        for place, _ in near.most_common(32):
            likeness = self.likeness(words, self.places[place].words)
            if likeness > best:
                best, best_place = likeness, self.places[place]
        return best_place if best >= self.similar else None

    def observe(self, context: str, came: tuple[int, str] | None, origin: Provenance) -> TextPlace:
        """Take in one observation; returns the place that it shows."""
        db = self.store.db
        key = " ".join(context.split())
        place = self.find(key, came)
        fresh = place is None
        if place is None:
            cursor = db.execute(
                "INSERT INTO places(map, x, y, context, passable, content, label, visits, seen)"
                " VALUES (?, 0, 0, ?, 1, '', '', 1, ?)",
                (self.name, key, origin.time),
            )
            place = TextPlace(int(cursor.lastrowid or 0), key, "", 1)
            self._note(place)
        else:
            place.visits += 1
            db.execute("UPDATE places SET visits = ?, seen = ? WHERE id = ?", (place.visits, origin.time, place.id))
            origin = provenance.wordless(origin)
        provenance.add(db, ("places", place.id), origin, {"visits": 1}, fresh=fresh)
        if came:
            self._walked(came, place.id, provenance.wordless(origin))
        return place

    def _walked(self, came: tuple[int, str], dst: int, origin: Provenance) -> None:
        """Count one try of an action for every way it ever led; a success for this one."""
        db = self.store.db
        ways = self.ways.setdefault(came, [])
        before = max((way.tries for way in ways), default=0)
        for way in ways:
            success = int(way.dst == dst)
            way.tries += 1
            way.successes += success
            db.execute("UPDATE edges SET tries = ?, successes = ? WHERE id = ?", (way.tries, way.successes, way.id))
            provenance.add(db, ("edges", way.id), origin, {"tries": 1, "successes": success})
        if all(way.dst != dst for way in ways):
            cursor = db.execute(
                "INSERT INTO edges(src, dst, action, cost, tries, successes) VALUES (?, ?, ?, 1.0, ?, 1)",
                (came[0], dst, came[1], before + 1),
            )
            ways.append(Way(int(cursor.lastrowid or 0), dst, 1.0, before + 1, 1))
            provenance.add(db, ("edges", ways[-1].id), origin, {"tries": 1, "successes": 1}, fresh=True)
        for way in ways:
            self._settle(*came, way)

    def named(self, words: frozenset[str]) -> list[TextPlace]:
        """Places whose text holds all of these words."""
        found = [self._with.get(word, set()) for word in words]
        return [self.places[place] for place in sorted(set.intersection(*found))] if found else []
