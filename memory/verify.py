"""Integrity checks of a whole memory."""

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from memory.episodic.lexical import flush
from memory.episodic.trace import digest
from memory.errors import StoreError
from memory.relational.validity import SUPERSEDE_MIN
from memory.snapshots import Snapshots
from memory.store import Store
from memory.tables import table_names
from memory.vectors import VectorIndex

_CHUNK = 20_000
_SHOWN = 5


@dataclass(frozen=True)
class Report:
    """Result of a check: what was looked at and what was wrong.

    Attributes:
        checked: How many things of each kind were looked at.
        problems: One sentence for each problem; empty when nothing is wrong.
    """

    checked: dict[str, int]
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def verify(store: Store, index: VectorIndex, snapshots: Snapshots, functional: Collection[str]) -> Report:
    """Check pages, references, full text, vectors, hashes, origins, the vector index and all snapshots."""
    checked: dict[str, int] = {}
    problems: list[str] = []
    try:
        with store.write(upkeep=True) as db:  # the lock keeps other processes from writing during the check
            problems += [f"database: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            problems += [f"{row[0]} {row[1]} refers to a missing row" for row in db.execute("PRAGMA foreign_key_check")]
            if not problems:
                problems += [*_full_text(store), *_traces(db, index.dim), *_origins(db), *_facts(db, functional)]
                problems += _index(db, index)
                checked |= {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in table_names()}
    except sqlite3.DatabaseError as error:
        problems.append(f"database: {error}; restore a snapshot")
    for name in snapshots.names():
        checked["snapshots"] = checked.get("snapshots", 0) + 1
        try:
            snapshots.check(name)
        except StoreError as error:
            problems.append(str(error))
    return Report(checked, problems)


def _some(what: str, ids: list[int]) -> Iterator[str]:
    if ids:
        more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
        yield f"{what}: {', '.join(map(str, ids[:_SHOWN]))}{more}"


def _full_text(store: Store) -> Iterator[str]:
    try:
        with store.write(upkeep=True) as db:
            flush(db)
            db.execute("INSERT INTO traces_text(traces_text, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        yield f"full-text index: {error}"


def _traces(db: sqlite3.Connection, dim: int) -> Iterator[str]:
    lengths, norms, hashes = [], [], []
    cursor = db.execute('SELECT id, vector, hash, key, who, what, "where" FROM traces ORDER BY id')
    while rows := cursor.fetchmany(_CHUNK):
        whole = [row for row in rows if len(row[1]) == 4 * dim]
        lengths += [row[0] for row in rows if len(row[1]) != 4 * dim]
        if whole:
            vectors = np.frombuffer(b"".join(row[1] for row in whole), np.float32).reshape(len(whole), dim)
            with np.errstate(all="ignore"):
                wrong = ~(np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < 1e-3)
            norms += [row[0] for row, bad in zip(whole, wrong, strict=True) if bad]
        hashes += [row[0] for row in rows if digest(*row[3:7]) != row[2]]
    yield from _some(f"traces whose vector has not {dim} values", lengths)
    yield from _some("traces whose vector is not finite or not of length 1", norms)
    yield from _some("traces whose hash is not that of their content", hashes)


def _origins(db: sqlite3.Connection) -> Iterator[str]:
    for table in table_names():
        without = db.execute(
            f"SELECT id FROM {table} WHERE id NOT IN"
            " (SELECT item_id FROM provenance WHERE item_table = ? AND role = 'said')",
            (table,),
        )
        yield from _some(f"{table} without provenance", [row[0] for row in without])
        stray = db.execute(
            f"SELECT id FROM provenance p WHERE item_table = ? AND item_id NOT IN (SELECT id FROM {table})"
            " AND NOT EXISTS (SELECT 1 FROM lineage WHERE parent_table = p.item_table AND parent_id = p.item_id)",
            (table,),
        )
        yield from _some(f"provenance of {table} that are gone", [row[0] for row in stray])


def _facts(db: sqlite3.Connection, functional: Collection[str]) -> Iterator[str]:
    rows = db.execute(
        "SELECT head, relation FROM facts WHERE valid_to IS NULL AND conf >= ?"
        " GROUP BY head, relation HAVING count(*) > 1",
        (SUPERSEDE_MIN,),
    )
    for head, relation in rows.fetchall():
        if relation in functional:
            yield f"facts: {head} {relation} has more than one current tail, and the relation is functional"


def _index(db: sqlite3.Connection, index: VectorIndex) -> Iterator[str]:
    here = index.ids().tolist()
    there = [row[0] for row in db.execute("SELECT id FROM traces ORDER BY id")]
    if here != there:
        yield f"vector index: {len(here)} ids, the database has {len(there)}; delete the folder index/"
