"""Forgetting by provenance: what came from somewhere goes, with everything that was made of it.

An origin goes if it is selected, or if a row that it was derived from goes. A row goes when all
origins that said it went; a row with other origins stays, without what the lost ones contributed. A
fact whose end came from what goes holds again.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from memory import provenance, rows
from memory.errors import InvalidItemError, UnknownItemError
from memory.relational.names import SUPERSEDE_MIN
from memory.tables import Row, Values, table_names


@dataclass(frozen=True)
class Selector:
    """Which origins to forget: all that fit every given field.

    An origin that said the same again is one, and its time is that of the last time.

    Attributes:
        source: Exact source.
        doc_id: Exact document or episode.
        since: Origins at this time or later, seconds since the epoch.
        until: Origins before this time.
        rows: Rows, whoever said them, as ``[("traces", 12)]``.
    """

    source: str | None = None
    doc_id: str | None = None
    since: float | None = None
    until: float | None = None
    rows: Sequence[Row] = ()

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InvalidItemError: Nothing is selected, or a row is in no table of this memory.
        """
        if not self.rows and all(v is None for v in (self.source, self.doc_id, self.since, self.until)):
            raise InvalidItemError("forget needs a source, a doc_id, since, until or rows; got none of them")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidItemError(f"since must be before until, got {self.since} and {self.until}")
        for table, _ in self.rows:
            if table not in table_names():
                raise InvalidItemError(f"no table is called {table!r}: expected one of {', '.join(table_names())}")

    def find(self, db: sqlite3.Connection) -> set[int]:
        """Ids of the origins that it selects.

        Raises:
            UnknownItemError: A row does not exist, or no origin fits.
        """
        tests = {"source = ?": self.source, "doc_id = ?": self.doc_id, "time >= ?": self.since, "time < ?": self.until}
        given = {test: value for test, value in tests.items() if value is not None}
        where = " AND ".join(given) or "1"
        if not self.rows:
            found = {row[0] for row in db.execute(f"SELECT id FROM provenance WHERE {where}", tuple(given.values()))}
        else:
            found = set()
            for row in self.rows:
                if rows.fetch(db, row) is None:
                    raise UnknownItemError(f"no row of {row[0]} has id {row[1]}; nothing was forgotten")
                query = f"SELECT id FROM provenance WHERE item_table = ? AND item_id = ? AND {where}"
                found |= {origin[0] for origin in db.execute(query, (*row, *given.values()))}
        if not found:
            known = [row[0] for row in db.execute("SELECT DISTINCT source FROM provenance ORDER BY source LIMIT 9")]
            raise UnknownItemError(f"nothing came from there; sources are: {', '.join(known) or 'none'}")
        return found

    def json(self) -> str:
        """The selection as JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in (None, (), [])})


@dataclass(frozen=True)
class Forgotten:
    """What one forgetting came to, or would come to.

    Attributes:
        operation: Number to undo it by; 0 for a dry run.
        snapshot: Name of the snapshot that it can be undone from; empty for a dry run.
        removed: Rows that went, by table.
        changed: Rows that stay without a contribution, by table.
        artifacts: Cards of trained things that went because their data did.
    """

    operation: int
    snapshot: str
    removed: dict[str, int]
    changed: dict[str, int]
    artifacts: list[dict[str, Any]] = field(default_factory=list)


class Cascade:
    """What forgetting some origins takes along.

    Args:
        db: The connection, inside a transaction.
        origins: Ids of the origins that are selected.
        functional: Relations with one current tail per head.

    Attributes:
        origins: Every origin that goes.
        dead: Rows that go.
        changed: Rows that stay without some origins, with what those contributed.
    """

    def __init__(self, db: sqlite3.Connection, origins: set[int], functional: Collection[str]) -> None:
        self.db = db
        self.functional = functional
        self.origins: set[int] = set()
        self.dead: dict[Row, None] = {}
        self.changed: dict[Row, list[Mapping[str, Any]]] = {}
        self.reopened: set[int] = set()
        front = set(origins)
        while front:
            self.origins |= front
            front = {origin for row in self._rows_of(front) for origin in self._examine(row)} - self.origins
        self._unused_aliases()
        self._contributions()
        self._find_reopened()

    def _rows_of(self, origins: Iterable[int]) -> set[Row]:
        return {(row[0], row[1]) for row in self._origins(origins, "item_table, item_id")}

    def _origins(self, ids: Iterable[int], columns: str) -> Iterator[Any]:
        for part in rows.chunks(ids, 10_000):
            yield from self.db.execute(
                f"SELECT {columns} FROM provenance WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(part),)
            ).fetchall()

    def _examine(self, row: Row) -> set[int]:
        """Origins that go because of this row, if all that said it went."""
        if row in self.dead:
            return set()
        own = self.db.execute("SELECT id, role FROM provenance WHERE item_table = ? AND item_id = ?", row).fetchall()
        if any(role == "said" and origin not in self.origins for origin, role in own):
            return set()
        self.dead[row] = None
        gone = {origin for origin, _ in own}
        children = self.db.execute("SELECT origin FROM lineage WHERE parent_table = ? AND parent_id = ?", row)
        gone |= {child[0] for child in children.fetchall()}
        if row[0] == "places":
            for (edge,) in self.db.execute("SELECT id FROM edges WHERE ? IN (src, dst)", (row[1],)).fetchall():
                self.dead.setdefault(("edges", edge))
                hanging = self.db.execute(
                    "SELECT id FROM provenance WHERE item_table = 'edges' AND item_id = ?"
                    " UNION SELECT origin FROM lineage WHERE parent_table = 'edges' AND parent_id = ?",
                    (edge, edge),
                )
                gone |= {origin[0] for origin in hanging.fetchall()}
        return gone

    def _unused_aliases(self) -> None:
        """Names that were joined by themselves part when one of them is in no fact that stays."""
        for name in self._names():
            staying = self.db.execute(
                "SELECT id FROM facts WHERE head = ? UNION SELECT id FROM facts WHERE tail = ?", (name,) * 2
            )
            if any(("facts", row[0]) not in self.dead for row in staying.fetchall()):
                continue
            joined = self.db.execute(
                "SELECT id FROM aliases WHERE method != 'told' AND (alias = ? OR entity = ?)", (name, name)
            )
            for (alias,) in joined.fetchall():
                self.dead["aliases", alias] = None
                own = self.db.execute(
                    "SELECT id FROM provenance WHERE item_table = 'aliases' AND item_id = ?", (alias,)
                )
                self.origins |= {row[0] for row in own.fetchall()}

    def _contributions(self) -> None:
        for table, item, role, said in self._origins(self.origins, "item_table, item_id, role, said"):
            row = (table, item)
            if row in self.dead:
                continue
            self.changed.setdefault(row, [])
            if role == "said":
                self.changed[row].append(json.loads(said))
            else:
                self.reopened.add(item)

    def apply(self) -> None:
        """Take it all away."""
        successors = {fact: self._successor(fact) for fact in self.reopened}
        parents: set[Row] = set()
        for part in rows.chunks(self.origins, 10_000):
            chosen = (json.dumps(part),)
            mine = "SELECT value FROM json_each(?)"
            found = self.db.execute(f"SELECT parent_table, parent_id FROM lineage WHERE origin IN ({mine})", chosen)
            parents |= {(row[0], row[1]) for row in found}
            self.db.execute(f"DELETE FROM provenance WHERE id IN ({mine})", chosen)
        names, relations = self._names(), self._relations()
        for table in reversed(table_names()):
            ids = [(row[1],) for row in self.dead if row[0] == table]
            self.db.executemany(f"DELETE FROM {table} WHERE id = ?", ids)
        provenance.sweep(self.db, parents)
        self.db.executemany(
            "DELETE FROM entity_vectors WHERE name = ? AND NOT EXISTS (SELECT 1 FROM facts WHERE head = name)"
            " AND NOT EXISTS (SELECT 1 FROM facts WHERE tail = name)",
            [(name,) for name in names],
        )
        self.db.executemany(
            "DELETE FROM relation_vectors WHERE name = ? AND NOT EXISTS (SELECT 1 FROM facts WHERE relation = name)",
            [(relation,) for relation in relations],
        )
        for fact, successor in sorted(successors.items()):
            self._end_anew(fact, successor)
        for row, contributions in self.changed.items():
            rows.apply_contributions(self.db, row, contributions, -1)

    def _lost(self, table: str) -> list[Values]:
        return [values for row in self.dead if row[0] == table and (values := rows.fetch(self.db, row))]

    def _names(self) -> set[str]:
        """Names in the facts and aliases that go."""
        ends = {fact[end] for fact in self._lost("facts") for end in ("head", "tail")}
        return ends | {alias[end] for alias in self._lost("aliases") for end in ("alias", "entity")}

    def _relations(self) -> set[str]:
        return {fact["relation"] for fact in self._lost("facts")}

    def _find_reopened(self) -> None:
        """Facts whose end came from what goes."""
        for table, fact in [row for row in self.dead if row[0] == "facts"]:
            older = self.db.execute("SELECT id FROM facts WHERE superseded_by = ?", (fact,)).fetchall()
            self.reopened |= {row[0] for row in older if (table, row[0]) not in self.dead}
        for fact in [row[1] for row in self.changed if row[0] == "facts"]:  # their ends move with its beginning
            older = self.db.execute("SELECT id FROM facts WHERE superseded_by = ?", (fact,)).fetchall()
            for row in [("facts", found[0]) for found in older]:
                if row not in self.dead:
                    self.changed.setdefault(row, [])
        for fact in self.reopened:
            self.changed.setdefault(("facts", fact), [])

    def _successor(self, fact: int) -> int | None:
        """The fact that superseded this one, or that superseded that, and stays."""
        values = rows.fetch(self.db, ("facts", fact)) or {}
        successor = values.get("superseded_by")
        while successor is not None and ("facts", successor) in self.dead:
            successor = (rows.fetch(self.db, ("facts", successor)) or {}).get("superseded_by")
        return None if successor is None else int(successor)

    def _end_anew(self, fact: int, successor: int | None) -> None:
        """End a fact where something that stays says so; else it holds again.

        That is another origin that ended it, the fact that took its place, the next tail of a functional
        relation, or the next time that the same was told.
        """
        values = rows.fetch(self.db, ("facts", fact))
        assert values is not None
        since, head, relation, tail = (values[name] for name in ("valid_from", "head", "relation", "tail"))
        found: list[tuple[float, int | None]] = [
            (time, None)
            for (time,) in self.db.execute(
                "SELECT time FROM provenance WHERE item_table = 'facts' AND item_id = ? AND role = 'ended'", (fact,)
            )
        ]
        others = self.db.execute(
            "SELECT id, tail, valid_from, valid_to, conf FROM facts WHERE head = ? AND relation = ? AND id != ?",
            (head, relation, fact),
        )
        for other, its_tail, its_since, its_end, conf in others.fetchall():
            later = (its_since, other) > (since, fact)
            if its_tail == tail and (later or its_end is None):
                found.append((max(since, its_since), None))
            elif other == successor or (
                its_tail != tail and later and relation in self.functional and conf >= SUPERSEDE_MIN
            ):
                found.append((its_since, other))
        end, by = min(found, key=lambda one: one[0], default=(None, None))
        rows.update(self.db, ("facts", fact), {"valid_to": end, "superseded_by": by})


def forget(
    db: sqlite3.Connection, selector: Selector, snapshot: str, functional: Collection[str], time: float
) -> Forgotten:
    """Forget inside the transaction under way; ``snapshot`` names the state before it."""
    cascade = Cascade(db, selector.find(db), functional)
    found = _count(db, cascade)
    removed = set(cascade.dead)
    cascade.apply()
    if any(table == "traces" for table, _ in removed):
        # Deleted words stay in the full-text index's segments until these are merged.
        db.execute("INSERT INTO traces_text(traces_text) VALUES ('optimize')")
    operation = int(
        db.execute(
            "INSERT INTO operations(kind, time, detail, snapshot) VALUES ('forget', ?, ?, ?)",
            (time, selector.json(), snapshot),
        ).lastrowid
        or 0
    )
    db.executemany(
        "INSERT INTO touched VALUES (?, ?, ?, ?)",
        [
            *((operation, *row, rows.fingerprint(rows.fetch(db, row))) for row in [*removed, *cascade.changed]),
            *((operation, "provenance", origin, "") for origin in cascade.origins),
        ],
    )
    return Forgotten(operation, snapshot, found.removed, found.changed, found.artifacts)


def preview(db: sqlite3.Connection, selector: Selector) -> Forgotten:
    """What forgetting would come to; nothing is changed."""
    return _count(db, Cascade(db, selector.find(db), ()))


def _count(db: sqlite3.Connection, cascade: Cascade) -> Forgotten:
    def by_table(found: Iterable[Row]) -> dict[str, int]:
        tables = [row[0] for row in found]
        return {table: tables.count(table) for table in table_names() if table in tables}

    cards = [(rows.fetch(db, row) or {}) for row in cascade.dead if row[0] == "artifacts"]
    artifacts = [{"path": card["path"], **json.loads(card["card"])} for card in cards if card]
    return Forgotten(0, "", by_table(cascade.dead), by_table(cascade.changed), artifacts)
