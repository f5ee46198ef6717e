"""Pruning of maps: the places that were not seen for longest are removed first."""

from collections.abc import Iterable
from time import time

from memory import provenance
from memory.rows import chunks
from memory.store import Store

DAY = 86_400.0


def prune(store: Store, world: str, max_places: int, ttl_days: float | None) -> list[int]:
    """Remove places that were not seen for ``ttl_days``, and the stalest ones above ``max_places``.

    A map of cells ages as a whole, because nobody ever stands on its walls; on a map of texts each place ages
    by itself. Above the cap, maps are removed in the order in which they were last seen, those of ``world``
    last; of the last map to be cut only the stalest places are removed.

    Returns:
        Ids of the removed places.
    """
    db = store.db
    count = int(db.execute("SELECT count(*) FROM places").fetchone()[0])
    if count <= max_places and ttl_days is None:
        return []
    gone: list[int] = []
    with store.write():
        if ttl_days is not None:
            old = db.execute(
                "SELECT id FROM places WHERE (context != '' AND seen < ?1 AND seen > 0) OR map IN"
                " (SELECT map FROM places WHERE context = '' GROUP BY map HAVING max(seen) < ?1 AND max(seen) > 0)",
                (time() - DAY * ttl_days,),
            )
            gone += [row[0] for row in old.fetchall()]
            _remove(store, gone)
            count -= len(gone)
        maps = db.execute("SELECT map, count(*) FROM places GROUP BY map ORDER BY max(seen)").fetchall()
        for name, size in sorted(maps, key=lambda counted: counted[0].partition("#")[0] == world):
            if count <= max_places:
                break
            rows = db.execute(
                "SELECT id FROM places WHERE map = ? ORDER BY seen, id LIMIT ?",
                (name, size if size <= count - max_places else count - max_places),
            )
            ids = [row[0] for row in rows.fetchall()]
            _remove(store, ids)
            gone += ids
            count -= len(ids)
    return gone


def _remove(store: Store, ids: Iterable[int]) -> None:
    for part in chunks(ids, 500):
        marks = ", ".join("?" * len(part))
        edges = store.db.execute(
            f"SELECT id FROM edges WHERE src IN ({marks}) OR dst IN ({marks})", (*part, *part)
        ).fetchall()
        for (edge,) in edges:
            store.db.execute("DELETE FROM edges WHERE id = ?", (edge,))
            provenance.release(store.db, "edges", edge)
        for place in part:
            store.db.execute("DELETE FROM places WHERE id = ?", (place,))
            provenance.release(store.db, "places", place)
