"""Index of which names occur in which traces: the links between traces and facts."""

import json
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from memory.episodic.lexical import flush
from memory.relational.names import MAX_NAME_WORDS, fold
from memory.store import Store

TITLE = 2.0
"""Weight of the name that is a passage's title; any other name has weight 1."""

_CANDIDATES = 1000
_ANEW = 20_000
_STOP = frozenset(
    "am an as at be by do go he if in is it me my no of oh on or so to up us we the and for are was were his her"
    " its they them this that with from has have had not but who what when where which one two first new all other"
    " some more most than then also only into over after before between".split()
)


def is_name(folded: str) -> bool:
    """Return whether a folded text can be a name: not a number, a function word or a single letter."""
    words = folded.split()
    return 0 < len(words) <= MAX_NAME_WORDS and len(folded) > 1 and folded not in _STOP and not folded.isdigit()


class MentionIndex:
    """Index of the names in traces, stored in the table ``mentions``; :meth:`sync` keeps it up to date.

    A name is known once a passage has it as its title, a parser found it, or a slot holds it. From then
    on every trace that contains its words is linked with it, earlier traces included.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: set[str] | None = None
        self._stamp: object = None
        self._ground: object = None

    def add(self, trace_id: int, names: Mapping[str, float]) -> None:
        """Link a trace with names and their weights, inside the transaction that writes the trace."""
        folded: dict[str, float] = {}
        for name, weight in names.items():
            key = fold(name)
            if is_name(key):
                folded[key] = max(weight, folded.get(key, 0.0))
        self._insert((trace_id, name, weight) for name, weight in folded.items())

    def _insert(self, rows: Iterable[tuple[int, str, float]]) -> None:
        self.store.db.executemany(
            "INSERT INTO mentions(trace_id, name, weight) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET weight = max(weight, excluded.weight)",
            rows,
        )

    def sync(self) -> None:
        """Link the traces that were written since the last call with the names in them."""
        db = self.store.db
        with self.store.lock:
            newest = db.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()[0]
            stamp = (newest, self.store.epoch, self.store.rollbacks)
            if stamp == self._stamp:
                return
            if self._stamp is None or stamp[1:] != self._ground:
                self._known, self._ground = None, stamp[1:]
            linked = json.loads(self.store.meta("linked") or "[0, null]")
            if linked != [newest, self.store.epoch]:
                self._link(linked)
            self._stamp = stamp

    def _link(self, linked: Sequence[object]) -> None:
        with self.store.write(upkeep=True) as db:
            flush(db)
            last, epoch = linked
            if epoch not in (None, self.store.epoch):  # a restore or an undo brought rows back under old ids
                last = 0
                least = "" if self._few() else " WHERE NOT EXISTS (SELECT 1 FROM mentions WHERE trace_id = traces.id)"
                rows = db.execute(f'SELECT id, key, who, what, "where" FROM traces{least} ORDER BY id').fetchall()
            else:
                rows = db.execute(
                    'SELECT id, key, who, what, "where" FROM traces WHERE id > ? ORDER BY id', (last,)
                ).fetchall()
            if rows:
                self._join(rows)
            newest = db.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()[0]
            self.store.set_meta("linked", json.dumps([newest, self.store.epoch]))

    def _few(self) -> bool:
        """Return whether the traces are so few that all can be linked again in a few seconds."""
        return int(self.store.db.execute("SELECT count(*) FROM traces").fetchone()[0]) <= _ANEW

    def _join(self, rows: Sequence[tuple[int, str, str, str, str]]) -> None:
        before = self._names_before(rows[0][0])
        for trace_id, _, *slots in rows:
            self.add(trace_id, dict.fromkeys((slot for slot in slots if slot), 1.0))
        known = {name for (name,) in self.store.db.execute("SELECT DISTINCT name FROM mentions")}
        ids = [row[0] for row in rows]
        for trace_id, key, *_ in rows:
            self._insert((trace_id, name, 1.0) for name in phrases(key) if name in known)
        for name in sorted(known - before):
            self._insert((trace_id, name, 1.0) for trace_id in self._holding(name, ids[0]))
        self._known = known

    def _names_before(self, trace_id: int) -> set[str]:
        """Return the names that were known before a trace was written."""
        if self._known is not None:
            return self._known
        return {
            n for (n,) in self.store.db.execute("SELECT DISTINCT name FROM mentions WHERE trace_id < ?", (trace_id,))
        }

    def _holding(self, name: str, before: int) -> Iterator[int]:
        """Yield earlier traces whose key contains the words of a name."""
        words = " AND ".join(f'"{word}"' for word in name.split())
        try:
            matches = self.store.db.execute(
                "SELECT rowid FROM traces_text WHERE traces_text MATCH ? AND rowid < ? LIMIT ?",
                (f"key : ({words})", before, _CANDIDATES),
            ).fetchall()
        except sqlite3.OperationalError:  # the full-text index can't search for one of the words
            return
        for (trace_id,) in matches:
            row = self.store.db.execute("SELECT key FROM traces WHERE id = ?", (trace_id,)).fetchone()
            if row and f" {name} " in f" {fold(row[0])} ":
                yield trace_id

    def of(self, trace_id: int) -> list[tuple[str, float]]:
        """Return the names in one trace, each with its weight."""
        rows = self.store.db.execute("SELECT name, weight FROM mentions WHERE trace_id = ?", (trace_id,))
        return rows.fetchall()

    def traces(self, name: str, most: int) -> list[tuple[int, float]]:
        """Return the newest traces that contain a folded name, at most ``most``, each with the name's weight."""
        rows = self.store.db.execute(
            "SELECT trace_id, weight FROM mentions WHERE name = ? ORDER BY trace_id DESC LIMIT ?", (name, most)
        )
        return rows.fetchall()

    def weight(self, name: str, traces: int, most: int) -> float:
        """Return the inverse document frequency of a name, ``log(1 + N / df)``; ``df`` is counted up to ``most``."""
        df = self.store.db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM mentions WHERE name = ? LIMIT ?)", (name, most)
        ).fetchone()[0]
        return math.log1p(traces / df) if df else 0.0


def phrases(text: str) -> set[str]:
    """Return all runs of up to eight words of a text, folded."""
    words = fold(re.sub(r"[()]", " ", text)).split()
    return {
        " ".join(words[start : start + size])
        for start in range(len(words))
        for size in range(1, min(MAX_NAME_WORDS, len(words) - start) + 1)
    }
