"""Registry of the tables whose rows have origins, for forgetting, undo, import and export.

Each store declares its tables: for a new kind of row, pass a :class:`Table` to :func:`declare` in the store's
``table.py``.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = tuple[str, int]
"""Reference to a row of any store: the name of its table, and its id."""

Values = dict[str, Any]
"""Values of a row, or of some of its columns, by column."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """A row and its present origins, after some origins were added or removed.

    Attributes:
        db: The connection, inside a transaction.
        id: The id of the row.
        values: The present values of the row.
        said: What each present origin contributed, oldest first.
        times: Time of each present origin, in seconds since the epoch.
        confs: Confidence of each present origin, in [0, 1].
        contributions: What the added or removed origins contributed.
        gone: Whether these origins were removed.
    """

    db: sqlite3.Connection
    id: int
    values: Mapping[str, Any]
    said: Sequence[Mapping[str, Any]]
    times: Sequence[float]
    confs: Sequence[float]
    contributions: Sequence[Mapping[str, Any]]
    gone: bool

    def by_time(self) -> list[Mapping[str, Any]]:
        """Return what each present origin contributed, the latest last."""
        order = sorted(range(len(self.said)), key=lambda i: (self.times[i], i))
        return [self.said[i] for i in order]

    def first(self, defaults: Mapping[str, str]) -> Values:
        """Return each field from the first origin that contributed it, or else its default."""
        return {name: next((s[name] for s in self.said if name in s), default) for name, default in defaults.items()}


class References(Protocol):
    """Interface for mapping ids and names of rows from another database to those of this one."""

    def id(self, table: str, old: int) -> int:
        """Return the id in this database of the row with id ``old`` in the other database."""
        ...

    def map_name(self, name: str) -> str:
        """Return the name of a map in this database."""
        ...

    def place_name(self, name: str) -> str:
        """Return a name with the number of its place mapped, if it is a place's name such as ``place 12``."""
        ...


class Merge(Protocol):
    """Interface of a merge of rows into a database; :class:`memory.merge.Merger` implements it."""

    db: sqlite3.Connection
    functional: Collection[str]

    @property
    def ended(self) -> Sequence[tuple[int, float]]:
        """Facts that were observed not to hold any more, each with the time."""
        ...


def _nothing(*_: Any) -> Any:
    return {}


def _sequence_reserve(table: str) -> Callable[[sqlite3.Connection, int], None]:
    def reserve(db: sqlite3.Connection, number: int) -> None:
        if db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number, table)).rowcount == 0:
            db.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (table, number))

    return reserve


@dataclass(frozen=True)
class Table:
    """One table whose rows have origins.

    Attributes:
        name: Name of the table.
        identity: Columns that are equal in two rows that are the same.
        counters: Columns that sum up contributions of origins, by the name of the contribution.
        refers_to: Names of the tables that its rows refer to.
        attached: Tables whose rows belong to a row of this table, each with the column that holds its id.
        recompute: Function that returns the columns that depend on the present origins; see :class:`Remaining`.
        twin: Function that returns further columns of the identity of a row, and a condition in SQL.
        follow: Function that returns the columns of a row from another database with its references mapped.
        successor: Column with the id of the row of the same table that superseded a row.
        inserted: Called with the connection and the new id after a row from another database was inserted.
        merged: Called with the connection, the id here and the values when a row from another database is the
            same as a row here.
        finish: Called with the merge after all rows from another database were written.
        next_id: SQL expression of the next free id, if the table does not assign ids itself.
        reserve: Called to prevent the reuse of an id; by default it updates ``sqlite_sequence``.
    """

    name: str
    identity: tuple[str, ...]
    counters: Mapping[str, str] = field(default_factory=lambda: {"n": "strength"})
    refers_to: tuple[str, ...] = ()
    attached: Mapping[str, str] = field(default_factory=dict)
    recompute: Callable[[Remaining], Values] = _nothing
    twin: Callable[[Mapping[str, Any]], tuple[tuple[str, ...], str]] = lambda _values: ((), "")
    follow: Callable[[Mapping[str, Any], References], Values] = _nothing
    successor: str = ""
    inserted: Callable[[sqlite3.Connection, int], None] = _nothing
    merged: Callable[[sqlite3.Connection, int, Mapping[str, Any]], None] = _nothing
    finish: Callable[[Merge], None] = _nothing
    next_id: str = ""
    reserve: Callable[[sqlite3.Connection, int], None] | None = None

    def keep_free(self, db: sqlite3.Connection, number: int) -> None:
        """Prevent new rows from getting this id or a smaller one."""
        (self.reserve or _sequence_reserve(self.name))(db, number)

    def greatest_id(self, db: sqlite3.Connection) -> int:
        """Return the greatest id that a row ever had."""
        query = f"SELECT {self.next_id} - 1" if self.next_id else "SELECT seq FROM sqlite_sequence WHERE name = ?"
        row = db.execute(query, () if self.next_id else (self.name,)).fetchone()
        return int(row[0] or 0) if row else 0


_DECLARED: dict[str, Table] = {}


def declare(table: Table) -> Table:
    """Register a table for forgetting, undo, import and export, and return it."""
    _DECLARED[table.name] = table
    return table


def table_of(name: str) -> Table | None:
    """Return a declared table, or ``None`` if none has that name."""
    return _DECLARED.get(name)


def table_names() -> tuple[str, ...]:
    """Return the names of the declared tables, each after those that its rows refer to."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in _DECLARED[name].refers_to:
            visit(other)
        ordered.setdefault(name)

    for name in sorted(_DECLARED):
        visit(name)
    return tuple(ordered)


def attached_tables() -> dict[str, tuple[str, str]]:
    """Return, for each attached table, the table that its rows belong to and the column that holds the row's id."""
    return {
        name: (table.name, column) for table in _DECLARED.values() for name, column in sorted(table.attached.items())
    }
