"""Maps of cells: the places and edges of one coordinate frame, in main memory and in SQLite."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field

from memory import provenance
from memory.provenance import Provenance
from memory.spatial.search import BLOCKED, PoseGraph
from memory.spatial.view import FORWARD, HEADINGS, Cell, Position
from memory.store import Store


@dataclass(slots=True)
class Place:
    """One row of ``places``.

    Attributes:
        id: Row in ``places``.
        passable: Whether the agent can walk onto it.
        content: What is there; empty for bare floor.
        label: A mark such as ``"goal"``, or empty.
        visits: How often the agent stood there.
        via: The action that opens it; empty if none is known.
        seen: When it was last visited or seen to have changed, in seconds since the epoch.
    """

    id: int
    passable: bool
    content: str
    label: str
    visits: int
    via: str = ""
    seen: float = field(default=0.0, compare=False)

    @property
    def is_landmark(self) -> bool:
        """Whether something other than wall or floor is there."""
        return self.content not in ("", "wall")

    @property
    def entry(self) -> float:
        """Additional cost of stepping onto it: 0 if passable, 1 if it can be opened, else infinite."""
        return 0.0 if self.passable else 1.0 if self.via else BLOCKED


@dataclass(slots=True)
class Edge:
    """Statistics of walking from one place to another."""

    cost: float = 1.0
    tries: int = 0
    successes: int = 0

    @property
    def success_prob(self) -> float:
        """Laplace-smoothed share of tries that succeeded; 1 before the first try."""
        return (self.successes + 1) / (self.tries + 1)

    @property
    def expected_cost(self) -> float:
        """Cost divided by the success probability."""
        return self.cost / self.success_prob


EdgeKey = tuple[int, int, str]
"""Ids of the source and the target place, and the action."""


class Terrain:
    """Places by position, edges by the places' ids, and the pose graph over both.

    Args:
        places: The places.
        edges: The edges that were tried, by their keys.
    """

    def __init__(self, places: dict[Position, Place], edges: MutableMapping[EdgeKey, Edge]) -> None:
        self.places = places
        self.edges = edges
        self._routes: PoseGraph | None = None

    @property
    def routes(self) -> PoseGraph:
        """The pose graph; it is built at first use and updated with the places from then on."""
        if self._routes is None:
            self._routes = PoseGraph()
            for position, place in self.places.items():
                self._routes.put(position, place.entry)
            where = {place.id: position for position, place in self.places.items()}
            for src, dst in {key[:2] for key in self.edges}:
                if src in where and dst in where:
                    self._step(where[src], where[dst])
        return self._routes

    def put(self, position: Position, place: Place) -> None:
        """Add or replace a place."""
        self.places[position] = place
        if self._routes is None:
            return
        known = position in self._routes.cells
        self._routes.put(position, place.entry)
        if known:
            x, y = position
            for neighbour in ((x - dx, y - dy) for dx, dy in HEADINGS):
                if neighbour in self.places:
                    self._step(neighbour, position)

    def _step(self, src: Position, dst: Position) -> None:
        """Update the cost of one step in the pose graph from the statistics of its edges."""
        assert self._routes is not None
        start, end = self.places[src], self.places[dst]
        edge = self.edges.get((start.id, end.id, FORWARD))
        door = self.edges.get((start.id, end.id, end.via)) if end.via and not end.passable else None
        if edge is None and door is None:
            return
        cost = (edge.expected_cost if edge else 1.0) + (door.expected_cost - 1.0 if door else 0.0)
        self._routes.step(src, dst, cost)


@dataclass(frozen=True, slots=True)
class Joined:
    """Result of merging a frame into another.

    Attributes:
        renamed: For each place that was merged with a known place, the id of the known place.
        replaced: ``(what, place id)`` of known things that are no longer where they were.
    """

    renamed: dict[int, int]
    replaced: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Transform:
    """A rotation by quarter turns and then a shift, from coordinates of one frame to those of another."""

    quarter_turns: int
    dx: int
    dy: int

    def apply(self, position: Position) -> Position:
        """Transform one position."""
        ax, ay = HEADINGS[self.quarter_turns % 4]
        sx, sy = HEADINGS[(self.quarter_turns + 1) % 4]
        x, y = position
        return self.dx + x * ax + y * sx, self.dy + x * ay + y * sy

    def inverse(self) -> "Transform":
        """Return the inverse transform."""
        x, y = Transform(-self.quarter_turns % 4, 0, 0).apply((self.dx, self.dy))
        return Transform(-self.quarter_turns % 4, -x, -y)


class GridMap(Terrain):
    """The places and edges of one map, read from SQLite and written through to it.

    Args:
        store: The database.
        name: Name of the map.

    Attributes:
        written: Positions that changed since the list was last emptied.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.written: list[Position] = []
        self._told: set[tuple[int, str, str]] = set()
        rows = store.db.execute(
            "SELECT x, y, id, passable, content, label, visits, via, seen FROM places"
            " WHERE map = ? AND context = '' ORDER BY id",
            (name,),
        )
        places = {(r[0], r[1]): Place(r[2], bool(r[3]), *r[4:]) for r in rows.fetchall()}
        edges = {
            (r[0], r[1], r[2]): Edge(r[3], r[4], r[5])
            for r in store.db.execute(
                "SELECT src, dst, action, cost, tries, successes FROM edges"
                " WHERE src IN (SELECT id FROM places WHERE map = ? AND context = '')",
                (name,),
            )
        }
        super().__init__(places, edges)

    def see(self, position: Position, cell: Cell, origin: Provenance) -> str | None:
        """Record what is seen at ``position``; return the content that was known there, ``None`` if it was unknown."""
        place = self.places.get(position)
        said = {"content": cell.content, "passable": int(cell.passable), "via": cell.via}
        if place is None:
            cursor = self.store.db.execute(
                "INSERT INTO places(map, x, y, context, passable, content, label, visits, via, seen)"
                " VALUES (?, ?, ?, '', ?, ?, '', 0, ?, ?)",
                (self.name, *position, cell.passable, cell.content, cell.via, origin.time),
            )
            number = int(cursor.lastrowid or 0)
            self.put(position, Place(number, cell.passable, cell.content, "", 0, cell.via, origin.time))
            provenance.add(self.store.db, ("places", number), origin, said, fresh=True)
            self._told.add((number, origin.source, origin.doc_id))
            self.written.append(position)
            return None
        before = place.content
        told = (place.id, origin.source, origin.doc_id)
        if told not in self._told:
            self._told.add(told)
            provenance.add(self.store.db, ("places", place.id), provenance.wordless(origin), said)
        if (place.content, place.passable, place.via) != (cell.content, cell.passable, cell.via):
            place.content, place.passable, place.via, place.seen = cell.content, cell.passable, cell.via, origin.time
            self.store.db.execute(
                "UPDATE places SET content = ?, passable = ?, via = ?, seen = ? WHERE id = ?",
                (cell.content, cell.passable, cell.via, origin.time, place.id),
            )
            provenance.add(self.store.db, ("places", place.id), origin, said)
            self.put(position, place)
            self.written.append(position)
        return before

    def visit(self, position: Position, origin: Provenance) -> Place:
        """Count one visit to a place that is on the map."""
        place = self.places[position]
        place.visits += 1
        place.seen = max(place.seen, origin.time)
        self.store.db.execute(
            "UPDATE places SET visits = ?, seen = ? WHERE id = ?", (place.visits, place.seen, place.id)
        )
        provenance.add(self.store.db, ("places", place.id), provenance.wordless(origin), {"visits": 1})
        return place

    def label(self, position: Position, label: str, origin: Provenance) -> None:
        """Set the label of a place, for example ``"goal"``."""
        place = self.places[position]
        place.label = label
        self.store.db.execute("UPDATE places SET label = ? WHERE id = ?", (label, place.id))
        provenance.add(self.store.db, ("places", place.id), origin, {"label": label})

    def tried(self, source: Position, target: Position, action: str, success: bool, origin: Provenance) -> None:
        """Count one try of ``action`` that should lead from ``source`` to ``target``."""
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
        self.written.append(target)
        if self._routes is not None:
            self._step(source, target)

    def absorb(self, other: "GridMap", move: Transform, origin: Provenance) -> Joined:
        """Merge another frame into this one, with its places moved into this frame's coordinates.

        Where this frame has no place, the rows of the other keep their ids, origins and edges. Where it has
        one, the other's place is merged with it. The other frame must not be used afterwards.
        """
        db = self.store.db
        renamed: dict[int, int] = {}
        replaced = []
        for position, place in other.places.items():
            x, y = target = move.apply(position)
            mine = self.places.get(target)
            if mine is None:
                db.execute("UPDATE places SET map = ?, x = ?, y = ? WHERE id = ?", (self.name, x, y, place.id))
                self.put(target, place)
                continue
            if mine.content != place.content and mine.is_landmark:
                replaced.append((mine.content, mine.id))
            self.see(target, Cell(0, 0, place.content, place.passable, place.via), origin)
            mine.visits += place.visits
            mine.label = mine.label or place.label
            mine.seen = max(mine.seen, place.seen)
            db.execute(
                "UPDATE places SET visits = ?, label = ?, seen = ? WHERE id = ?",
                (mine.visits, mine.label, mine.seen, mine.id),
            )
            provenance.repoint(db, "places", place.id, mine.id)
            renamed[place.id] = mine.id
        self._absorb_edges(other, renamed)
        db.executemany("DELETE FROM places WHERE id = ?", [(old,) for old in renamed])
        self._routes = None
        return Joined(renamed, replaced)

    def _absorb_edges(self, other: "GridMap", renamed: dict[int, int]) -> None:
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
