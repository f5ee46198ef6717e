"""Description of one row with everything that is known about it, for people to read."""

import sqlite3
from dataclasses import asdict
from typing import Any

from memory import provenance, rows
from memory.tables import Row, table_names


def describe(db: sqlite3.Connection, row: Row) -> dict[str, Any] | None:
    """Return the columns, origins, trust, parents and derived rows of a row; ``None`` if there is no such row.

    Blobs are left out.
    """
    values = rows.fetch(db, row)
    if values is None:
        return None
    table, number = row
    ended = db.execute(
        "SELECT source, doc_id, time FROM provenance WHERE item_table = ? AND item_id = ? AND role = 'ended'", row
    ).fetchall()
    children = db.execute(
        "SELECT DISTINCT p.item_table, p.item_id FROM lineage l JOIN provenance p ON p.id = l.origin"
        " WHERE l.parent_table = ? AND l.parent_id = ?",
        row,
    ).fetchall()
    parents = db.execute(
        "SELECT DISTINCT l.parent_table, l.parent_id FROM lineage l JOIN provenance p ON p.id = l.origin"
        " WHERE p.item_table = ? AND p.item_id = ?",
        row,
    ).fetchall()
    return {
        "row": f"{table}:{number}",
        **{name: value for name, value in values.items() if not isinstance(value, bytes) and name != "id"},
        "trust": provenance.trust(db, row),
        "origins": [asdict(origin) for origin in provenance.of(db, table, number)],
        "ended_by": [dict(zip(("source", "doc_id", "time"), origin, strict=True)) for origin in ended],
        "derived_from": [f"{name}:{item}" for name, item in parents],
        "became": [f"{name}:{item}" for name, item in children],
    }


def sources(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return who said what is remembered: source, count of rows, times of the first and the last statement."""
    found = db.execute(
        "SELECT source, count(DISTINCT item_table || item_id), min(time), max(time) FROM provenance"
        " WHERE role = 'said' GROUP BY source ORDER BY source"
    )
    return [dict(zip(("source", "rows", "first", "last"), row, strict=True)) for row in found.fetchall()]


def contents(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table with what is remembered, to compare two memories."""
    tables = (*table_names(), "provenance", "lineage", "replay")
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}
