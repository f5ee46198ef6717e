"""Places without coordinates: rooms in a text world, steps of a procedure, pages of a document."""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field

from memory import provenance
from memory.provenance import Provenance
from memory.spatial.search import SearchGraph
from memory.store import Store


def words_of(text: str) -> frozenset[str]:
    """Return the words and numbers of a text, in lower case."""
    return frozenset(re.findall(r"\w+", text.lower()))


_NUMBER = re.compile(r"\b\d+\b")

NO_WORDS = "(nothing)"
"""Context of an observation without words."""

MANY = 48
"""Greatest number of places that an observation is compared with; those that share its rarest words."""

FEW = 8
"""On a map of fewer places, similarity is unreliable: a place with a changed text is then only found by a known
way."""

FUNCTION_WORDS = words_of(
    "a an the of in on at to into onto and or but is are was were be been being you your it its this that "
    "these those there here with by for from as i me my we our he she they his her their one some"
)
"""Words that say nothing about the place."""


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
    """Edge of a map without coordinates: a place that one action has led to from another place."""

    id: int
    dst: int
    cost: float
    tries: int
    successes: int

    def expected_cost(self, tries: int) -> float:
        """Return the cost divided by the Laplace-smoothed success rate, given the number of tries of the action."""
        return self.cost * (tries + 1) / (self.successes + 1)


