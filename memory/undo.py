"""Undo of a forget operation: removed rows come back from its snapshot, and newer rows stay."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from memory import rows
from memory.errors import InvalidItemError, UnknownItemError
from memory.merge import Merger
from memory.tables import Row, attached_tables, table_names


@dataclass(frozen=True)
class Undone:
    """Result of one undo.

    Attributes:
        operation: Number of the forget operation that was undone.
        returned: Count of rows that came back, by table.
        merged: Count of rows that had been written again and got their old origins back, by table.
    """

    operation: int
    returned: dict[str, int]
    merged: dict[str, int]


def find(db: sqlite3.Connection, operation: int | None) -> tuple[int, str]:
    """Return the number and the snapshot of a forget operation; by default the last one that was not undone.

    Raises:
        UnknownItemError: There is no such operation, or it was undone already.
        InvalidItemError: Later operations were not undone yet.
    """
    which = "id = ?" if operation is not None else "undone IS NULL AND ? IS NULL"
    row = db.execute(
        f"SELECT id, snapshot, undone FROM operations WHERE kind = 'forget' AND {which} ORDER BY id DESC LIMIT 1",
        (operation,),
    ).fetchone()
    if row is None:
        raise UnknownItemError(
            f"there is no forgetting {operation}" if operation else "there is nothing to undo: no forgetting is open"
        )
    if row[2] is not None:
        raise UnknownItemError(f"forgetting {row[0]} was undone already")
    later = db.execute("SELECT id FROM operations WHERE id > ? AND undone IS NULL ORDER BY id", (row[0],)).fetchall()
    if later:
        numbers = ", ".join(str(operation_row[0]) for operation_row in reversed(later))
        raise InvalidItemError(f"forgetting {row[0]} can be undone after later ones: undo {numbers} first")
    return int(row[0]), str(row[1])


def undo(
    db: sqlite3.Connection, old: sqlite3.Connection, operation: int, functional: Collection[str], time: float
) -> Undone:
    """Undo a forget operation inside the current transaction; ``old`` is the database as it was before that."""
    merger = Merger(db, functional, undoing=True)
    returned: dict[str, int] = {}
    touched = db.execute("SELECT item_table, item_id, after FROM touched WHERE operation = ?", (operation,)).fetchall()
    gone = {item for table, item, _ in touched if table == "provenance"}
    chosen = [row for row in touched if row[0] in table_names()]
    # First restore rows that only changed: otherwise a row that comes back could be merged with one of them.
    returning = {(table, item) for table, item, _ in chosen if rows.fetch(db, (table, item)) is None}
    order = {name: number for number, name in enumerate(table_names())}
    for table, item, after in sorted(chosen, key=lambda row: (row[:2] in returning, order[row[0]], row[1])):
        row = (table, item)
        before, present = rows.fetch(old, row), rows.fetch(db, row)
        if present is None and after:
            continue  # the forget operation left it, and it was deleted on purpose later
        if before is None:
            merger.ids[row] = item  # the row was evicted before the forget operation; only its origins were left
        elif present is None:
            merger.row(table, before)
        elif rows.fingerprint(present) == after:
            rows.update(db, row, {name: value for name, value in before.items() if name != "id"})
            merger.ids[row] = item
            returned[table] = returned.get(table, 0) + 1
        else:
            merger.existing(row)
        _origins(merger, old, row, gone)
    merger.finish()
    db.execute("UPDATE operations SET undone = ? WHERE id = ?", (time, operation))
    for table, count in merger.added.items():
        returned[table] = returned.get(table, 0) + count
    return Undone(operation, returned, merger.merged)


def _origins(merger: Merger, old: sqlite3.Connection, row: Row, gone: Collection[int]) -> None:
    """Restore the origins of a row that the forget operation removed."""
    for values in rows.select(old, "SELECT * FROM provenance WHERE item_table = ? AND item_id = ? ORDER BY id", row):
        if values["id"] not in gone:
            continue
        merger.origin(values)
        parents = old.execute("SELECT parent_table, parent_id FROM lineage WHERE origin = ?", (values["id"],))
        for table, parent in parents.fetchall():
            merger.lineage(values["id"], (table, parent))
    for table, (owner, column) in attached_tables().items():
        if owner != row[0] or not old.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
            continue  # an older snapshot may not have the table
        for values in rows.select(old, f"SELECT * FROM {table} WHERE {column} = ?", (row[1],)):
            rows.insert_missing(merger.db, table, values | {column: merger.id(*row)})


def describe(db: sqlite3.Connection) -> list[dict[str, object]]:
    """Return all forget operations, newest first."""
    operations = db.execute("SELECT id, time, detail, snapshot, undone FROM operations ORDER BY id DESC").fetchall()
    return [
        {"operation": row[0], "time": row[1], "what": json.loads(row[2]), "snapshot": row[3], "undone": row[4]}
        for row in operations
    ]
