"""The effect of the replay scheduler: the same streams of events, with it, without single parts, and uniformly.

A stream of events comes in six parts, each followed by four batches. A quarter of the events are near repeats of
another one (the same on another day), and each has a score as from the write gate. Measured for every stream:

- ``high_first``: share of the tenth with the highest scores that was replayed when the stream ends;
- ``old``: share of the batches after the last part that was replayed before;
- ``alike``: share of a batch that has another member within cosine 0.95.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.probes.stories import DAYS, stories
from eval.statistics import bootstrap_ci
from memory import Embedder, Memory, MiniLMEmbedder, Provenance
from memory.episodic import ReplayConfig

PARTS, PART, BATCHES, SIZE = 6, 80, 4, 16
ALIKE = 0.95
WAYS: Mapping[str, ReplayConfig | None] = {
    "the scheduler (default)": ReplayConfig(),
    "without priorities": ReplayConfig(alpha=0.0),
    "without variety": ReplayConfig(max_similarity=1.0, w_diversity=0.0),
    "without interleaving": ReplayConfig(old_share=0.0),
    "without it: even draws": None,
}
MEASURES = ("high_first", "old", "alike")


def stream(seed: int) -> list[tuple[str, float]]:
    """Sentences in the order told, each with the score that the write gate gave it."""
    rng = np.random.default_rng(seed)
    sentences = [story.sentence for story in stories(PARTS * PART, seed)]
    for index in rng.choice(len(sentences) - 1, len(sentences) // 4, replace=False) + 1:
        sentences[index] = _another_day(sentences[rng.integers(index)], rng)
    return list(zip(sentences, rng.exponential(1.0, len(sentences)).tolist(), strict=True))


def _another_day(sentence: str, rng: np.random.Generator) -> str:
    for day in DAYS:
        sentence = sentence.replace(day, str(rng.choice(DAYS)))
    return sentence


def play(events: Sequence[tuple[str, float]], config: ReplayConfig | None, embedder: Embedder) -> dict[str, float]:
    """Replay one stream in one way, or by even draws over all traces; its measures."""
    rng = np.random.default_rng(0)
    with Memory.open(None, embedder) as memory:
        replayed: set[int] = set()
        last_old, alike = [], []
        for part in range(PARTS):
            for text, score in events[part * PART : (part + 1) * PART]:
                memory.episodic.write(text, {"who": "agent"}, origin=Provenance("bench"), salience=score)
            for _ in range(BATCHES):
                if config is None:
                    held = [row[0] for row in memory.store.db.execute("SELECT id FROM traces ORDER BY id")]
                    batch = rng.choice(held, SIZE, replace=False).tolist()
                else:
                    batch = [item.key_id for item in memory.episodic.replay.draw(SIZE, config)]
                if part == PARTS - 1:
                    last_old.append(np.mean([trace in replayed for trace in batch]))
                alike.append(_alike(memory, batch))
                replayed |= {*batch}
        rows = memory.store.db.execute("SELECT id FROM traces ORDER BY salience DESC").fetchall()
    top = {row[0] for row in rows[: len(rows) // 10]}
    return {
        "high_first": len(top & replayed) / len(top),
        "old": float(np.mean(last_old)),
        "alike": float(np.mean(alike)),
    }


def _alike(memory: Memory, batch: Sequence[int]) -> float:
    vectors = memory.embedder.embed([memory.episodic.get(trace).key for trace in batch])
    cosines = vectors @ vectors.T - 2 * np.eye(len(batch))
    return float((cosines.max(1) > ALIKE).mean())


def measure(streams: int, embedder: Embedder | None = None) -> dict[str, Any]:
    """Every way on the same streams; means with 95 % intervals over streams."""
    embedder = embedder or MiniLMEmbedder(cache_size=100_000)
    events = [stream(seed) for seed in range(streams)]
    embedder.embed([text for sequence in events for text, _ in sequence])  # many at once are quicker
    by_way = {}
    for name, config in WAYS.items():
        rows = [play(sequence, config, embedder) for sequence in events]
        by_way[name] = {
            key: {"mean": float(np.mean([row[key] for row in rows])), "ci95": bootstrap_ci([row[key] for row in rows])}
            for key in MEASURES
        }
    return {"streams": streams, "events": PARTS * PART, "ways": by_way}
