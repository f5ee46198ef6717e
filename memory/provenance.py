"""Provenance of rows: their origins, what each origin contributed, and their lineage."""

import json
import math
import os
import sqlite3
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from time import time
from types import CodeType, FrameType
from typing import Any, Literal

from memory.clean import clean_text
from memory.errors import InvalidItemError
from memory.tables import Row, table_names
from memory.zones import in_zone, parse_time, zone_name, zone_of

Role = Literal["said", "ended"]

COUNTERS = ("n", "visits", "tries", "successes")
"""Contributions that are added up; ``n`` counts how often an origin said the same."""

GREATEST = ("salience", "pinned")
"""Contributions of which the greatest value counts."""

LEAST = ("since",)
"""Contributions of which the least value counts."""

FIRST = ("when", "state_sketch", "salience_tags", "span_ref", "context", "name")
"""Contributions of which the first value counts; of all other contributions the latest value counts."""

_TEXTS = ("source", "doc_id", "text_span")

_PACKAGE = f"{Path(__file__).parent}{os.sep}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of one row of a memory.

    Attributes:
        source: Who or what said it, for example ``"env:hippo/WaterMaze-v0"`` or ``"agent"``.
        doc_id: Document or episode that it comes from.
        text_span: The words, or a pointer to them.
        time: Time of the statement, in seconds since the epoch. A :class:`datetime.datetime` or an ISO 8601 text is
            converted, and sets the zone; without a zone of its own it is in ``zone``.
        conf: Confidence that the row says what the span says, in [0, 1].
        trust: Trust in the source, in [0, 1]. When read back, it is the minimum over its lineage.
        derived_from: Rows that it was derived from, as ``("traces", 12)``. Forgetting a row also forgets
            what was derived from it.
        zone: Zone in which the dates of the words are meant, as ``Europe/Rome`` or ``+02:00``. It is used while a text
            is read, and not stored.
        speaker: Whom "I" and "my" in the words refer to. It is used while a text is read, and not stored.
    """

    source: str
    doc_id: str = ""
    text_span: str = ""
    time: float = field(default_factory=time)
    conf: float = 1.0
    trust: float = 1.0
    derived_from: tuple[Row, ...] = ()
    zone: str = field(default="UTC", compare=False)
    speaker: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InvalidItemError: An empty source, a time that is not finite, a confidence or trust outside
                [0, 1], or a parent in no table of this memory.
        """
        if not self.source:
            raise InvalidItemError("provenance needs a source (who said it), got an empty string")
        if wrong := [name for name in _TEXTS if not isinstance(getattr(self, name), str)]:
            raise InvalidItemError(
                f"provenance.{wrong[0]} must be a text, got {type(getattr(self, wrong[0])).__name__}"
            )
        for name in _TEXTS:
            object.__setattr__(self, name, clean_text(getattr(self, name)))
        zone = zone_of(self.zone)
        given: object = self.time
        if isinstance(given, str | datetime):
            moment = parse_time(given, zone) if isinstance(given, str) else in_zone(given, zone)
            object.__setattr__(self, "time", moment.timestamp())
            object.__setattr__(self, "zone", zone_name(moment, self.zone))
        if not math.isfinite(self.time):
            raise InvalidItemError(f"provenance.time must be finite seconds since the epoch, got {self.time}")
        for name, value in (("conf", self.conf), ("trust", self.trust)):
            if not 0.0 <= value <= 1.0:
                raise InvalidItemError(f"provenance.{name} must be in [0, 1], got {value}")
        for table, _ in self.derived_from:
            if table not in table_names():
                raise InvalidItemError(
                    f"derived_from names table {table!r}, expected one of {', '.join(table_names())}"
                )


ORIGIN = (
    "p.source, p.doc_id, p.text_span, p.time, p.conf, p.trust, CASE WHEN EXISTS (SELECT 1 FROM lineage"
    " WHERE origin = p.id) THEN (SELECT json_group_array(json_array(parent_table, parent_id)) FROM lineage"
    " WHERE origin = p.id) END"
)
"""SQL expressions of what :func:`from_row` takes, of a row ``p`` of the table ``provenance``."""

