"""Words of a cue to traces, through SQLite's full-text index (FTS5, Porter stems).

Adding one row at a time to such an index costs as much as all the rest of a durable write, so the newest rows
are added by the hundred (:func:`flush`); until then every connection keeps them in a small index of its
own in main memory.

The score is the share of the cue's information that a trace holds: each word weighs
``log(1 + N / df)`` as in inverse document frequency (Spärck Jones 1972). FTS5's own BM25 visits every
row that holds any of the words; here a word's list is read to a limit, and common words are looked up
only beside rarer ones. A cue of nothing but common words costs in proportion to their lists.
"""

import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memory.episodic.trace import Slot
from memory.store import Store

Ids = NDArray[np.int64]
Weights = NDArray[np.float64]

LIST_LIMIT = 1024
"""A word with a longer list is common: it weighs what a window of rows suggests."""

BATCH = 256
"""Every so many rows the index in the database takes in the newest."""

_WINDOW = 4096
_NEAREST = 16
_COLUMNS = 'key, who, what, "where", "when"'


def flush(db: sqlite3.Connection, least: int = 1) -> None:
    """Bring the index in the database level with the rows, inside the transaction under way.

    Args:
        db: The connection.
        least: Do nothing while fewer ids than this are new.
    """
    last, newest = db.execute("SELECT last_id, coalesce((SELECT max(id) FROM traces), 0) FROM text_state").fetchone()
    if newest - last < least:
        return
    db.execute(f"INSERT INTO traces_text(rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM traces WHERE id > ?", (last,))
    db.execute("UPDATE text_state SET last_id = ?", (newest,))


def index_again(db: sqlite3.Connection, row: int) -> None:
    """Add a row whose id the index has passed already, as when it comes back."""
    db.execute(
        f"INSERT INTO traces_text(rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM traces"
        " WHERE id = ? AND id <= (SELECT last_id FROM text_state)",
        (row,),
    )


def _sum(lists: Sequence[tuple[Ids, float]]) -> tuple[Ids, Weights]:
    """Every id in the lists, with the weights of the lists that hold it summed."""
    ids, place = np.unique(np.concatenate([ids for ids, _ in lists]), return_inverse=True)
    weights = np.concatenate([np.full(len(ids), weight) for ids, weight in lists])
    return ids, np.bincount(place, weights).astype(np.float64)


def words_of(text: str) -> list[str]:
    """The words of a text as expressions of the full-text index, each once."""
    return [f'"{word}"' for word in dict.fromkeys(re.findall(r"[^\W_]+", text.lower()))]


def slots_of(cue: Mapping[Slot, str]) -> list[str]:
    """The slots of a cue as expressions: all words of the value, in that slot."""
    pairs = ((slot, " AND ".join(words_of(value))) for slot, value in cue.items())
    return [f'"{slot}" : ({words})' for slot, words in pairs if words]


