"""Where a remembered thing came from."""

import math
import sqlite3
from dataclasses import dataclass, field
from time import time

from memory.errors import InvalidItemError


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of one row of a memory.

    Attributes:
        source: Who or what said it, for example ``"env:hippo/WaterMaze-v0"`` or ``"agent"``.
        doc_id: Document or episode it was read in.
        text_span: The words, or a pointer to them.
        time: Seconds since the epoch.
        conf: Confidence that the row says what the span says, in [0, 1].
        trust: Trust in the source, in [0, 1].
    """

    source: str
    doc_id: str = ""
    text_span: str = ""
    time: float = field(default_factory=time)
    conf: float = 1.0
    trust: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InvalidItemError: An empty source, a time that is not finite, or a confidence or trust outside [0, 1].
        """
        if not self.source:
            raise InvalidItemError("provenance needs a source (who said it), got an empty string")
        if not math.isfinite(self.time):
            raise InvalidItemError(f"provenance.time must be finite seconds since the epoch, got {self.time}")
        for name, value in (("conf", self.conf), ("trust", self.trust)):
            if not 0.0 <= value <= 1.0:
                raise InvalidItemError(f"provenance.{name} must be in [0, 1], got {value}")


def add(db: sqlite3.Connection, table: str, row_id: int, origin: Provenance) -> None:
    """Attach ``origin`` to one row; called inside the transaction that writes the row."""
    db.execute(
        "INSERT INTO provenance(item_table, item_id, source, doc_id, text_span, time, conf, trust)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (table, row_id, origin.source, origin.doc_id, origin.text_span, origin.time, origin.conf, origin.trust),
    )


def of(db: sqlite3.Connection, table: str, row_id: int) -> tuple[Provenance, ...]:
    """Every origin of one row, oldest first."""
    rows = db.execute(
        "SELECT source, doc_id, text_span, time, conf, trust FROM provenance"
        " WHERE item_table = ? AND item_id = ? ORDER BY id",
        (table, row_id),
    )
    return tuple(Provenance(*row) for row in rows)


def repoint(db: sqlite3.Connection, table: str, old: int, new: int) -> None:
    """Give one row's origins to another, when the two become one."""
    db.execute(
        "UPDATE provenance SET item_id = ? WHERE item_table = ? AND item_id = ?",
        (new, table, old),
    )
