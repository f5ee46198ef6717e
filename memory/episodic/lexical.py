"""Words of a cue to traces, through SQLite's full-text index (FTS5, Porter stems).

The score is the share of the cue's information that a trace holds: each word weighs
``log(1 + N / df)`` as in inverse document frequency (Spärck Jones 1972). FTS5's own BM25 visits every
row that holds any of the words; here a word's list is read to a limit, so that the cost does not
grow with the store.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memory.episodic.trace import Slot
from memory.store import Store

Ids = NDArray[np.int64]
Weights = NDArray[np.float64]

LIST_LIMIT = 1024
"""A word with a longer list is common: it weighs what a window of rows suggests."""

_WINDOW = 4096


def _sum(lists: Sequence[tuple[Ids, float]]) -> tuple[Ids, Weights]:
    """Every id in the lists, with the weights of the lists that hold it summed."""
    ids, place = np.unique(np.concatenate([ids for ids, _ in lists]), return_inverse=True)
    weights = np.concatenate([np.full(len(ids), weight) for ids, weight in lists])
    return ids, np.bincount(place, weights).astype(np.float64)


def words_of(text: str) -> list[str]:
    """The words of a text as expressions of the full-text index, each once."""
    return [f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", text.lower()))]


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

    def search(self, expressions: Sequence[str], limit: int = 64) -> dict[int, float]:
        """Rows that hold most of what the expressions ask, as ``id -> coverage`` in (0, 1].

        Args:
            expressions: From :func:`words_of` or :func:`slots_of`.
            limit: Greatest count of rows.
        """
        rows = self._rows()
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
                both = self._matches(f"({filled}) AND {expression}", len(found))
                scores[np.isin(found, both)] += weight
        else:
            found, scores = self._all_common(common)
        best = np.lexsort((found, -scores))[:limit]
        return dict(zip(found[best].tolist(), (scores[best] / total).tolist(), strict=True))

    def _all_common(self, common: Mapping[str, float]) -> tuple[Ids, Weights]:
        """Rows that hold all common words, or all but the commonest, and so on; the newest of them."""
        kept = sorted(common, key=lambda expression: -common[expression])
        while kept:
            ids = self._matches(" AND ".join(kept), newest=True)[:LIST_LIMIT]
            if len(ids):
                return ids, np.full(len(ids), sum(common[expression] for expression in kept))
            kept.pop()
        return np.zeros(0, np.int64), np.zeros(0)

    def _matches(self, expression: str, limit: int = LIST_LIMIT, newest: bool = False) -> Ids:
        """Rows that match, one more than the limit at most."""
        found = self.store.db.execute(
            "SELECT json_group_array(rowid) FROM (SELECT rowid FROM traces_text WHERE traces_text MATCH ?"
            f"{' ORDER BY rowid DESC' if newest else ''} LIMIT ?)",
            (expression, limit + 1),
        ).fetchone()
        return np.array(json.loads(found[0]), np.int64)

    def _rows(self) -> int:
        return int(self.store.db.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()[0])

    def _common_weight(self, expression: str, rows: int) -> float:
        """The weight of a common word, from its share of the newest rows."""
        count = self.store.db.execute(
            "SELECT count(*) FROM traces_text WHERE traces_text MATCH ? AND rowid > ?", (expression, rows - _WINDOW)
        ).fetchone()[0]
        share = max(count, 1) / min(rows, _WINDOW)
        return math.log1p(1 / share)


def vectors_of(store: Store, ids: Sequence[int]) -> dict[int, bytes]:
    """Stored vectors of some rows."""
    rows = store.db.execute(
        "SELECT id, vector FROM traces WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
    )
    return dict(rows.fetchall())
