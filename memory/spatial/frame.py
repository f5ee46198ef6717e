"""One map: the places of one coordinate frame, in main memory and in SQLite."""

from dataclasses import dataclass

from memory import provenance
from memory.provenance import Provenance
from memory.spatial.view import HEADINGS
from memory.store import Store

Position = tuple[int, int]


@dataclass(slots=True)
class Place:
    """One row of ``places``; ``label`` is empty or a mark such as ``"goal"``."""

    id: int
    passable: bool
    content: str
    label: str
    visits: int

    @property
    def is_landmark(self) -> bool:
        """Whether something other than wall or floor is there."""
        return self.content not in ("", "wall")


@dataclass(slots=True)
class Edge:
    """What walking from one place to another came to."""

    cost: float = 1.0
    tries: int = 0
    successes: int = 0

    @property
    def success_prob(self) -> float:
        """Laplace-smoothed share of tries that succeeded; 1 before the first try."""
        return (self.successes + 1) / (self.tries + 1)

    @property
    def expected_cost(self) -> float:
        """Cost over success probability."""
        return self.cost / self.success_prob


class Frame:
    """The places and edges of one map, read from SQLite and written through to it.

    Args:
        store: The database.
        name: Name of the map.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self._told: set[tuple[int, str, str]] = set()
        rows = store.db.execute(
            "SELECT x, y, id, passable, content, label, visits FROM places WHERE map = ? AND context = '' ORDER BY id",
            (name,),
        )
        self.places = {(r[0], r[1]): Place(r[2], bool(r[3]), r[4], r[5], r[6]) for r in rows.fetchall()}
        self.edges = {
            (r[0], r[1], r[2]): Edge(r[3], r[4], r[5])
            for r in store.db.execute(
                "SELECT src, dst, action, cost, tries, successes FROM edges"
                " WHERE src IN (SELECT id FROM places WHERE map = ? AND context = '')",
                (name,),
            )
        }

    def see(self, position: Position, content: str, passable: bool, origin: Provenance) -> str | None:
        """Put what is seen at ``position`` on the map; returns what was known of it, if anything."""
        place = self.places.get(position)
        if place is None:
            cursor = self.store.db.execute(
                "INSERT INTO places(map, x, y, context, passable, content, label, visits)"
                " VALUES (?, ?, ?, '', ?, ?, '', 0)",
                (self.name, *position, passable, content),
            )
            place = Place(int(cursor.lastrowid or 0), passable, content, "", 0)
            self.places[position] = place
            said = {"content": content, "passable": int(passable)}
            provenance.add(self.store.db, ("places", place.id), origin, said, fresh=True)
            self._told.add((place.id, origin.source, origin.doc_id))
            return None
        before = place.content
        told = (place.id, origin.source, origin.doc_id)
        if told not in self._told:
            self._told.add(told)
            said = {"content": content, "passable": int(passable)}
            provenance.add(self.store.db, ("places", place.id), provenance.wordless(origin), said)
        if (place.content, place.passable) != (content, passable):
            place.content, place.passable = content, passable
            self.store.db.execute(
                "UPDATE places SET content = ?, passable = ? WHERE id = ?", (content, passable, place.id)
            )
            said = {"content": content, "passable": int(passable)}
            provenance.add(self.store.db, ("places", place.id), origin, said)
        return before

    def visit(self, position: Position, origin: Provenance) -> Place:
        """Count one visit to a place that has been seen."""
        place = self.places[position]
        place.visits += 1
        self.store.db.execute("UPDATE places SET visits = ? WHERE id = ?", (place.visits, place.id))
        provenance.add(self.store.db, ("places", place.id), provenance.wordless(origin), {"visits": 1})
        return place

    def label(self, position: Position, label: str, origin: Provenance) -> None:
        """Mark a place, for example as ``"goal"``."""
        place = self.places[position]
        place.label = label
        self.store.db.execute("UPDATE places SET label = ? WHERE id = ?", (label, place.id))
        provenance.add(self.store.db, ("places", place.id), origin, {"label": label})

    def tried(self, source: Position, target: Position, action: str, success: bool, origin: Provenance) -> None:
        """Count one try to walk from ``source`` to ``target``."""
        if source not in self.places or target not in self.places:
            return
        key = (self.places[source].id, self.places[target].id, action)
        known = key in self.edges
        edge = self.edges.setdefault(key, Edge())
        edge.tries += 1
        edge.successes += success
        if known:
            self.store.db.execute(
                "UPDATE edges SET tries = ?, successes = ? WHERE src = ? AND dst = ? AND action = ?",
                (edge.tries, edge.successes, *key),
            )
        else:
            self.store.db.execute(
                "INSERT INTO edges(src, dst, action, cost, tries, successes) VALUES (?, ?, ?, ?, ?, ?)",
                (*key, edge.cost, edge.tries, edge.successes),
            )
        find = "SELECT id FROM edges WHERE src = ? AND dst = ? AND action = ?"
        edge_id = self.store.db.execute(find, key).fetchone()[0]
        said = {"tries": 1, "successes": int(success)}
        provenance.add(self.store.db, ("edges", edge_id), provenance.wordless(origin), said, fresh=not known)

    def absorb(self, other: "Frame", move: "Transform", origin: Provenance) -> "Joined":
        """Take in another frame's places, moved into this one's coordinates; the other is gone then.

        Rows keep their ids, origins and edges where this frame has nothing; where it has a place
        already, the two become that one.
        """
        db = self.store.db
        renamed: dict[int, int] = {}
        replaced = []
        for position, place in other.places.items():
            x, y = target = move.apply(position)
            mine = self.places.get(target)
            if mine is None:
                db.execute("UPDATE places SET map = ?, x = ?, y = ? WHERE id = ?", (self.name, x, y, place.id))
                self.places[target] = place
                continue
            if mine.content != place.content and mine.is_landmark:
                replaced.append((mine.content, mine.id))
            self.see(target, place.content, place.passable, origin)
            mine.visits += place.visits
            mine.label = mine.label or place.label
            db.execute("UPDATE places SET visits = ?, label = ? WHERE id = ?", (mine.visits, mine.label, mine.id))
            provenance.repoint(db, "places", place.id, mine.id)
            renamed[place.id] = mine.id
        self._absorb_edges(other, renamed)
        db.executemany("DELETE FROM places WHERE id = ?", [(old,) for old in renamed])
        return Joined(renamed, replaced)

    def _absorb_edges(self, other: "Frame", renamed: dict[int, int]) -> None:
        db = self.store.db
        for (src, dst, action), edge in other.edges.items():
            new = (renamed.get(src, src), renamed.get(dst, dst), action)
            find = "SELECT id FROM edges WHERE src = ? AND dst = ? AND action = ?"
            edge_id = db.execute(find, (src, dst, action)).fetchone()[0]
            mine = self.edges.get(new)
            if mine is None:
                self.edges[new] = edge
                db.execute("UPDATE edges SET src = ?, dst = ? WHERE id = ?", (*new[:2], edge_id))
                continue
            mine.tries += edge.tries
            mine.successes += edge.successes
            my_id = db.execute(find, new).fetchone()[0]
            db.execute("UPDATE edges SET tries = ?, successes = ? WHERE id = ?", (mine.tries, mine.successes, my_id))
            provenance.repoint(db, "edges", edge_id, my_id)
            db.execute("DELETE FROM edges WHERE id = ?", (edge_id,))


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of the places of a frame that was absorbed.

    Attributes:
        renamed: New id of each place that became one with a known place.
        replaced: ``(what, place id)`` of known things that are no longer where they were.
    """

    renamed: dict[int, int]
    replaced: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Transform:
    """A quarter-turn rotation, then a shift, from one frame's coordinates to another's."""

    quarter_turns: int
    dx: int
    dy: int

    def apply(self, position: Position) -> Position:
        """Move one position."""
        ax, ay = HEADINGS[self.quarter_turns % 4]
        sx, sy = HEADINGS[(self.quarter_turns + 1) % 4]
        x, y = position
        return self.dx + x * ax + y * sx, self.dy + x * ay + y * sy


