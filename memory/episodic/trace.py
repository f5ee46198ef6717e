"""Events and traces, and how rows of the database become traces."""

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from typing import Any, Literal

from memory import provenance
from memory.clean import clean_text
from memory.errors import InvalidItemError
from memory.provenance import Provenance, origin_of

Slot = Literal["who", "what", "where", "when"]
SLOTS: tuple[Slot, ...] = ("who", "what", "where", "when")

NEXT_TRACE = "1 + max((SELECT last FROM last_trace), coalesce((SELECT max(id) FROM traces), 0))"
"""SQL expression of the id of the next trace. No earlier trace had this id, because caches and lineage refer to ids.

``AUTOINCREMENT`` would store each new id, which is one more page to sync in every write; ``last_trace`` is only
written when a trace is deleted."""


@dataclass(frozen=True, slots=True)
class Event:
    """Event to be written as a trace.

    Attributes:
        key: The text that recall searches by.
        slots: Values of ``who``, ``what``, ``where`` and ``when``; any may be missing.
        origin: Who said so; a plain string is the name of the source. ``None`` stands for the caller's line
            of code.
        span_ref: Pointer to the words in a log, for example ``"ep3/step12"``.
        state_sketch: Short description of the state in which it was observed.
        tags: Why it is kept, for example ``("reward",)``.
        salience: Score of the write gate.
        pinned: Kept on purpose; never evicted.
    """

    key: str
    slots: Mapping[Slot, str] = field(default_factory=dict)
    origin: Provenance | str | None = None
    span_ref: str = ""
    state_sketch: str = ""
    tags: tuple[str, ...] = ()
    salience: float = 0.0
    pinned: bool = False

    def __post_init__(self) -> None:
        """Check the key, the slots and the salience.

        Raises:
            InvalidItemError: An empty key, an unknown slot, or a salience that is not finite.
        """
        if not isinstance(self.key, str):
            raise InvalidItemError(f"a trace's key must be a text, got {type(self.key).__name__}")
        for name in ("key", "span_ref", "state_sketch"):
            object.__setattr__(self, name, clean_text(getattr(self, name)))
        object.__setattr__(self, "tags", tuple(map(clean_text, self.tags)))
        if not self.key.strip():
            raise InvalidItemError("a trace needs a key, got an empty text")
        if unknown := set(self.slots) - set(SLOTS):
            raise InvalidItemError(f"unknown slots {sorted(unknown)}: expected some of {', '.join(SLOTS)}")
        if wrong := {name: value for name, value in self.slots.items() if not isinstance(value, str)}:
            raise InvalidItemError(f"slots must be texts, got {wrong}")
        object.__setattr__(self, "slots", {name: clean_text(value) for name, value in self.slots.items()})
        if not abs(self.salience) < float("inf"):
            raise InvalidItemError(f"salience must be finite, got {self.salience}")

    @property
    def provenance(self) -> Provenance:
        """The origin as a :class:`Provenance`."""
        return origin_of(self.origin)

    @property
    def digest(self) -> str:
        """SHA-256 of the key and the slots ``who``, ``what`` and ``where``; equal for the same event."""
        slot = self.slots.get
        return digest(self.key, slot("who", ""), slot("what", ""), slot("where", ""))


@dataclass(frozen=True, slots=True)
class Trace:
    """One remembered event.

    Attributes:
        id: Row in ``traces``.
        key: The text that recall searches by.
        entity_slots: Values of ``who``, ``what``, ``where`` and ``when``; an absent one is an empty string.
        tokens_span_ref: Pointer to the words in a log, for example ``"ep3/step12"``.
        state_sketch: Short description of the state in which it was observed.
        salience_tags: Why it was kept, for example ``("reward",)``.
        salience: Greatest score that the write gate gave it.
        pinned: Kept on purpose.
        strength: How many times the same event was written.
        time: Latest time of its origins, in seconds since the epoch.
        provenance: Origins, oldest first.
    """

    id: int
    key: str
    entity_slots: Mapping[Slot, str]
    tokens_span_ref: str
    state_sketch: str
    salience_tags: tuple[str, ...]
    salience: float
    pinned: bool
    strength: int
    time: float
    provenance: tuple[Provenance, ...]


_ORIGIN = 13  # the column in which the origin begins
_MARKS = 64  # up to so many ids are parameters each, which is quicker than a list in JSON
_SELECT = (
    'SELECT t.id, t.key, t.who, t.what, t."where", t."when", t.span_ref, t.state_sketch, t.salience_tags, t.salience,'
    f" t.pinned, t.strength, t.time, {provenance.ORIGIN} FROM traces t LEFT JOIN provenance p"
    " ON p.item_table = 'traces' AND p.item_id = t.id AND p.role = 'said' WHERE t.id IN"
)
_ORDER = "ORDER BY t.id, p.id"


def digest(key: str, who: str, what: str, where: str) -> str:
    """Return the SHA-256 of what identifies an event; its time is not part of it."""
    listed = ", ".join(map(encode_basestring_ascii, (key, who, what, where)))
    return hashlib.sha256(f"[{listed}]".encode()).hexdigest()  # the same bytes as json.dumps, but faster


def read(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Trace]:
    """Return traces by id; ids without a row are left out."""
    rows = _rows(db, list(ids))
    origins: defaultdict[int, list[Provenance]] = defaultdict(list)
    for row in rows:
        if row[_ORIGIN] is not None:
            origins[row[0]].append(provenance.from_row(db, *row[_ORIGIN:]))
    traces: dict[int, Trace] = {}
    for row_id, key, who, what, where, when, span, sketch, tags, salience, pinned, strength, time, *_ in rows:
        if row_id not in traces:
            traces[row_id] = Trace(
                row_id,
                key,
                {"who": who, "what": what, "where": where, "when": when},
                span,
                sketch,
                tuple(json.loads(tags)) if tags != "[]" else (),
                salience,
                bool(pinned),
                strength,
                time,
                tuple(origins[row_id]),
            )
    return traces


def _rows(db: sqlite3.Connection, ids: list[int]) -> list[Any]:
    """Return the rows of traces, once for each of their origins, the oldest first."""
    if len(ids) <= _MARKS:
        with suppress(OverflowError):  # an id that is no 64-bit number
            return db.execute(f"{_SELECT} ({', '.join('?' * len(ids))}) {_ORDER}", ids).fetchall()
    return db.execute(f"{_SELECT} (SELECT value FROM json_each(?)) {_ORDER}", (json.dumps(ids),)).fetchall()
