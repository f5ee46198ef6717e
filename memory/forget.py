"""Forgetting by provenance: remove everything from some origins, and everything that was derived from it.

An origin is removed if it is selected, or if a row that it was derived from is removed. A row is removed
when all origins that said it are removed; a row with other origins stays, without what the removed ones
contributed. A fact holds again if what ended it is removed.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from memory import provenance, rows
from memory.clean import clean_text
from memory.errors import InvalidItemError, UnknownItemError
from memory.relational.validity import SUPERSEDE_MIN
from memory.tables import Row, Values, table_names


@dataclass(frozen=True)
class Selector:
    """Selection of the origins to forget: all that fit every given field.

    An origin that said the same several times is stored once, with the time of the last time.

    Attributes:
        source: Exact name of the source.
        doc_id: Exact document or episode.
        since: Only origins at this time or later, seconds since the epoch.
        until: Only origins before this time.
        rows: Only origins of these rows, as ``[("traces", 12)]``.
    """

    source: str | None = None
    doc_id: str | None = None
    since: float | None = None
    until: float | None = None
    rows: Sequence[Row] = ()

    def __post_init__(self) -> None:
        """Check the fields.

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
        """Return the ids of the selected origins.

        Raises:
            UnknownItemError: A row does not exist, or no origin fits.
        """
        tests = {"source = ?": self.source, "doc_id = ?": self.doc_id, "time >= ?": self.since, "time < ?": self.until}
        tests = {test: clean_text(value) if isinstance(value, str) else value for test, value in tests.items()}
        given = {test: value for test, value in tests.items() if value is not None}
        where = " AND ".join(given) or "1"
        if not self.rows:
            origins = {row[0] for row in db.execute(f"SELECT id FROM provenance WHERE {where}", tuple(given.values()))}
        else:
            origins = set()
            for row in self.rows:
                if rows.fetch(db, row) is None:
                    raise UnknownItemError(f"no row of {row[0]} has id {row[1]}; nothing was forgotten")
                query = f"SELECT id FROM provenance WHERE item_table = ? AND item_id = ? AND {where}"
                origins |= {origin[0] for origin in db.execute(query, (*row, *given.values()))}
        if not origins:
            known = [row[0] for row in db.execute("SELECT DISTINCT source FROM provenance ORDER BY source LIMIT 9")]
            raise UnknownItemError(f"nothing came from there; sources are: {', '.join(known) or 'none'}")
        return origins

    def json(self) -> str:
        """Return the selection as JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in (None, (), [])})


@dataclass(frozen=True)
class Forgotten:
    """Result of a forget operation, or of its dry run.

    Attributes:
        operation: Number by which it can be undone; 0 for a dry run.
        snapshot: Name of the snapshot from which it can be undone; empty for a dry run.
        removed: Count of removed rows, by table.
        changed: Count of rows that stay but lose a contribution, by table.
        artifacts: Cards of trained artifacts that were removed because their training data was.
    """

    operation: int
    snapshot: str
    removed: dict[str, int]
    changed: dict[str, int]
    artifacts: list[dict[str, Any]] = field(default_factory=list)


class Cascade:
    """Everything that has to be removed or changed when some origins are forgotten.

    Args:
        db: The connection, inside a transaction.
        origins: Ids of the origins that are selected.
        functional: Relations with one current tail per head.

    Attributes:
        origins: Ids of every origin to remove.
        dead: Rows to remove.
        changed: Rows that stay but lose origins, with what these contributed.
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
        """Mark a row as dead if all origins that said it go; return the further origins that go because of it."""
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
        """Remove aliases that were found automatically if one of their names is in no remaining fact."""
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
        for table, item, role, contribution in self._origins(self.origins, "item_table, item_id, role, said"):
            row = (table, item)
            if row in self.dead:
                continue
            self.changed.setdefault(row, [])
            if role == "said":
                self.changed[row].append(json.loads(contribution))
            else:
                self.reopened.add(item)

    def apply(self) -> None:
        """Remove the origins and rows, and update the rows that stay."""
        successors = {fact: self._successor(fact) for fact in self.reopened}
        parents: set[Row] = set()
        for part in rows.chunks(self.origins, 10_000):
            chosen = (json.dumps(part),)
            query = "SELECT value FROM json_each(?)"
            links = self.db.execute(f"SELECT parent_table, parent_id FROM lineage WHERE origin IN ({query})", chosen)
            parents |= {(row[0], row[1]) for row in links}
            self.db.execute(f"DELETE FROM provenance WHERE id IN ({query})", chosen)
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
        """Return the names in the facts and aliases that are removed."""
        ends = {fact[end] for fact in self._lost("facts") for end in ("head", "tail")}
        return ends | {alias[end] for alias in self._lost("aliases") for end in ("alias", "entity")}

    def _relations(self) -> set[str]:
        return {fact["relation"] for fact in self._lost("facts")}

    def _find_reopened(self) -> None:
        """Collect the remaining facts that were ended by what is removed, or whose end may move."""
        for table, fact in [row for row in self.dead if row[0] == "facts"]:
            older = self.db.execute("SELECT id FROM facts WHERE superseded_by = ?", (fact,)).fetchall()
            self.reopened |= {row[0] for row in older if (table, row[0]) not in self.dead}
        for fact in [row[1] for row in self.changed if row[0] == "facts"]:  # the facts before it end where it begins
            older = self.db.execute("SELECT id FROM facts WHERE superseded_by = ?", (fact,)).fetchall()
            for row in [("facts", older_row[0]) for older_row in older]:
                if row not in self.dead:
                    self.changed.setdefault(row, [])
        for fact in self.reopened:
            self.changed.setdefault(("facts", fact), [])

    def _successor(self, fact: int) -> int | None:
        """Return the first fact in the chain of superseding facts that stays, or ``None``."""
        values = rows.fetch(self.db, ("facts", fact)) or {}
        successor = values.get("superseded_by")
        while successor is not None and ("facts", successor) in self.dead:
            successor = (rows.fetch(self.db, ("facts", successor)) or {}).get("superseded_by")
        return None if successor is None else int(successor)

    def _end_anew(self, fact: int, successor: int | None) -> None:
        """Compute the end of a fact from what stays; without any end it holds again.

        The end is the earliest of these: another origin that ended it, the fact that superseded it, the next
        tail of a functional relation, and the next row with the same statement.
        """
        values = rows.fetch(self.db, ("facts", fact))
        assert values is not None
        since, head, relation, tail = (values[name] for name in ("valid_from", "head", "relation", "tail"))
        ends: list[tuple[float, int | None]] = [
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
                ends.append((max(since, its_since), None))
            elif other == successor or (
                its_tail != tail and later and relation in self.functional and conf >= SUPERSEDE_MIN
            ):
                ends.append((its_since, other))
        end, by = min(ends, key=lambda candidate: candidate[0], default=(None, None))
        rows.update(self.db, ("facts", fact), {"valid_to": end, "superseded_by": by})


def forget(
    db: sqlite3.Connection, selector: Selector, snapshot: str, functional: Collection[str], time: float
) -> Forgotten:
    """Forget inside the current transaction; ``snapshot`` is the name of the snapshot taken before it."""
    cascade = Cascade(db, selector.find(db), functional)
    planned = _count(db, cascade)
    removed = set(cascade.dead)
    cascade.apply()
    if any(table == "traces" for table, _ in removed):
        # The segments of the full-text index keep deleted words until they are merged.
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
    return Forgotten(operation, snapshot, planned.removed, planned.changed, planned.artifacts)


def preview(db: sqlite3.Connection, selector: Selector) -> Forgotten:
    """Return what forgetting would remove and change; change nothing."""
    return _count(db, Cascade(db, selector.find(db), ()))


def _count(db: sqlite3.Connection, cascade: Cascade) -> Forgotten:
    def by_table(counted: Iterable[Row]) -> dict[str, int]:
        tables = [row[0] for row in counted]
        return {table: tables.count(table) for table in table_names() if table in tables}

    cards = [(rows.fetch(db, row) or {}) for row in cascade.dead if row[0] == "artifacts"]
    artifacts = [{"path": card["path"], **json.loads(card["card"])} for card in cards if card]
    return Forgotten(0, "", by_table(cascade.dead), by_table(cascade.changed), artifacts)