_INSERT = (
    "INSERT INTO provenance(item_table, item_id, role, source, doc_id, text_span, time, conf, trust, said)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_encode = json.JSONEncoder().encode


def origin_of(origin: Provenance | str | None) -> Provenance:
    """Return ``origin`` as a :class:`Provenance`.

    Args:
        origin: An origin; the name of a source; or ``None`` for the line of code that called this package.
    """
    return origin if isinstance(origin, Provenance) else Provenance(origin or _calling_code())


def _calling_code() -> str:
    """Return the file and line from which this package was called, as a source: ``code:notes.py:12``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_code):
        frame = frame.f_back
    if frame is None:
        return "code"
    try:
        here = str(Path.cwd())
    except OSError:  # the folder is gone
        here = ""
    return f"code:{_shown(frame.f_code.co_filename, here)}:{frame.f_lineno}"


@cache
def _shown(file: str, here: str) -> str:
    """Return the path of a file from the working directory, or else its name."""
    path = Path(file)
    return path.relative_to(here).as_posix() if here and path.is_relative_to(here) else path.name


def _is_ours(code: CodeType) -> bool:
    """Return whether code is this package's, or the constructor that :mod:`dataclasses` made for it."""
    made = code.co_filename == "<string>" and code.co_name == "__init__"
    return made or code.co_filename.startswith(_PACKAGE)


def wordless(origin: Provenance) -> Provenance:
    """Return the origin without its words, so that all contributions of one document are counted in one row."""
    return replace(origin, text_span="")


def add(
    db: sqlite3.Connection,
    row: Row,
    origin: Provenance,
    said: Mapping[str, Any] | None = None,
    *,
    role: Role = "said",
    fresh: bool = False,
) -> None:
    """Attach ``origin`` to one row, inside the transaction that writes the row.

    If the row has the same origin already (source, document, words), it is counted again instead of repeated.

    Args:
        db: The connection.
        row: The row.
        origin: The origin of the row.
        said: What this origin contributed, so that the contribution can be taken out of the row later.
        role: ``"said"``, or ``"ended"`` if the origin ended the validity of a fact.
        fresh: Whether the row was just inserted and has no origin yet.

    Raises:
        InvalidItemError: A parent in ``derived_from`` does not exist.
    """
    said = said if said and "n" in said else {"n": 1, **(said or {})}
    for table, parent in origin.derived_from:
        if db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (parent,)).fetchone() is None:
            raise InvalidItemError(f"derived_from names row {parent} of {table}, which does not exist")
    key = (*row, role, origin.source, origin.doc_id, origin.text_span)
    before = None if fresh else _same(db, key, origin.derived_from)
    if before is not None:
        db.execute(
            "UPDATE provenance SET said = ?, time = max(time, ?), conf = max(conf, ?) WHERE id = ?",
            (json.dumps(together(json.loads(before[1]), said)), origin.time, origin.conf, before[0]),
        )
        return
    cursor = db.execute(
        _INSERT,
        (*key, origin.time, origin.conf, origin.trust, _encode(said)),
    )
    if origin.derived_from:
        db.executemany(
            "INSERT OR IGNORE INTO lineage(origin, parent_table, parent_id) VALUES (?, ?, ?)",
            [(cursor.lastrowid, *parent) for parent in origin.derived_from],
        )


def _same(db: sqlite3.Connection, key: tuple[Any, ...], parents: Collection[Row]) -> tuple[int, str] | None:
    rows = db.execute(
        "SELECT id, said FROM provenance WHERE item_table = ? AND item_id = ? AND role = ?"
        " AND source = ? AND doc_id = ? AND text_span = ?",
        key,
    )
    for origin_id, contribution in rows.fetchall():
        known = db.execute("SELECT parent_table, parent_id FROM lineage WHERE origin = ?", (origin_id,))
        if set(known.fetchall()) == set(parents):
            return origin_id, contribution
    return None


