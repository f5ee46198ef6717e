"""Tables whose rows have origins. Each store declares its own; forgetting, undoing, import and export read this.

A new kind of row is one :class:`Table` in the store's ``table.py``, with :func:`declare`.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = tuple[str, int]
"""A row of any store: its table and id."""

Values = dict[str, Any]
"""A row by column, or some columns of it."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """A row and the origins that it has, after some came or went.

    Attributes:
        db: The connection, inside a transaction.
        id: The row's id.
        values: The row as it is.
        said: What each origin contributed, oldest first.
        times: When each origin said it, seconds since the epoch.
        confs: Confidence of each origin.
        contributions: What the origins that came or went contributed.
        gone: Whether they went.
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
        """Return what each origin contributed, the latest last."""
        order = sorted(range(len(self.said)), key=lambda i: (self.times[i], i))
        return [self.said[i] for i in order]

    def first(self, defaults: Mapping[str, str]) -> Values:
        """Return each field as the first origin that has it says, or its default."""
        return {name: next((s[name] for s in self.said if name in s), default) for name, default in defaults.items()}


class References(Protocol):
    """The ids and names that rows from elsewhere have here."""

    def id(self, table: str, old: int) -> int:
        """Return the id here of a row that had another id."""
        ...

    def map_name(self, name: str) -> str:
        """Return the name here of a map."""
        ...

    def place_name(self, name: str) -> str:
        """Return a name here that may be that of a place, such as ``place 12``."""
        ...


class Merge(Protocol):
    """A merge of rows into a database, as :class:`memory.merge.Merger` does it."""

    db: sqlite3.Connection
    functional: Collection[str]

    @property
    def ended(self) -> Sequence[tuple[int, float]]:
        """Facts that were seen not to hold, and when."""
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
        name: The table.
        identity: Columns that make two rows the same.
        counters: Columns that add up what origins contributed, by the name of the contribution.
        refers_to: Tables that its rows refer to.
        attached: Tables whose rows hang on a row of this one, with the column that names it.
        recompute: Returns the columns that the remaining origins decide; see :class:`Remaining`.
        twin: Returns more columns that make two rows the same, and a condition in SQL.
        follow: Returns the columns of a row from elsewhere with its references as they are here.
        successor: Column with the id of another row of the same table that took this row's place.
        inserted: Called after a row from elsewhere was written, with the connection and its id.
        merged: Called when a row from elsewhere is the same as one here, with the connection, that id and the values.
        finish: Called when all rows from elsewhere are there, with the merge.
        next_id: SQL expression of the next free id, where the table does not give out ids itself.
        reserve: Called to keep an id from being given out; by default a note in ``sqlite_sequence``.
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
        """Keep an id, and those below it, from being given out."""
        (self.reserve or _sequence_reserve(self.name))(db, number)

    def greatest_id(self, db: sqlite3.Connection) -> int:
        """Return the greatest id that a row ever had."""
        query = f"SELECT {self.next_id} - 1" if self.next_id else "SELECT seq FROM sqlite_sequence WHERE name = ?"
        row = db.execute(query, () if self.next_id else (self.name,)).fetchone()
        return int(row[0] or 0) if row else 0


_DECLARED: dict[str, Table] = {}


def declare(table: Table) -> Table:
    """Make a table known to forgetting, undoing, import and export."""
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
    """Return the tables whose rows hang on rows of others: the other's name, and the column that names its row."""
    return {
        name: (table.name, column) for table in _DECLARED.values() for name, column in sorted(table.attached.items())
    }