def align(
    new: Frame, known: Frame, min_score: float = 8.0, min_margin: float = 4.0, lone_score: float = 24.0
) -> Transform | None:
    """Find where ``new`` lies in ``known`` by the landmarks that both hold.

    Every pair of equal landmarks proposes four transforms. Each is scored by the cells it lays on
    one another: +4 for the same landmark, +1 for the same wall, +0.25 for floor, -4 for a
    disagreement. The best is taken if it is good and clearly better than the runner-up.

    Args:
        new: The frame just begun.
        known: A frame remembered from before.
        min_score: Least score that is believed.
        min_margin: Least lead over the runner-up.
        lone_score: Least score where only one landmark lies on its like: one alone can be seen from
            a wrong side.

    Returns:
        The transform from ``new`` to ``known``, or ``None`` while it is not clear.
    """
    landmarks: dict[str, list[Position]] = {}
    for position, place in known.places.items():
        if place.is_landmark:
            landmarks.setdefault(place.content, []).append(position)
    candidates = set()
    for position, place in new.places.items():
        for x, y in landmarks.get(place.content, ()):
            for turns in range(4):
                rx, ry = Transform(turns, 0, 0).apply(position)
                candidates.add(Transform(turns, x - rx, y - ry))
    scored = sorted(
        ((*_agreement(new, known, move), move.quarter_turns, move.dx, move.dy) for move in candidates), reverse=True
    )
    if not scored or scored[0][0] < (min_score if scored[0][1] > 1 else lone_score):
        return None
    if len(scored) > 1 and scored[0][0] - scored[1][0] < min_margin:
        return None
    return Transform(*scored[0][2:])


def _agreement(new: Frame, known: Frame, move: Transform) -> tuple[float, int]:
    """Score of a transform, and how many landmarks lie on their likes."""
    score, matched = 0.0, 0
    for position, place in new.places.items():
        other = known.places.get(move.apply(position))
        if other is None:
            continue
        if other.content != place.content:
            score -= 4.0
        elif place.is_landmark:
            score += 4.0
            matched += 1
        else:
            score += 1.0 if place.content == "wall" else 0.25
    return score, matched
