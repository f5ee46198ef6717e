"""The store of traces of what happened: each event is written once and recalled from partial cues."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from time import time as now
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory import provenance
from memory.clean import clean_text
from memory.embedder_record import EmbedderRecord
from memory.embedding import Embedder
from memory.episodic.lexical import BATCH, flush
from memory.episodic.recall import Cue, Recall, RecallConfig, Searcher
from memory.episodic.replay import ReplayQueue
from memory.episodic.retention import Retention
from memory.episodic.trace import NEXT_TRACE, Event, Trace, digest, read
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance
from memory.scripts import marked
from memory.stems import stems
from memory.store import Store
from memory.vectors import VectorIndex

Vectors = NDArray[np.float32]

_UNIT = (0.998, 1.002)  # range of squared lengths that count as 1

_INSERT = (
    'INSERT INTO traces(id, hash, key, vector, who, what, "where", "when", state_sketch,'
    f" salience_tags, span_ref, salience, pinned, time, terms) VALUES ({NEXT_TRACE},?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    " ON CONFLICT(hash) DO NOTHING"
)
_STRENGTHEN = (
    "UPDATE traces SET strength = strength + 1, salience = max(salience, ?), pinned = max(pinned, ?),"
    " time = max(time, ?) WHERE hash = ? RETURNING id"
)


class EpisodicStore:
    """Store of traces in SQLite, searched by similarity of embedded keys and by shared words.

    Args:
        store: The database.
        embedder: Turns keys and cues into vectors.
        index: The index over ``traces.vector``.
        recall: Settings of recall.
        retention: Which traces are kept, and for how long.
        record: Checks at a write that the embedder is the one of the earlier writes.

    Attributes:
        replay: The queue that offline learning draws from.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        index: VectorIndex,
        recall: RecallConfig | None = None,
        retention: Retention | None = None,
        record: EmbedderRecord | None = None,
    ) -> None:
        self.store = store
        self.embedder = embedder
        self.index = index
        self.retention = retention or Retention()
        self.replay = ReplayQueue(store)
        self._unflushed = 0
        self._searcher = Searcher(store, embedder, index, recall or RecallConfig())
        self._record = record

    def __len__(self) -> int:
        """Return the count of traces."""
        with self.store.lock:
            return int(self.store.db.execute("SELECT count(*) FROM traces").fetchone()[0])

    def write(
        self,
        key: str | Vectors,
        value: Mapping[str, Any] | None = None,
        *,
        origin: Provenance | str | None = None,
        span_ref: str = "",
        state_sketch: str = "",
        tags: tuple[str, ...] = (),
        salience: float = 0.0,
        pinned: bool = False,
    ) -> int:
        """Write one event durably and return its id.

        Writing the same event again (same key, who, what and where) strengthens its row and adds an
        origin instead of a second row.

        Args:
            key: The text that recall searches by; or its embedding, float32 ``[dim]`` of length 1, with the text as
                ``value["text"]`` if it has one.
            value: Values of the slots ``who``, ``what``, ``where`` and ``when``.
            origin: Who said so; a plain string is the name of the source.
            span_ref: Pointer to the words in a log.
            state_sketch: Short description of the state.
            tags: Why it is kept.
            salience: Score of the write gate.
            pinned: Whether to keep it on purpose; it is never evicted then.

        Raises:
            InvalidItemError: An empty key, an unknown slot, or an event that is stored with another vector; nothing is
                written.
            StorageError: The disk is full; nothing is written.
        """
        slots = dict(value or {})
        if isinstance(key, str):
            event = Event(key, slots, origin, span_ref, state_sketch, tags, salience, pinned)  # type: ignore[arg-type]
            return self.write_many([event])[0]
        vector = self.index.check(key)
        text = slots.pop("text", None)
        named = str(text) if text else f"vector {hashlib.sha256(vector.tobytes()).hexdigest()[:16]}"
        event = Event(named, slots, origin, span_ref, state_sketch, tags, salience, pinned)  # type: ignore[arg-type]
        with self.store.write() as db:
            known = db.execute("SELECT vector FROM traces WHERE hash = ?", (event.digest,)).fetchone()
            if known is not None and not np.allclose(np.frombuffer(known[0], np.float32), vector, atol=1e-4):
                raise InvalidItemError(f"{named!r} is stored with another vector: give it another text or other slots")
            return self.write_many([event], vector[None])[0]

    def write_many(self, events: Sequence[Event], vectors: Vectors | None = None) -> list[int]:
        """Write several events in one transaction, all or none, and return their ids in order.

        Args:
            events: The events to write.
            vectors: Their embedded keys, float32 ``[len(events), dim]``, of length 1; computed if missing.

        Raises:
            InvalidItemError: Wrong shape or length, or a value that is not finite; nothing is written.
        """
        if not events:
            return []
        if self._record is not None:
            self._record.check_probe()
        vectors = self._checked(self.embedder.embed([e.key for e in events]) if vectors is None else vectors, events)
        with self.store.write():
            ids = [self._put(event, vector) for event, vector in zip(events, vectors, strict=True)]
            self._unflushed += len(ids)
            if self._unflushed >= BATCH:
                self.flush()
            if self.retention.limited:
                self.retention.enforce(self.store, now(), spare=ids)
        return ids

    def flush(self) -> None:
        """Add the newest rows to the full-text index if there are many; recall finds them either way."""
        flush(self.store.db, BATCH)
        self._unflushed = 0

    def _checked(self, vectors: Vectors, events: Sequence[Event]) -> Vectors:
        checked = np.asarray(vectors, np.float32)
        expected = (len(events), self.index.dim)
        if checked.shape != expected:
            raise InvalidItemError(f"vectors must have shape {expected}, got {checked.shape}")
        squares = np.einsum("ij,ij->i", checked, checked)
        if not (_UNIT[0] < squares.min() and squares.max() < _UNIT[1]):
            lengths = np.linalg.norm(checked, axis=1)
            if not np.isfinite(checked).all():
                raise InvalidItemError("vectors have values that are not finite")
            raise InvalidItemError(
                f"vectors must have length 1, got lengths {lengths.min():.3g} to {lengths.max():.3g}"
            )
        return checked

    def _put(self, event: Event, vector: Vectors) -> int:
        db, origin, slot = self.store.db, event.provenance, event.slots.get
        name, when, pinned = event.digest, slot("when", ""), int(event.pinned)
        tags = json.dumps(event.tags) if event.tags else ""
        contribution: dict[str, Any] = {"n": 1, "salience": float(event.salience), "pinned": pinned}
        if when:
            contribution["when"] = when
        if event.state_sketch:
            contribution["state_sketch"] = event.state_sketch
        if event.span_ref:
            contribution["span_ref"] = event.span_ref
        if tags:
            contribution["salience_tags"] = tags
        row = (
            name,
            event.key,
            vector.tobytes(),
            slot("who", ""),
            slot("what", ""),
            slot("where", ""),
            when,
            event.state_sketch,
            tags or "[]",
            event.span_ref,
            event.salience,
            pinned,
            origin.time,
            marked(event.key, slot("who"), slot("what"), slot("where"), when),
        )
        cursor = db.execute(_INSERT, row)
        fresh = cursor.rowcount == 1
        trace_id = cursor.lastrowid if fresh else None
        if trace_id is None:
            trace_id = db.execute(_STRENGTHEN, (event.salience, pinned, origin.time, name)).fetchone()[0]
        provenance.add(db, ("traces", trace_id), origin, contribution, fresh=fresh)
        return int(trace_id)

    def answers(self, question: Cue, k: int = 5) -> list[Recall]:
        """Return what :meth:`recall` finds, without the traces that are no answer: nothing if the answer is not there.

        A trace counts if it is similar enough to the question (the embedder's ``answer_min``, calibrated on questions
        with and without an answer; docs/results/reports.md), or if it holds every content word of the question.

        Args:
            question: As in :meth:`recall`; by slots or a vector, all that is found counts.
            k: At least 1.
        """
        hits = self.recall(question, k)
        least = getattr(self.embedder, "answer_min", None)
        if least is None or not isinstance(question, str):
            return hits
        words = set(stems(question))
        return [
            hit
            for hit in hits
            if hit.similarity >= least
            or (words and words <= set(stems(" ".join([hit.trace.key, *hit.trace.entity_slots.values()]))))
        ]

    def recall(self, query: Cue, k: int = 5) -> list[Recall]:
        """Return the ``k`` traces that match ``query`` best, best first; fewer if the store has fewer.

        Args:
            query: A text; or the values of some slots, as ``{"who": "Ada", "where": "kitchen"}``; or an embedded
                text, float32 ``[dim]`` of length 1.
            k: At least 1.

        Raises:
            InvalidItemError: An empty cue, an unknown slot, a vector of another shape or with values
                that are not finite, or ``k`` below 1.
        """
        with self.store.lock:
            ranked = self._searcher.rank(query, k)
            traces = read(self.store.db, [hit[0] for hit in ranked])
        return [Recall(traces[i], score, near, covered) for i, score, near, covered in ranked if i in traces]

    def configure(self, recall: RecallConfig) -> None:
        """Replace the settings of recall."""
        self._searcher = Searcher(self.store, self.embedder, self.index, recall)

    def novelty(self, text: str) -> float:
        """Return how much ``text`` differs from everything remembered: 1 minus the greatest cosine, in [0, 1]."""
        hits = self.index.search(self.embedder.embed([clean_text(text)])[0], 1)
        return float(np.clip(1.0 - hits[0][1], 0.0, 1.0)) if hits else 1.0

    def get(self, trace_id: int) -> Trace:
        """Return one trace.

        Raises:
            UnknownItemError: There is no such row.
        """
        with self.store.lock:
            traces = read(self.store.db, [trace_id])
        if trace_id not in traces:
            raise UnknownItemError(f"no trace has id {trace_id}; there are {len(self)} traces")
        return traces[trace_id]

    def existing(self, trace_ids: Sequence[int]) -> list[int]:
        """Return those of the ids that belong to a trace, in the same order."""
        with self.store.lock:
            traces = read(self.store.db, trace_ids)
        return [trace_id for trace_id in trace_ids if trace_id in traces]

    def move(self, places: Mapping[str, str]) -> None:
        """Rename values of the slot ``where``, for example after two maps were merged.

        A trace that becomes identical to another is merged with it and strengthens it.
        """
        with self.store.write() as db:
            flush(db)  # rows that are only in the in-memory indexes of other processes can't be renamed there
            for old, new in places.items():
                rows = db.execute(
                    'SELECT id, key, who, what, strength, salience, pinned, time FROM traces WHERE "where" = ?', (old,)
                ).fetchall()
                for trace_id, key, who, what, *counters in rows:
                    name = digest(key, who, what, new)
                    twin = db.execute("SELECT id FROM traces WHERE hash = ?", (name,)).fetchone()
                    if twin is None:
                        db.execute('UPDATE traces SET hash = ?, "where" = ? WHERE id = ?', (name, new, trace_id))
                        continue
                    db.execute(
                        "UPDATE traces SET strength = strength + ?, salience = max(salience, ?),"
                        " pinned = max(pinned, ?), time = max(time, ?) WHERE id = ?",
                        (*counters, twin[0]),
                    )
                    provenance.repoint(db, "traces", trace_id, twin[0])
                    self.delete(trace_id)

    def delete(self, key_id: int) -> None:
        """Remove one trace and its origins; what was derived from it stays.

        :meth:`memory.Memory.forget` with ``rows=[("traces", key_id)]`` also removes what was derived from
        it, and can be undone.

        Raises:
            UnknownItemError: There is no such row.
        """
        with self.store.write() as db:
            if db.execute("DELETE FROM traces WHERE id = ?", (key_id,)).rowcount == 0:
                raise UnknownItemError(f"no trace has id {key_id}; nothing was deleted")
            provenance.release(db, "traces", key_id)

    def evict(self, time: float | None = None) -> list[int]:
        """Enforce the retention limits now and return the ids of the evicted traces.

        Args:
            time: The present, in seconds since the epoch; the system time by default.
        """
        with self.store.write():
            return self.retention.enforce(self.store, now() if time is None else time)
