"""Rows of any store, as mappings: read, write, compare, and recompute from the origins that they have."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from memory.tables import Remaining, Row, Table, Values, table_of


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most ``size`` items each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def fetch(db: sqlite3.Connection, row: Row) -> Values | None:
    """One row by column, or ``None``."""
    rows = select(db, f"SELECT * FROM {row[0]} WHERE id = ?", (row[1],))
    return rows[0] if rows else None


def select(db: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> list[Values]:
    """Return the rows of a query by column."""
    cursor = db.execute(query, values)
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Write one row; returns its id."""
    columns = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    declared = table_of(table)
    if declared is not None and declared.next_id and "id" not in values:
        columns, marks = f"id, {columns}", f"{declared.next_id}, {marks}"
    cursor = db.execute(f"INSERT INTO {table}({columns}) VALUES ({marks})", tuple(values.values()))
    return int(cursor.lastrowid or 0)


def insert_missing(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    """Write one row of a table, unless a row with its key is there."""
    columns = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR IGNORE INTO {table}({columns}) VALUES ({marks})", tuple(values.values()))


def update(db: sqlite3.Connection, row: Row, values: Mapping[str, Any]) -> None:
    """Overwrite columns of one row."""
    pairs = ", ".join(f'"{name}" = ?' for name in values)
    if values:
        db.execute(f"UPDATE {row[0]} SET {pairs} WHERE id = ?", (*values.values(), row[1]))


def fingerprint(values: Mapping[str, Any] | None) -> str:
    """SHA-256 of a row's content; empty for a row that is gone."""
    if values is None:
        return ""
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def twin(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int | None:
    """Return the row that is the same as ``values``, if there is one."""
    declared = _declared(table)
    more, condition = declared.twin(values)
    columns = (*declared.identity, *more)
    same = " AND ".join([*(f'"{name}" = ?' for name in columns), *([condition] if condition else [])])
    row = db.execute(f"SELECT id FROM {table} WHERE {same}", tuple(values[name] for name in columns)).fetchone()
    return None if row is None else int(row[0])


def apply_contributions(
    db: sqlite3.Connection, row: Row, contributions: Iterable[Mapping[str, Any]], sign: int
) -> None:
    """Recompute a row after some of its origins came (``sign`` 1) or went (-1).

    Counters move by what those origins contributed; the table says what the origins that there are decide. What no
    origin tells stays as it is.
    """
    values = fetch(db, row)
    if values is None:
        return
    declared, moved = _declared(row[0]), list(contributions)
    new: Values = {}
    for said in moved:
        for name, column in declared.counters.items():
            amount = said.get(name, 1 if name == "n" else 0)
            new[column] = max(0, new.get(column, values[column]) + sign * amount)
    origins = db.execute(
        "SELECT said, conf, time FROM provenance WHERE item_table = ? AND item_id = ? AND role = 'said' ORDER BY id",
        row,
    ).fetchall()
    remaining = Remaining(
        db,
        row[1],
        values,
        said=[json.loads(origin[0]) for origin in origins],
        confs=[origin[1] for origin in origins],
        times=[origin[2] for origin in origins],
        contributions=moved,
        gone=sign < 0,
    )
    new |= declared.recompute(remaining)
    update(db, row, {name: value for name, value in new.items() if values[name] != value})


def _declared(table: str) -> Table:
    declared = table_of(table)
    assert declared is not None, f"table {table} was not declared: see memory/tables.py"
    return declared