def together(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what an origin contributed before with what it contributes now."""
    merged = {**old, **new}
    for name in COUNTERS:
        if name in old and name in new:
            merged[name] = old[name] + new[name]
    for name in GREATEST:
        if name in old and name in new:
            merged[name] = max(old[name], new[name])
    merged |= {name: min(old[name], new[name]) for name in LEAST if name in old and name in new}
    return merged | {name: old[name] for name in FIRST if name in old}


def of(db: sqlite3.Connection, table: str, row_id: int) -> tuple[Provenance, ...]:
    """Return every origin that said one row, oldest first, with its effective trust."""
    return of_many(db, table, [row_id]).get(row_id, ())


def of_many(db: sqlite3.Connection, table: str, row_ids: Iterable[int]) -> dict[int, tuple[Provenance, ...]]:
    """Return the origins of several rows of one table, by row id."""
    rows = db.execute(
        f"SELECT p.item_id, {ORIGIN} FROM provenance p WHERE p.item_table = ? AND p.role = 'said'"
        " AND p.item_id IN (SELECT value FROM json_each(?)) ORDER BY p.id",
        (table, json.dumps(list(row_ids))),
    )
    origins_by_row: dict[int, list[Provenance]] = {}
    for row_id, *values in rows.fetchall():
        origins_by_row.setdefault(row_id, []).append(from_row(db, *values))
    return {row_id: tuple(origins) for row_id, origins in origins_by_row.items()}


def from_row(
    db: sqlite3.Connection,
    source: str,
    doc_id: str,
    text_span: str,
    time: float,
    conf: float,
    own: float,
    lineage: str | None,
) -> Provenance:
    """Return an origin, with its effective trust, from the values of :data:`ORIGIN`; ``own`` is its own trust."""
    if lineage is not None:
        parents = tuple((parent[0], parent[1]) for parent in json.loads(lineage))
        least = min([own, *(trust(db, parent) for parent in parents)])
        return Provenance(source, doc_id, text_span, time, conf, least, parents)
    return Provenance(source, doc_id, text_span, time, conf, own)


def trust(db: sqlite3.Connection, row: Row) -> float:
    """Return the trust in one row: the maximum over its origins, each the minimum over its own lineage.

    A row without any origin left has trust 0.
    """
    known: dict[Row, float] = {}
    entered: set[Row] = set()
    stack = [row]
    while stack:
        here = stack[-1]
        origins = _parents(db, here)
        missing = [] if here in entered else [p for _, ps in origins for p in ps if p not in known and p not in entered]
        entered.add(here)
        if missing:
            stack += missing
            continue
        # A parent that is still being evaluated is also a descendant: the lineage has a cycle, and it counts as 1.
        known[here] = max((min([own, *(known.get(p, 1.0) for p in ps)]) for own, ps in origins), default=0.0)
        stack.pop()
    return known[row]


def _parents(db: sqlite3.Connection, row: Row) -> list[tuple[float, list[Row]]]:
    """Return the trust and the parents of each origin that said a row."""
    rows = db.execute(
        "SELECT p.id, p.trust, l.parent_table, l.parent_id FROM provenance p LEFT JOIN lineage l ON l.origin = p.id"
        " WHERE p.item_table = ? AND p.item_id = ? AND p.role = 'said'",
        row,
    )
    by_origin: dict[int, tuple[float, list[Row]]] = {}
    for origin, own, table, parent in rows.fetchall():
        parents = by_origin.setdefault(origin, (own, []))[1]
        if table is not None:
            parents.append((table, parent))
    return list(by_origin.values())


def repoint(db: sqlite3.Connection, table: str, old: int, new: int) -> None:
    """Move the origins and descendants of one row to another, when the two rows are merged."""
    db.execute("UPDATE provenance SET item_id = ? WHERE item_table = ? AND item_id = ?", (new, table, old))
    db.execute("UPDATE OR IGNORE lineage SET parent_id = ? WHERE parent_table = ? AND parent_id = ?", (new, table, old))
    db.execute("DELETE FROM lineage WHERE parent_table = ? AND parent_id = ?", (table, old))


def release(db: sqlite3.Connection, table: str, row_id: int) -> None:
    """Delete the origins of a row that was deleted.

    If something was derived from the row, its origins stay without their words, so that forgetting their
    source still reaches what was derived from it.
    """
    parent = "SELECT 1 FROM lineage WHERE parent_table = ? AND parent_id = ? LIMIT 1"
    if db.execute(parent, (table, row_id)).fetchone():
        db.execute("UPDATE provenance SET text_span = '' WHERE item_table = ? AND item_id = ?", (table, row_id))
        return
    parents = db.execute(
        "SELECT parent_table, parent_id FROM lineage WHERE origin IN"
        " (SELECT id FROM provenance WHERE item_table = ? AND item_id = ?)",
        (table, row_id),
    ).fetchall()
    db.execute("DELETE FROM provenance WHERE item_table = ? AND item_id = ?", (table, row_id))
    sweep(db, parents)


def sweep(db: sqlite3.Connection, parents: Iterable[Row]) -> None:
    """Delete the remaining origins of deleted rows, once nothing that was derived from these rows is left."""
    for table, row_id in parents:
        if db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (row_id,)).fetchone() is None:
            release(db, table, row_id)
