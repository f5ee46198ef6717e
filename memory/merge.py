"""Bringing rows into a database that may hold some of them already: undo and import."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from memory import rows
from memory.provenance import COUNTERS, together
from memory.spatial.names import place_name, place_number
from memory.tables import Row, table_names, table_of

_ORIGIN = ("source", "doc_id", "text_span")


class Merger:
    """Puts rows and their origins into ``db``, inside a transaction.

    A row that is there already (the same event, fact, place, ...) takes the origins of the one that
    comes; any other keeps its id if that is free. What refers to a row follows it.

    Args:
        db: The connection.
        functional: Relations with one current tail per head.
        undoing: What comes was here before: it takes its old ids again, and adds to what the same origin
            said since. Else only ids that were never given out are kept, so that nothing takes the place of
            what was forgotten, and the same origin never counts twice.
    """

    def __init__(self, db: sqlite3.Connection, functional: Collection[str], undoing: bool = False) -> None:
        self.db = db
        self.functional = functional
        self.undoing = undoing
        self.maps: dict[str, str] = {}
        self.ended: list[tuple[int, float]] = []
        self.ids: dict[Row, int] = {}
        self.added: dict[str, int] = {}
        self.merged: dict[str, int] = {}
        self._twins: set[Row] = set()
        self._origins: dict[int, int] = {}
        self._contributions: dict[Row, list[Mapping[str, Any]]] = {}
        self._successors: list[tuple[Row, str, int]] = []
        self._lineage: list[tuple[int, Row]] = []

    def row(self, table: str, values: Mapping[str, Any]) -> int:
        """Put one row in; returns the id it has here. Places come before what refers to them."""
        old = int(values["id"])
        declared = table_of(table)
        assert declared is not None
        new = dict(values) | declared.follow(values, self)
        successor = new.pop(declared.successor, None)
        same = rows.twin(self.db, table, new)
        if same is not None:
            self.ids[table, old] = same
            self._twins.add((table, same))
            self.merged[table] = self.merged.get(table, 0) + 1
            declared.merged(self.db, same, new)
            return same
        if not self._free(table, old):
            new.pop("id")
        self.ids[table, old] = made = rows.insert(self.db, table, new)
        declared.inserted(self.db, made)
        self.added[table] = self.added.get(table, 0) + 1
        if successor is not None:
            self._successors.append(((table, made), declared.successor, successor))
        return made

    def _free(self, table: str, number: int) -> bool:
        """Whether a row may have this id."""
        if self.undoing:
            return self.db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone() is None
        return number > self._given(table)

    def _given(self, table: str) -> int:
        """The greatest id that a row of the table ever had; of origins, that one has now."""
        declared = table_of(table)
        if declared is not None:
            return declared.greatest_id(self.db)
        row = self.db.execute(f"SELECT max(id) FROM {table}").fetchone()
        return int(row[0] or 0)

    def existing(self, row: Row) -> None:
        """A row that is here under its own id and whose lost origins come back."""
        self.ids[row] = row[1]
        self._twins.add(row)

    def absent(self, row: Row) -> None:
        """A row that is gone but from which something was derived: it gets an id that nothing else has."""
        if row in self.ids:
            return
        number = max(self._given(row[0]) + 1, row[1])
        declared = table_of(row[0])
        assert declared is not None
        declared.keep_free(self.db, number)
        self.ids[row] = number

    # what rows refer to, for memory.tables.References

    def id(self, table: str, old: int) -> int:
        """Return the id here of a row that had another id."""
        return self.ids.get((table, old), old)

    def map_name(self, name: str) -> str:
        """Return the name here of a map."""
        return self.maps.get(name, name)

    def place_name(self, name: str) -> str:
        """Return a name as it is here, if it is that of a place; any other stays as it is."""
        number = place_number(name)
        if number is None or place_name(number) != name:
            return name
        return place_name(self.id("places", number))

    def origin(self, values: Mapping[str, Any]) -> None:
        """Put one origin of a row in that came before."""
        row = (values["item_table"], self.ids.get((values["item_table"], values["item_id"]), values["item_id"]))
        new = {name: value for name, value in values.items() if name != "id"} | {"item_id": row[1]}
        said = json.loads(values["said"])
        known = self.db.execute(
            "SELECT id, said FROM provenance WHERE item_table = ? AND item_id = ? AND role = ?"
            " AND source = ? AND doc_id = ? AND text_span = ?",
            (*row, values["role"], *(values[name] for name in _ORIGIN)),
        ).fetchone()
        if known is not None and row in self._twins:
            before = json.loads(known[1])
            seen = {} if self.undoing else before
            more = {name: max(0, said.get(name, 0) - seen.get(name, 0)) for name in COUNTERS if name in said}
            merged = {**together(before, {**said, **more})}
            self.db.execute(
                "UPDATE provenance SET said = ?, time = max(time, ?) WHERE id = ?",
                (json.dumps(merged), values["time"], known[0]),
            )
            self._origins[int(values["id"])] = known[0]
            said = {"n": 0, **more}
        else:
            free = self._free("provenance", int(values["id"]))
            made = rows.insert(self.db, "provenance", {"id": values["id"], **new} if free else new)
            self._origins[int(values["id"])] = made
        if values["role"] == "ended" and row in self._twins:
            self.ended.append((row[1], values["time"]))
        if values["role"] == "said" and row in self._twins:
            self._contributions.setdefault(row, []).append(said)

    def lineage(self, origin: int, parent: Row) -> None:
        """Put one parent of an origin in that came before."""
        if origin in self._origins:
            self._lineage.append((self._origins[origin], parent))

    def finish(self) -> None:
        """Bring merged rows level with their origins, and functional relations to one current tail."""
        self.db.executemany(
            "INSERT OR IGNORE INTO lineage VALUES (?, ?, ?)",
            [(origin, table, self.ids.get((table, item), item)) for origin, (table, item) in self._lineage],
        )
        for row, contributions in self._contributions.items():
            rows.apply_contributions(self.db, row, contributions, 1)
        for row, column, successor in self._successors:
            here = self.id(row[0], successor)
            if rows.fetch(self.db, (row[0], here)) is not None:
                rows.update(self.db, row, {column: here})
        for name in table_names():
            declared = table_of(name)
            assert declared is not None
            declared.finish(self)