class Lexical:
    """Search by words over the traces of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tail: tuple[object, ...] | None = None
        self._tail_id = 0
        store.db.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.tail USING fts5({_COLUMNS},"
            " tokenize = 'porter unicode61 remove_diacritics 2', detail = 'column', columnsize = 0)"
        )

    def _sync(self) -> None:
        """Take the rows that the database's index has not yet into the one in main memory."""
        db = self.store.db
        ground = db.execute(
            "SELECT last_id, (SELECT value FROM meta WHERE key = 'epoch'), (SELECT max(seq) FROM removed), ?"
            " FROM text_state",
            (self.store.rollbacks,),
        ).fetchone()
        if ground != self._tail:
            db.execute("DELETE FROM temp.tail")
            self._tail, self._tail_id = ground, ground[0]
        newest = db.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()[0]
        if newest > self._tail_id:
            db.execute(
                f"INSERT INTO temp.tail(rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM traces WHERE id > ? AND id <= ?",
                (self._tail_id, newest),
            )
            self._tail_id = newest

    def search(self, expressions: Sequence[str], limit: int = 64, also: Sequence[int] = ()) -> dict[int, float]:
        """Rows that hold most of what the expressions ask, as ``id -> coverage`` in (0, 1].

        Args:
            expressions: From :func:`words_of` or :func:`slots_of`.
            limit: Greatest count of rows beside those in ``also``; of equals the newest.
            also: Rows whose coverage is told too, if it is not 0. Of those that hold only common words,
                the first sixteen: each costs a look-up for each word.
        """
        with self.store.read():
            self._sync()
            rows = self._tail_id
            lists = {expression: self._matches(expression) for expression in expressions}
            common = {e: self._common_weight(e, rows) for e, ids in lists.items() if len(ids) > LIST_LIMIT}
            rare = {e: (ids, math.log1p(rows / max(len(ids), 0.5))) for e, ids in lists.items() if e not in common}
            total = sum(weight for _, weight in rare.values()) + sum(common.values())
            if not rows or not total:
                return {}
            if any(len(ids) for ids, _ in rare.values()):
                found, scores = _sum([*rare.values()])
                filled = " OR ".join(e for e, (ids, _) in rare.items() if len(ids))
                for expression, weight in common.items():
                    scores[np.isin(found, self._matches(f"({filled}) AND {expression}", len(found)))] += weight
            else:
                found, scores = self._all_common(common)
            best = np.lexsort((-found, -scores))
            best = best[(np.arange(len(best)) < limit) | np.isin(found[best], also)]
            covered = dict(zip(found[best].tolist(), (scores[best] / total).tolist(), strict=True))
            known = set(found.tolist())
            for row in (row for row in also[:_NEAREST] if row not in known):
                if weight := sum(weight for e, weight in common.items() if self._holds(row, e)):
                    covered[row] = weight / total
        return covered

    def _holds(self, row: int, expression: str) -> bool:
        found = self.store.db.execute(
            "SELECT 1 FROM traces_text WHERE traces_text MATCH ? AND rowid = ?"
            " UNION ALL SELECT 1 FROM temp.tail WHERE tail MATCH ? AND rowid = ?",
            (expression, row, expression, row),
        )
        return found.fetchone() is not None

    def _all_common(self, common: Mapping[str, float]) -> tuple[Ids, Weights]:
        """Rows that hold all common words, or all but the commonest, and so on; the newest of them."""
        kept = sorted(common, key=lambda expression: -common[expression])
        while kept:
            ids = self._matches(" AND ".join(kept), newest=True)[:LIST_LIMIT]
            if len(ids):
                return ids, np.full(len(ids), sum(common[expression] for expression in kept))
            kept.pop()
        return np.zeros(0, np.int64), np.zeros(0)

    def _matches(self, expression: str, limit: int | None = None, newest: bool = False) -> Ids:
        """Rows that match, one more than the limit at most."""
        order = " ORDER BY rowid DESC" if newest else ""
        found = self.store.db.execute(
            "SELECT json_group_array(rowid) FROM ("
            f"SELECT * FROM (SELECT rowid FROM temp.tail WHERE tail MATCH ?{order})"
            f" UNION ALL SELECT * FROM (SELECT rowid FROM traces_text WHERE traces_text MATCH ?{order}) LIMIT ?)",
            (expression, expression, (LIST_LIMIT if limit is None else limit) + 1),
        ).fetchone()
        return np.array(json.loads(found[0]), np.int64)

    def _common_weight(self, expression: str, rows: int) -> float:
        """The weight of a common word, from its share of the newest rows."""
        count = self.store.db.execute(
            "SELECT (SELECT count(*) FROM traces_text WHERE traces_text MATCH ? AND rowid > ?)"
            " + (SELECT count(*) FROM temp.tail WHERE tail MATCH ?)",
            (expression, rows - _WINDOW, expression),
        ).fetchone()[0]
        share = max(count, 1) / min(rows, _WINDOW)
        return math.log1p(1 / share)


def vectors_of(store: Store, ids: Sequence[int]) -> dict[int, bytes]:
    """Stored vectors of some rows."""
    rows = store.db.execute(
        "SELECT id, vector FROM traces WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
    )
    return dict(rows.fetchall())