class TextMap:
    """The places and ways of one map without coordinates.

    Two different texts show the same place if their words are similar enough. A lower similarity is enough if
    a known way led there, or if both texts share a word that no other place has. They show different places if
    most of the words that only the known place has are missing, or if the numbers differ: steps 3 and 4 of a
    procedure stay two places. A word has more weight if it is rare on the map, and if it was still there
    whenever a place was seen again: words about weather and passers-by soon have little weight.

    Args:
        store: The database.
        name: Name of the map.
        similar: Least similarity in [0, 1] at which an observation counts as a known place.
        expected: The same for a place that the action led to before, or that shares with the observation a
            word that no other place has.
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
        self._steadiness = f"steady words: {name}"
        self._kept: Counter[str] = Counter()
        self._changed: Counter[str] = Counter()
        for word, (kept, changed) in json.loads(store.meta(self._steadiness) or "{}").items():
            self._kept[word], self._changed[word] = kept, changed
        self._revisits = 0
        self._leads: dict[tuple[int, int], dict[str, float]] = {}
        for row in store.db.execute(
            "SELECT id, context, label, visits FROM places WHERE map = ? AND context != '' ORDER BY id", (name,)
        ):
            self._note(TextPlace(*row))
        for src, action, *way in store.db.execute(
            "SELECT src, action, id, dst, cost, tries, successes FROM edges"
            " WHERE src IN (SELECT id FROM places WHERE map = ? AND context != '')",
            (name,),
        ):
            self.ways.setdefault((src, action), []).append(Way(*way))
        for src, action in self.ways:
            self._update_edge(src, action)

    def _note(self, place: TextPlace) -> None:
        place.words = words_of(place.context)
        self.places[place.id] = place
        self._exact[place.context] = place.id
        for word in place.words:
            self._with.setdefault(word, set()).add(place.id)

    def _update_edge(self, src: int, action: str) -> None:
        """Update the costs in the graph for all ways of one action; each try of the action took one way."""
        ways = self.ways[src, action]
        tries = sum(way.successes for way in ways)
        for way in ways:
            leads = self._leads.setdefault((src, way.dst), {})
            leads[action] = way.expected_cost(tries)
            self.graph.set(src, way.dst, min(leads.values()))

    def action(self, src: int, dst: int) -> str:
        """Return the cheapest action from one place to the next."""
        leads = self._leads[src, dst]
        return min(leads, key=lambda action: (leads[action], action))

    def likeness(self, words: frozenset[str], other: frozenset[str]) -> float:
        """Return the weighted Jaccard similarity of two sets of words, in [0, 1]; weights are those of this map."""
        union = sum(map(self._weight, words | other))
        return sum(map(self._weight, words & other)) / union if union else 1.0

    def _weight(self, word: str) -> float:
        """Return the inverse frequency of a word among places, times the square of its steadiness."""
        if word in FUNCTION_WORDS:
            return 0.05
        rarity = math.log(1.0 + (1 + len(self.places)) / (1 + len(self._with.get(word, ()))))
        kept, changed = self._kept[word], self._changed[word]
        return rarity * ((kept + 2.0) / (kept + changed + 2.0)) ** 2

    def _steady(self, words: frozenset[str], other: frozenset[str]) -> None:
        """Count, for a place that was seen again, which words stayed and which changed."""
        self._kept.update(words & other)
        self._changed.update(words ^ other)
        self._revisits += 1
        if self._revisits & (self._revisits - 1) == 0 or self._revisits % 4096 == 0:  # at 1, 2, 4, 8 ... revisits
            self.keep()

    def learn_from(self, other: "TextMap") -> None:
        """Take over the steadiness of words from an older object of the same map."""
        self._kept, self._changed, self._revisits = other._kept, other._changed, other._revisits

    def keep(self) -> None:
        """Store the steadiness of words in the database."""
        words = self._kept.keys() | self._changed.keys()
        held = {
            word: [self._kept[word], self._changed[word]]
            for word in words
            if self._kept[word] + self._changed[word] > 1
        }
        self.store.set_meta(self._steadiness, json.dumps(held))

    def find(self, context: str, came: tuple[int, str] | None) -> TextPlace | None:
        """Return the known place that an observation shows, or ``None``.

        Args:
            context: The observation with normalised white space.
            came: The previous place and the action taken there.
        """
        exact = self._exact.get(context)
        if exact is not None:
            return self.places[exact]
        words = words_of(context)
        led = [way.dst for way in self.ways.get(came, ())] if came else []
        sharing: list[int] = []
        if len(self.places) >= FEW:
            for word in sorted(words & self._with.keys(), key=lambda w: (len(self._with[w]), w)):
                if len(sharing) + len(self._with[word]) > MANY:
                    break
                sharing += self._with[word]
        best, best_place = 0.0, None
        for place in dict.fromkeys([*led, *sharing]):
            other = self.places[place]
            likeness = self.likeness(words, other.words)
            least = self.expected if place in led or self._alone(words & other.words) else self.similar
            if likeness >= max(least, best) and not self._contradicts(context, words, other):
                best, best_place = likeness, other
        return best_place

    def _contradicts(self, context: str, words: frozenset[str], other: TextPlace) -> bool:
        """Return whether most words that only the other place has are missing, or its steady numbers differ."""
        own = [word for word in other.words if len(self._with[word]) == 1 and self._is_steady(word)]
        weight = sum(map(self._weight, own))
        if weight and sum(self._weight(word) for word in own if word in words) < 0.5 * weight:
            return True
        seen, its = ([n for n in _NUMBER.findall(text) if self._is_steady(n)] for text in (context, other.context))
        return bool(seen and its) and seen != its

    def _is_steady(self, word: str) -> bool:
        return self._changed[word] <= self._kept[word]

    def _alone(self, shared: frozenset[str]) -> bool:
        """Return whether one of these words is steady and only one place has it."""
        return any(len(self._with[word]) == 1 and self._is_steady(word) for word in shared)

    def observe(self, context: str, came: tuple[int, str] | None, origin: Provenance) -> TextPlace:
        """Record one observation and return the place that it shows, new or known."""
        db = self.store.db
        key = " ".join(context.split()) or NO_WORDS
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
            self._steady(words_of(key), place.words)
            place.visits += 1
            db.execute("UPDATE places SET visits = ?, seen = ? WHERE id = ?", (place.visits, origin.time, place.id))
            origin = provenance.wordless(origin)
        provenance.add(db, ("places", place.id), origin, {"visits": 1}, fresh=fresh)
        if came:
            self._walked(came, place.id, provenance.wordless(origin))
        return place

    def _walked(self, came: tuple[int, str], dst: int, origin: Provenance) -> None:
        """Count one try for every known way of the action, and a success for the way that it led this time."""
        db = self.store.db
        ways = self.ways.setdefault(came, [])
        for way in ways:
            success = int(way.dst == dst)
            way.tries += 1
            way.successes += success
            db.execute("UPDATE edges SET tries = ?, successes = ? WHERE id = ?", (way.tries, way.successes, way.id))
            provenance.add(db, ("edges", way.id), origin, {"tries": 1, "successes": success})
        if all(way.dst != dst for way in ways):
            cursor = db.execute(
                "INSERT INTO edges(src, dst, action, cost, tries, successes) VALUES (?, ?, ?, 1.0, 1, 1)",
                (came[0], dst, came[1]),
            )
            ways.append(Way(int(cursor.lastrowid or 0), dst, 1.0, 1, 1))
            provenance.add(db, ("edges", ways[-1].id), origin, {"tries": 1, "successes": 1}, fresh=True)
        self._update_edge(*came)

    def named(self, words: frozenset[str]) -> list[TextPlace]:
        """Return the places whose text contains all of these words."""
        holders = [self._with.get(word, set()) for word in words]
        return [self.places[place] for place in sorted(set.intersection(*holders))] if holders else []
