"""Rows of any store, as mappings: read, compare, and settle with the origins that they have left."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from memory.provenance import Row

Values = dict[str, Any]

IDENTITY = {
    "places": ("map", "x", "y", "context"),
    "edges": ("src", "dst", "action"),
    "traces": ("hash",),
    "facts": ("head", "relation", "tail"),
    "macros": ("signature",),
    "artifacts": ("kind", "sha256"),
    "aliases": ("alias", "entity"),
    "frames": ("name",),
}
"""What makes two rows of a table the same; of facts, only those that hold now."""

_COUNTED = {
    "traces": {"n": "strength"},
    "facts": {"n": "strength"},
    "macros": {"n": "strength"},
    "aliases": {"n": "strength"},
    "frames": {"n": "strength"},
    "places": {"visits": "visits"},
    "edges": {"tries": "tries", "successes": "successes"},
}


NEXT_TRACE = "1 + max((SELECT last FROM last_trace), coalesce((SELECT max(id) FROM traces), 0))"
"""The id of the next trace: one that none had before, as caches and lineage name traces by their ids.

``AUTOINCREMENT`` would note each id that it gives out, a page more to sync in every write; ``last_trace`` is noted only
when a trace goes."""


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most ``size`` items each."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def fetch(db: sqlite3.Connection, row: Row) -> Values | None:
    """One row by column, or ``None``."""
    cursor = db.execute(f"SELECT * FROM {row[0]} WHERE id = ?", (row[1],))
    found = cursor.fetchone()
    return None if found is None else dict(zip((column[0] for column in cursor.description), found, strict=True))


def insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Write one row; returns its id."""
    columns = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    if table == "traces" and "id" not in values:
        columns, marks = f"id, {columns}", f"{NEXT_TRACE}, {marks}"
    cursor = db.execute(f"INSERT INTO {table}({columns}) VALUES ({marks})", tuple(values.values()))
    return int(cursor.lastrowid or 0)


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
    """The row that is the same as ``values``, if there is one."""
    if table == "facts" and values["valid_to"] is not None:
        same = " AND ".join(f'"{name}" = ?' for name in (*IDENTITY[table], "valid_from", "valid_to"))
        wanted = tuple(values[name] for name in (*IDENTITY[table], "valid_from", "valid_to"))
    else:
        same = " AND ".join(f'"{name}" = ?' for name in IDENTITY[table])
        same += " AND valid_to IS NULL" if table == "facts" else ""
        wanted = tuple(values[name] for name in IDENTITY[table])
    found = db.execute(f"SELECT id FROM {table} WHERE {same}", wanted).fetchone()
    return None if found is None else int(found[0])


def apply_contributions(
    db: sqlite3.Connection, row: Row, contributions: Iterable[Mapping[str, Any]], sign: int
) -> None:
    """Bring a row level with its origins after some came (``sign`` 1) or went (-1).

    Counts move by what those origins contributed; of salience, pin and confidence the greatest among
    the origins that there are holds, of a place's content and label the latest. What no origin tells
    stays as it is.
    """
    values = fetch(db, row)
    if values is None:
        return
    table = row[0]
    new: Values = {}
    for said in contributions:
        for name, column in _COUNTED.get(table, {}).items():
            amount = said.get(name, 1 if name == "n" else 0)
            new[column] = max(0, new.get(column, values[column]) + sign * amount)
    origins = db.execute(
        "SELECT said, conf, time FROM provenance WHERE item_table = ? AND item_id = ? AND role = 'said' ORDER BY id",
        row,
    ).fetchall()
    told = [json.loads(said) for said, _, _ in origins]
    if table == "traces":
        if told and all("salience" in said for said in told):
            new |= {name: max(said[name] for said in told) for name in ("salience", "pinned")}
            new |= _first(told, {"when": "", "state_sketch": "", "salience_tags": "[]", "span_ref": ""})
        new["time"] = max((time for _, _, time in origins), default=values["time"])
    elif table == "facts" and origins:
        new["conf"] = max(conf for _, conf, _ in origins)
        if all("since" in said for said in told):
            new |= _first(told, {"context": ""}) | {"valid_from": min(said["since"] for said in told)}
            if new["valid_from"] != values["valid_from"]:
                db.execute("UPDATE facts SET valid_to = ? WHERE superseded_by = ?", (new["valid_from"], row[1]))
    elif table == "frames" and told:
        latest_told = max(range(len(told)), key=lambda i: (origins[i][2], i))
        new |= {"slots": told[latest_told]["slots"]} if "slots" in told[latest_told] else {}
    elif table == "macros" and told and all("name" in said for said in told):
        new |= _first(told, {"name": ""}) | _taught(told, json.loads(values["variables"]))
    elif table == "places":
        latest: Values = {}
        for said in (told[i] for i in sorted(range(len(told)), key=lambda i: (origins[i][2], i))):
            latest |= {name: said[name] for name in ("content", "passable", "via", "label") if name in said}
        if "content" not in latest:
            latest = {name: value for name, value in latest.items() if name == "label"}
        new |= latest
        if not any("label" in said for said in told) and any("label" in said for said in contributions) and sign < 0:
            new["label"] = ""
    update(db, row, {name: value for name, value in new.items() if values[name] != value})


def _taught(told: Sequence[Mapping[str, Any]], variables: Sequence[Mapping[str, Any]]) -> Values:
    """A macro's triggers and its variables' last words, from the origins that tell of them."""
    if not all("triggers" in said for said in told):
        return {}
    triggers = Counter[str]()
    ends: dict[str, set[str]] = {}
    for said in told:
        triggers.update(said["triggers"])
        for name, taken in said["values"].items():
            ends.setdefault(name, set()).update(value.split()[-1] for value in taken if value.split())
    typed = [{**one, "ends": sorted(ends.get(one["name"], ())) if one["ends"] else []} for one in variables]
    return {"triggers": json.dumps(dict(triggers.most_common())), "variables": json.dumps(typed)}


def _first(told: Sequence[Mapping[str, Any]], defaults: Mapping[str, str]) -> Values:
    """Each field as the first origin that tells it does, or its default."""
    return {name: next((said[name] for said in told if name in said), default) for name, default in defaults.items()}
