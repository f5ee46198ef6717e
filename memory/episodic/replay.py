"""The replay queue: which traces offline learning sees again, and in which batches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from memory.coarse import stacked
from memory.errors import InvalidItemError
from memory.store import Store

Vectors = NDArray[np.float32]

SIGNATURE_BITS = 16
_CHUNK = 20_000


class ReplayConfig(BaseModel):
    """Settings for drawing batches.

    The priority of a trace is ``w_salience * S / max S + w_recency * 2^(-age / half_life) +
    w_diversity / n``. S is the score of the write gate, age is the count of traces written since, and n is
    the count of traces with the same signature. A batch is drawn without replacement with probability proportional to
    ``priority ** alpha`` (Schaul et al. 2016).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    w_salience: float = Field(1.0, ge=0)
    w_recency: float = Field(0.5, ge=0)
    w_diversity: float = Field(0.5, ge=0)
    half_life: float = Field(1000.0, gt=0, description="New traces after which recency has halved.")
    alpha: float = Field(1.0, ge=0, description="Exponent of the priority; 0 draws all traces with equal probability.")
    max_similarity: float = Field(0.95, ge=-1, le=1, description="Greatest allowed cosine of two keys in one batch.")
    old_share: float = Field(0.5, ge=0, le=1, description="Share of a batch that is taken from traces replayed before.")
    seed: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One trace in a batch.

    Attributes:
        key_id: Row in ``traces``.
        S: Score of the write gate.
        recency: 1 for the newest trace, halved every half-life.
        diversity_sig: Signature of the key: its signs along 16 random directions (SimHash, Charikar 2002).
        timestamp: When it was last written, seconds since the epoch.
        priority: Weight with which it was drawn.
        replays: How often it was drawn before.
    """

    key_id: int
    S: float
    recency: float
    diversity_sig: int
    timestamp: float
    priority: float
    replays: int


class ReplayQueue:
    """Queue that draws prioritized, varied batches of old and new traces.

    SQLite stores how often each trace was drawn and how many batches there were, so a reopened queue
    continues where it stopped. The same memory, seed and number of batches give the same batch.

    Args:
        store: The database.
        config: Settings for drawing batches.
    """

    def __init__(self, store: Store, config: ReplayConfig | None = None) -> None:
        self.store = store
        self.config = config or ReplayConfig()

    @property
    def draws(self) -> int:
        """Number of batches that were drawn so far."""
        return int(self.store.meta("replay_draws") or 0)

    def draw(self, size: int, config: ReplayConfig | None = None) -> list[ReplayItem]:
        """Draw the next batch: old traces, then new ones, each in the order drawn.

        The batch is smaller than ``size`` if too few traces differ enough from each other.

        Args:
            size: How many traces to draw.
            config: Settings for this batch only.

        Raises:
            InvalidItemError: ``size`` below 1.
        """
        if size < 1:
            raise InvalidItemError(f"a batch needs a size of at least 1, got {size}")
        config = config or self.config
        with self.store.write() as db:
            self._sign()
            draw = self.draws + 1
            items = self._items(config)
            rng = np.random.default_rng((config.seed, draw))
            chosen = self._choose(items, size, config, rng)
            db.executemany(
                "UPDATE replay SET replays = replays + 1, last_draw = ? WHERE trace_id = ?",
                [(draw, item.key_id) for item in chosen],
            )
            self.store.set_meta("replay_draws", str(draw))
        return chosen

    def peek(self, size: int) -> list[ReplayItem]:
        """Return the traces of highest priority, without drawing them."""
        with self.store.write():
            self._sign()
            items = self._items(self.config)
        return sorted(items, key=lambda item: (-item.priority, item.key_id))[:size]

    def _items(self, config: ReplayConfig) -> list[ReplayItem]:
        rows = self.store.db.execute(
            "SELECT t.id, t.salience, t.time, r.diversity_sig, r.replays FROM traces t"
            " JOIN replay r ON r.trace_id = t.id ORDER BY t.id"
        ).fetchall()
        if not rows:
            return []
        salience = np.array([row[1] for row in rows])
        age = np.empty(len(rows))
        age[np.lexsort(([row[0] for row in rows], [row[2] for row in rows]))[::-1]] = np.arange(len(rows))
        recency = 0.5 ** (age / config.half_life)
        _, inverse, counts = np.unique([row[3] for row in rows], return_inverse=True, return_counts=True)
        priority = (
            config.w_salience * np.clip(salience, 0, None) / max(salience.max(), 1e-9)
            + config.w_recency * recency
            + config.w_diversity / counts[inverse]
        )
        return [
            ReplayItem(row[0], row[1], float(recent), row[3], row[2], float(value), row[4])
            for row, recent, value in zip(rows, recency, priority, strict=True)
        ]

    def _choose(
        self, items: list[ReplayItem], size: int, config: ReplayConfig, rng: np.random.Generator
    ) -> list[ReplayItem]:
        """Choose old and new traces by their shares, each group in the order of a weighted lottery."""
        # Adding Gumbel noise to log weights and sorting draws without replacement (Vieira 2014).
        weights = np.log(np.maximum([item.priority for item in items], 1e-12)) * config.alpha
        lottery = weights + rng.gumbel(size=len(items))
        order = [items[i] for i in np.argsort(-lottery, kind="stable")]
        old = [item for item in order if item.replays]
        new = [item for item in order if not item.replays]
        from_old = min(round(size * config.old_share), len(old))
        vectors: dict[int, Vectors] = {}
        chosen = self._unlike(old, from_old, [], vectors, config)
        chosen = self._unlike(new, size, chosen, vectors, config)
        return self._unlike([item for item in old if item.key_id not in vectors], size, chosen, vectors, config)

    def _unlike(
        self,
        pool: list[ReplayItem],
        size: int,
        chosen: list[ReplayItem],
        vectors: dict[int, Vectors],
        config: ReplayConfig,
    ) -> list[ReplayItem]:
        """Take traces from the pool in order, and skip those that are too similar to one already taken."""
        chosen = list(chosen)
        for item in pool:
            if len(chosen) >= size:
                break
            vector = self._vector(item.key_id)
            taken = [vectors[other.key_id] for other in chosen]
            if taken and float((np.stack(taken) @ vector).max()) > config.max_similarity + 1e-6:
                continue
            vectors[item.key_id] = vector
            chosen.append(item)
        return chosen

    def _vector(self, trace_id: int) -> Vectors:
        row = self.store.db.execute("SELECT vector FROM traces WHERE id = ?", (trace_id,)).fetchone()
        return np.asarray(stacked([row[0]], self._width())[0], np.float32)

    def _width(self) -> int:
        """Return the count of values of a vector, as the memory records it."""
        return int(self.store.meta("embedder_dim") or 0)

    def _sign(self) -> None:
        """Compute the signature of every trace that has none, and insert its row of replay statistics."""
        planes: Vectors | None = None
        while rows := self.store.db.execute(
            "SELECT id, vector FROM traces WHERE id NOT IN (SELECT trace_id FROM replay) LIMIT ?", (_CHUNK,)
        ).fetchall():
            vectors = stacked([row[1] for row in rows], self._width())
            if planes is None:
                planes = np.random.default_rng(0).standard_normal((vectors.shape[1], SIGNATURE_BITS), np.float32)
            bits = (vectors @ planes > 0) @ (1 << np.arange(SIGNATURE_BITS, dtype=np.int64))
            self.store.db.executemany(
                "INSERT INTO replay(trace_id, diversity_sig) VALUES (?, ?)",
                [(row[0], int(sig)) for row, sig in zip(rows, bits, strict=True)],
            )
