"""Search for traces by the words of a cue, with SQLite's full-text index (FTS5, Porter stems).

Adding one row at a time to such an index costs as much as all the rest of a durable write. Therefore new rows
are added in batches (:func:`flush`); until then every connection keeps them in a small index of its own in
main memory, the tail.

The score is the share of the cue's information that a trace holds: each word has the weight
``log(1 + N / df)``, as in inverse document frequency (Spärck Jones 1972). FTS5's own BM25 visits every
row that holds any of the words. Here the list of a word is read up to a limit, and common words are only
looked up in rows that also hold a rarer word. A cue of common words alone costs in proportion to their lists.
"""

import json
import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memory.episodic.trace import Slot
from memory.scripts import UNSPACED, WORD, terms
from memory.store import Store

Ids = NDArray[np.int64]
Weights = NDArray[np.float64]

LIST_LIMIT = 1024
"""A word that more rows hold is common: its weight is estimated from a window of the newest rows."""

BATCH = 256
"""Number of new rows after which they are added to the index in the database."""

_WINDOW = 4096
_NEAREST = 16
_COLUMNS = 'key, who, what, "where", "when", terms'


def flush(db: sqlite3.Connection, least: int = 1) -> None:
    """Add new rows to the full-text index in the database, inside the current transaction.

    Args:
        db: The connection.
        least: Do nothing if fewer ids than this are new.
    """
    last, newest = db.execute("SELECT last_id, coalesce((SELECT max(id) FROM traces), 0) FROM text_state").fetchone()
    if newest - last < least:
        return
    db.execute(f"INSERT INTO traces_text(rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM traces WHERE id > ?", (last,))
    db.execute("UPDATE text_state SET last_id = ?", (newest,))


def index_again(db: sqlite3.Connection, row: int) -> None:
    """Add a row with an id that the index has passed already, for example a row that an undo brings back."""
    db.execute('UPDATE traces SET terms = marked(key, who, what, "where", "when") WHERE id = ?', (row,))
    db.execute(
        f"INSERT INTO traces_text(rowid, {_COLUMNS}) SELECT id, {_COLUMNS} FROM traces"
        " WHERE id = ? AND id <= (SELECT last_id FROM text_state)",
        (row,),
    )


def _sum(lists: Sequence[tuple[Ids, float]]) -> tuple[Ids, Weights]:
    """Return every id in the lists, and for each the sum of the weights of the lists that hold it."""
    ids, place = np.unique(np.concatenate([ids for ids, _ in lists]), return_inverse=True)
    weights = np.concatenate([np.full(len(ids), weight) for ids, weight in lists])
    return ids, np.bincount(place, weights).astype(np.float64)


def words_of(text: str) -> list[str]:
    """Return the words of a text as expressions of the full-text index, each once."""
    whole = "".join(" " if hard else word for word, hard in _by_script(text.lower()))
    words = [*re.findall(r"[^\W_]+", whole), *terms(text, pairs_only=True)]
    return [f'"{word}"' for word in dict.fromkeys(words)]


def _by_script(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text, each with whether it is a word that has terms of its own."""
    if text.isascii():
        yield text, False
        return
    last = 0
    for match in WORD.finditer(text):
        yield text[last : match.start()], False
        last = match.end()
        if UNSPACED.search(match.group()):
            yield from ((part, False) for part in UNSPACED.split(match.group()))
        else:
            yield match.group(), next(terms(match.group()), None) is not None
    yield text[last:], False


def slots_of(cue: Mapping[Slot, str]) -> list[str]:
    """Return the slots of a cue as expressions that ask for all words of a value in its slot."""
    pairs = ((slot, " AND ".join(words_of(value))) for slot, value in cue.items())
    return [f'"{slot}" : ({words})' for slot, words in pairs if words]


class Lexical:
    """Full-text search over the traces of one database.

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
        """Add the rows that are not in the database's index yet to the index in main memory."""
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
        """Return the rows that cover most of the expressions, as ``id -> coverage`` in (0, 1].

        Args:
            expressions: From :func:`words_of` or :func:`slots_of`.
            limit: Greatest count of rows, not counting those in ``also``; of rows with equal coverage the newest.
            also: Further rows whose coverage to return if it is not 0. Rows that hold only common words are
                looked up only among the first sixteen, because each costs one query for each word.
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
                hits, scores = _sum([*rare.values()])
                filled = " OR ".join(e for e, (ids, _) in rare.items() if len(ids))
                for expression, weight in common.items():
                    scores[np.isin(hits, self._matches(f"({filled}) AND {expression}", len(hits)))] += weight
            else:
                hits, scores = self._all_common(common)
            best = np.lexsort((-hits, -scores))
            best = best[(np.arange(len(best)) < limit) | np.isin(hits[best], also)]
            covered = dict(zip(hits[best].tolist(), (scores[best] / total).tolist(), strict=True))
            known = set(hits.tolist())
            for row in (row for row in also[:_NEAREST] if row not in known):
                if weight := sum(weight for e, weight in common.items() if self._holds(row, e)):
                    covered[row] = weight / total
        return covered

    def _holds(self, row: int, expression: str) -> bool:
        hits = self.store.db.execute(
            "SELECT 1 FROM traces_text WHERE traces_text MATCH ? AND rowid = ?"
            " UNION ALL SELECT 1 FROM temp.tail WHERE tail MATCH ? AND rowid = ?",
            (expression, row, expression, row),
        )
        return hits.fetchone() is not None

    def _all_common(self, common: Mapping[str, float]) -> tuple[Ids, Weights]:
        """Return the newest rows that hold all common words; if there are none, drop the commonest and retry."""
        kept = sorted(common, key=lambda expression: -common[expression])
        while kept:
            ids = self._matches(" AND ".join(kept), newest=True)[:LIST_LIMIT]
            if len(ids):
                return ids, np.full(len(ids), sum(common[expression] for expression in kept))
            kept.pop()
        return np.zeros(0, np.int64), np.zeros(0)

    def _matches(self, expression: str, limit: int | None = None, newest: bool = False) -> Ids:
        """Return the rows that match, at most one more than the limit."""
        order = " ORDER BY rowid DESC" if newest else ""
        row = self.store.db.execute(
            "SELECT json_group_array(rowid) FROM ("
            f"SELECT * FROM (SELECT rowid FROM temp.tail WHERE tail MATCH ?{order})"
            f" UNION ALL SELECT * FROM (SELECT rowid FROM traces_text WHERE traces_text MATCH ?{order}) LIMIT ?)",
            (expression, expression, (LIST_LIMIT if limit is None else limit) + 1),
        ).fetchone()
        return np.array(json.loads(row[0]), np.int64)

    def _common_weight(self, expression: str, rows: int) -> float:
        """Return the weight of a common word, estimated from the share of the newest rows that hold it."""
        count = self.store.db.execute(
            "SELECT (SELECT count(*) FROM traces_text WHERE traces_text MATCH ? AND rowid > ?)"
            " + (SELECT count(*) FROM temp.tail WHERE tail MATCH ?)",
            (expression, rows - _WINDOW, expression),
        ).fetchone()[0]
        share = max(count, 1) / min(rows, _WINDOW)
        return math.log1p(1 / share)


def vectors_of(store: Store, ids: Sequence[int]) -> dict[int, bytes]:
    """Return the stored vectors of some rows, as bytes by id."""
    rows = store.db.execute(
        "SELECT id, vector FROM traces WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
    )
    return dict(rows.fetchall())
