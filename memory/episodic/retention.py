"""Limits of the episodic store: traces expire, and a size cap evicts the least valuable; pinned traces stay."""

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict, Field

from memory import provenance
from memory.store import Store

_VALUE = "(salience + 0.1) * strength * exp2(-max(0, :now - time) / :half_life)"
_SLACK = 50


class Retention(BaseModel):
    """Limits of the episodic store; every write enforces them.

    The value of a trace is ``(salience + 0.1) * strength * 2^(-age / half_life)``; its age is the time since
    it was last written. Pinned traces do not expire and are not evicted, but they count toward the cap. Only
    pinned traces and the traces of the current write can exceed the cap. What was derived from an evicted
    trace stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl: float | None = Field(None, gt=0, description="Seconds after which a trace expires.")
    max_traces: int | None = Field(None, ge=1, description="Greatest count of traces.")
    half_life: float = Field(7 * 86_400.0, gt=0, description="Seconds in which a trace's value halves.")

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.ttl is not None or self.max_traces is not None

    def enforce(self, store: Store, now: float, spare: Collection[int] = ()) -> list[int]:
        """Evict traces inside the current transaction and return their ids.

        Traces in ``spare`` stay this time. A store over the cap evicts a further fiftieth of the cap, so that
        a full store does not evict at every write.
        """
        ids: list[int] = []
        if self.ttl is not None:
            store.db.execute("CREATE INDEX IF NOT EXISTS traces_time ON traces(time)")
            expired = store.db.execute("SELECT id FROM traces WHERE time < ? AND NOT pinned", (now - self.ttl,))
            ids += self._evict(store, [row[0] for row in expired.fetchall() if row[0] not in spare])
        if self.max_traces is not None:
            count = store.db.execute("SELECT count(*) FROM traces").fetchone()[0]
            if count > self.max_traces:
                surplus = count - self.max_traces + self.max_traces // _SLACK
                least = self._least(store, surplus + len(spare), now)
                ids += self._evict(store, [row for row in least if row not in spare][:surplus])
        return ids

    def _least(self, store: Store, count: int, now: float) -> list[int]:
        store.db.create_function("exp2", 1, lambda x: 2.0 ** max(x, -1000.0), deterministic=True)
        rows = store.db.execute(
            f"SELECT id FROM traces WHERE NOT pinned ORDER BY {_VALUE}, id LIMIT :count",
            {"now": now, "half_life": self.half_life, "count": count},
        )
        return [row[0] for row in rows.fetchall()]

    @staticmethod
    def _evict(store: Store, ids: list[int]) -> list[int]:
        store.db.executemany("DELETE FROM traces WHERE id = ?", [(trace_id,) for trace_id in ids])
        for trace_id in ids:
            provenance.release(store.db, "traces", trace_id)
        return ids
