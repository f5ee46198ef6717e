"""Bringing rows into a database that may hold some of them already: undo and import."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from memory import rows
from memory.episodic.lexical import index_again
from memory.episodic.trace import digest
from memory.provenance import COUNTERS, Row, together
from memory.relational.names import SUPERSEDE_MIN
from memory.spatial.names import place_name

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
        self._ended: list[tuple[int, float]] = []
        self.ids: dict[Row, int] = {}
        self.added: dict[str, int] = {}
        self.merged: dict[str, int] = {}
        self._twins: set[Row] = set()
        self._origins: dict[int, int] = {}
        self._contributions: dict[Row, list[Mapping[str, Any]]] = {}
        self._successors: list[tuple[int, int]] = []
        self._lineage: list[tuple[int, Row]] = []

    def row(self, table: str, values: Mapping[str, Any]) -> int:
        """Put one row in; returns the id it has here. Places come before what refers to them."""
        old = int(values["id"])
        new = self._follow(table, dict(values))
        successor = new.pop("superseded_by", None)
        same = rows.twin(self.db, table, new)
        if same is not None:
            self.ids[table, old] = same
            self._twins.add((table, same))
            self.merged[table] = self.merged.get(table, 0) + 1
            if table == "macros" and new.get("outcomes", "[]") != "[]":
                self.db.execute(  # what the other learnt by trying counts where nothing was tried here
                    "UPDATE macros SET status = ?, outcomes = ? WHERE id = ? AND outcomes = '[]'",
                    (new["status"], new["outcomes"], same),
                )
            return same
        if not self._free(table, old):
            new.pop("id")
        self.ids[table, old] = made = rows.insert(self.db, table, new)
        if table == "traces":
            index_again(self.db, made)
        self.added[table] = self.added.get(table, 0) + 1
        if successor is not None:
            self._successors.append((made, successor))
        return made

    def _free(self, table: str, number: int) -> bool:
        """Whether a row may have this id."""
        if self.undoing:
            return self.db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone() is None
        return number > self._given(table)

    def _given(self, table: str) -> int:
        """The greatest id that a row of the table ever had; of origins, that one has now."""
        if table == "traces":
            found = self.db.execute(f"SELECT {rows.NEXT_TRACE} - 1").fetchone()
        elif table == "provenance":
            found = self.db.execute("SELECT max(id) FROM provenance").fetchone()
        else:
            found = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(found[0] or 0) if found else 0

    def existing(self, row: Row) -> None:
        """A row that is here under its own id and whose lost origins come back."""
        self.ids[row] = row[1]
        self._twins.add(row)

    def absent(self, row: Row) -> None:
        """A row that is gone but from which something was derived: it gets an id that nothing else has."""
        if row in self.ids:
            return
        number = max(self._given(row[0]) + 1, row[1])
        if row[0] == "traces":
            self.db.execute("UPDATE last_trace SET last = ?", (number,))
        elif self.db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number, row[0])).rowcount == 0:
            self.db.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (row[0], number))
        self.ids[row] = number

    def _follow(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        """The row with references to other rows as they are here."""
        if table == "places":
            values["map"] = self.maps.get(values["map"], values["map"])
        elif table == "edges":
            for end in ("src", "dst"):
                values[end] = self.ids.get(("places", values[end]), values[end])
        elif table == "traces" and (where := self._place(values["where"])) != values["where"]:
            values["where"] = where
            values["hash"] = digest(values["key"], values["who"], values["what"], where)
        elif table == "facts":
            values |= {end: self._place(values[end]) for end in ("head", "tail")}
        return values

    def _place(self, name: str) -> str:
        """A place's name as it is here."""
        number = name.rpartition(" ")[2]
        if not number.isdigit() or place_name(int(number)) != name:
            return name
        return place_name(self.ids.get(("places", int(number)), int(number)))

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
            self._ended.append((row[1], values["time"]))
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
        for fact, successor in self._successors:
            here = self.ids.get(("facts", successor), successor)
            if rows.fetch(self.db, ("facts", here)) is not None:
                rows.update(self.db, ("facts", fact), {"superseded_by": here})
        for fact, time in self._ended:
            self.db.execute(
                "UPDATE facts SET valid_to = ? WHERE id = ? AND valid_to IS NULL AND NOT EXISTS"
                " (SELECT 1 FROM provenance WHERE item_table = 'facts' AND item_id = facts.id"
                " AND role = 'said' AND time > ?)",
                (time, fact, time),
            )
        self._end_superseded()

    def _end_superseded(self) -> None:
        groups = self.db.execute(
            "SELECT head, relation FROM facts WHERE valid_to IS NULL AND conf >= ?"
            " GROUP BY head, relation HAVING count(*) > 1",
            (SUPERSEDE_MIN,),
        ).fetchall()
        for head, relation in groups:
            if relation not in self.functional:
                continue
            current = self.db.execute(
                "SELECT id, valid_from FROM facts WHERE head = ? AND relation = ? AND valid_to IS NULL"
                " AND conf >= ? ORDER BY valid_from, id",
                (head, relation, SUPERSEDE_MIN),
            ).fetchall()
            for (fact, _), (successor, since) in pairwise(current):
                rows.update(self.db, ("facts", fact), {"valid_to": since, "superseded_by": successor})
