"""What happened: traces, written once, recalled by similarity."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memory import provenance
from memory.embedding import Embedder
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance
from memory.store import Store
from memory.vectors import VectorIndex

Slot = Literal["who", "what", "where", "when"]
SLOTS: tuple[Slot, ...] = ("who", "what", "where", "when")


@dataclass(frozen=True, slots=True)
class Trace:
    """One remembered event.

    Attributes:
        id: Row in ``traces``.
        key: The text by which it is found.
        entity_slots: ``who``, ``what``, ``where``, ``when``; an absent one is an empty string.
        tokens_span_ref: Pointer to where the words stand in a log, for example ``"ep3/step12"``.
        state_sketch: Short description of the state it was seen in.
        salience_tags: Why it was kept, for example ``("reward",)``.
        salience: Score of the write gate when it was written.
        pinned: Kept on purpose.
        strength: How many times the same event was written.
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
    provenance: tuple[Provenance, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """A trace and its cosine similarity to the cue."""

    trace: Trace
    score: float


class EpisodicStore:
    """Traces in SQLite, found through an exact FAISS index of their embedded keys.

    Args:
        store: The database.
        embedder: Turns keys and cues into vectors.
        index: The index over ``traces.vector``.
    """

    def __init__(self, store: Store, embedder: Embedder, index: VectorIndex) -> None:
        self.store = store
        self.embedder = embedder
        self.index = index

    def __len__(self) -> int:
        """Count of traces."""
        return int(self.store.db.execute("SELECT count(*) FROM traces").fetchone()[0])

    def write(
        self,
        key: str,
        value: Mapping[Slot, str] | None = None,
        *,
        origin: Provenance,
        span_ref: str = "",
        state_sketch: str = "",
        tags: tuple[str, ...] = (),
        salience: float = 0.0,
        pinned: bool = False,
    ) -> int:
        """Write one event and return its id.

        The same event again (same key, who, what and where) strengthens its row and adds an
        origin instead of a second row.

        Args:
            key: The text by which it will be found.
            value: Entity slots ``who``, ``what``, ``where``, ``when``.
            origin: Who said so.
            span_ref: Pointer to the words in a log.
            state_sketch: Short description of the state.
            tags: Why it is kept.
            salience: Score of the write gate.
            pinned: Keep it on purpose.

        Raises:
            InvalidItemError: An empty key or an unknown slot; nothing is written.
        """
        slots = dict(value or {})
        if not key.strip():
            raise InvalidItemError("a trace needs a key, got an empty text")
        if unknown := set(slots) - set(SLOTS):
            raise InvalidItemError(f"unknown slots {sorted(unknown)}: expected some of {', '.join(SLOTS)}")
        vector = self.index.check(self.embedder.embed([key])[0])
        row = {slot: slots.get(slot, "") for slot in SLOTS}
        digest = _digest(key, row["who"], row["what"], row["where"])
        with self.store.write() as db:
            self.index.sync()
            found = db.execute("SELECT id FROM traces WHERE hash = ?", (digest,)).fetchone()
            if found:
                trace_id = int(found[0])
                db.execute(
                    "UPDATE traces SET strength = strength + 1, salience = max(salience, ?),"
                    " pinned = max(pinned, ?) WHERE id = ?",
                    (salience, pinned, trace_id),
                )
            else:
                cursor = db.execute(
                    'INSERT INTO traces(hash, key, vector, who, what, "where", "when", state_sketch,'
                    " salience_tags, span_ref, salience, pinned) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        digest, key, vector.tobytes(), *(row[slot] for slot in SLOTS), state_sketch,
                        json.dumps(list(tags)), span_ref, salience, pinned,
                    ),
                )  # fmt: skip
                trace_id = int(cursor.lastrowid or 0)
                self.store.bump()
                self.index.add(trace_id, vector)
            provenance.add(db, "traces", trace_id, origin)
        return trace_id

    def recall(self, query: str, k: int = 5) -> list[Recall]:
        """The ``k`` traces whose keys are nearest to ``query``, best first.

        Raises:
            InvalidItemError: An empty cue, or ``k`` below 1.
        """
        if not query.strip():
            raise InvalidItemError("recall needs a cue, got an empty text")
        hits = self.index.search(self.embedder.embed([query])[0], k)
        return [Recall(self.get(trace_id), score) for trace_id, score in hits]

    def novelty(self, text: str) -> float:
        """How unlike everything remembered ``text`` is: 1 minus the greatest cosine, in [0, 1]."""
        hits = self.index.search(self.embedder.embed([text])[0], 1)
        return float(np.clip(1.0 - hits[0][1], 0.0, 1.0)) if hits else 1.0

    def get(self, trace_id: int) -> Trace:
        """One trace.

        Raises:
            UnknownItemError: There is no such row.
        """
        row = self.store.db.execute(
            'SELECT key, who, what, "where", "when", span_ref, state_sketch, salience_tags, salience,'
            " pinned, strength FROM traces WHERE id = ?",
            (trace_id,),
        ).fetchone()
        if row is None:
            raise UnknownItemError(f"no trace has id {trace_id}; there are {len(self)} traces")
        return Trace(
            id=trace_id,
            key=row[0],
            entity_slots=dict(zip(SLOTS, row[1:5], strict=True)),
            tokens_span_ref=row[5],
            state_sketch=row[6],
            salience_tags=tuple(json.loads(row[7])),
            salience=row[8],
            pinned=bool(row[9]),
            strength=row[10],
            provenance=provenance.of(self.store.db, "traces", trace_id),
        )

    def move(self, places: Mapping[str, str]) -> None:
        """Rename values of the slot ``where``, as when two maps turn out to be one.

        A trace that thereby becomes the same as another strengthens that one.
        """
        with self.store.write() as db:
            self.index.sync()
            for old, new in places.items():
                rows = db.execute(
                    'SELECT id, key, who, what, strength FROM traces WHERE "where" = ?', (old,)
                ).fetchall()
                for trace_id, key, who, what, strength in rows:
                    digest = _digest(key, who, what, new)
                    twin = db.execute("SELECT id FROM traces WHERE hash = ?", (digest,)).fetchone()
                    if twin is None:
                        db.execute('UPDATE traces SET hash = ?, "where" = ? WHERE id = ?', (digest, new, trace_id))
                        continue
                    db.execute("UPDATE traces SET strength = strength + ? WHERE id = ?", (strength, twin[0]))
                    provenance.repoint(db, "traces", trace_id, twin[0])
                    self.delete(trace_id)

    def delete(self, trace_id: int) -> None:
        """Remove one trace and its origins.

        Raises:
            UnknownItemError: There is no such row.
        """
        with self.store.write() as db:
            self.index.sync()
            if db.execute("DELETE FROM traces WHERE id = ?", (trace_id,)).rowcount == 0:
                raise UnknownItemError(f"no trace has id {trace_id}; nothing was deleted")
            db.execute("DELETE FROM provenance WHERE item_table = 'traces' AND item_id = ?", (trace_id,))
            self.store.bump()
            self.index.remove(trace_id)


def _digest(key: str, who: str, what: str, where: str) -> str:
    """What makes an event the same event."""
    return hashlib.sha256(json.dumps([key, who, what, where]).encode()).hexdigest()
