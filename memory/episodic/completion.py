"""Pattern completion: a small network that turns the vector of a partial cue into that of the whole trace.

It plays the part of CA3, which completes what the dentate gyrus separated (Treves and Rolls 1994). It is a
residual network with one hidden layer, trained on the memory's own traces: words are dropped from a trace's
text, or only some of its slots are given, and the network must find the trace's vector among all others
(InfoNCE, van den Oord et al. 2018). Off by default; docs/results/cues.md reports its effect.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from memory import provenance
from memory.coarse import stacked
from memory.embedding import Embedder
from memory.episodic.trace import SLOTS
from memory.errors import InvalidItemError
from memory.provenance import Provenance
from memory.store import Store

Vectors = NDArray[np.float32]
KIND = "completion"
_LEAST = 64


class CompletionConfig(BaseModel):
    """Settings of the training of the completion network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: int = Field(512, ge=1, description="Units of the hidden layer.")
    cues: int = Field(4, ge=1, description="Partial cues made of each trace.")
    epochs: int = Field(20, ge=1, description="Greatest count of passes; stops earlier if validation gets worse.")
    patience: int = Field(3, ge=1, description="Passes without a better validation before training stops.")
    batch: int = Field(256, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    temperature: float = Field(0.05, gt=0)
    limit: int = Field(20_000, ge=_LEAST, description="Greatest count of traces to train on; the newest are used.")
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """Trained completion network.

    Attributes:
        weights: ``w1 [dim, hidden]``, ``b1 [hidden]``, ``w2 [hidden, dim]``, ``b2 [dim]``, float32.
    """

    weights: dict[str, Vectors]

    def __call__(self, cues: Vectors) -> Vectors:
        """Complete cues, float32 ``[n, dim]``; the rows of the result have length 1."""
        w = self.weights
        completed = cues + np.maximum(cues @ w["w1"] + w["b1"], 0.0) @ w["w2"] + w["b2"]
        norms: Vectors = np.linalg.norm(completed, axis=1, keepdims=True)
        return np.asarray(completed / np.maximum(norms, 1e-9), np.float32)

    @classmethod
    def load(cls, db: sqlite3.Connection, artifact: int) -> "Completion":
        """Read a network from its row in ``artifacts``."""
        from safetensors.numpy import load

        return cls(load(db.execute("SELECT weights FROM artifacts WHERE id = ?", (artifact,)).fetchone()[0]))


def newest(db: sqlite3.Connection) -> tuple[int, str] | None:
    """Return the row and SHA-256 of the network that was trained last, or ``None``."""
    row = db.execute("SELECT id, sha256 FROM artifacts WHERE kind = ? ORDER BY id DESC LIMIT 1", (KIND,)).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def partial_cue(key: str, slots: Sequence[str], rng: np.random.Generator) -> str:
    """Make a partial cue: half of the words of the key in order, or two of the filled slots."""
    filled = [value for value in slots if value]
    if len(filled) > 2 and rng.random() < 0.5:
        return " ".join(filled[i] for i in sorted(rng.choice(len(filled), 2, replace=False)))
    words = key.split()
    kept = sorted(rng.choice(len(words), (len(words) + 1) // 2, replace=False))
    return " ".join(words[i] for i in kept)


def train(
    store: Store,
    embedder: Embedder,
    config: CompletionConfig | None = None,
    progress: Callable[[str], None] = lambda _: None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Train a network on the memory's traces and store it in the database, with its lineage.

    A tenth of the traces decides when to stop. Another tenth is for the card: recall@1 from partial cues
    of these traces, with and without the network. Forgetting any of the traces also forgets the network.

    Args:
        store: The database.
        embedder: Embeds the cues.
        config: Settings.
        progress: Called with one line of text after each pass.
        dry_run: Train and measure, but store nothing.

    Returns:
        The card.

    Raises:
        InvalidItemError: Fewer than 64 traces.
    """
    config = config or CompletionConfig()
    rows = store.db.execute(
        'SELECT id, key, vector, who, what, "where", "when" FROM traces ORDER BY id DESC LIMIT ?', (config.limit,)
    ).fetchall()
    if len(rows) < _LEAST:
        raise InvalidItemError(f"completion needs at least {_LEAST} traces to learn from, got {len(rows)}")
    rng = np.random.default_rng(config.seed)
    targets = stacked([row[2] for row in rows], embedder.dim)
    texts = [partial_cue(row[1], row[3 : 3 + len(SLOTS)], rng) for row in rows for _ in range(config.cues)]
    cues = embedder.embed(texts).reshape(len(rows), config.cues, -1)
    order, tenth = rng.permutation(len(rows)), max(1, len(rows) // 10)
    stopping, val, learning = order[:tenth], order[tenth : 2 * tenth], order[2 * tenth :]
    weights, passes = _fit(cues, targets, learning, stopping, config, progress)
    network = Completion(weights)
    card = {
        "kind": KIND,
        "embedder": embedder.name,
        "traces": len(rows),
        "reported_on": len(val),
        "passes": passes,
        "config": config.model_dump(),
        "recall@1_nearest": _recall(cues[val, 0], targets, val),
        "recall@1_completed": _recall(network(cues[val, 0]), targets, val),
    }
    if not dry_run:
        card["id"] = _keep(store, network, card, [int(row[0]) for row in rows])
    return card


def _recall(cues: Vectors, targets: Vectors, rows: NDArray[np.int64]) -> float:
    """Return the share of cues whose nearest target is their own."""
    return float(np.mean((cues @ targets.T).argmax(1) == rows))


def _fit(
    cues: Vectors,
    targets: Vectors,
    learning: NDArray[np.int64],
    stopping: NDArray[np.int64],
    config: CompletionConfig,
    progress: Callable[[str], None],
) -> tuple[dict[str, Vectors], int]:
    """Train until recall on ``stopping`` gets worse; return the best weights and the number of passes."""
    import torch

    generator = torch.Generator().manual_seed(config.seed)
    dim = targets.shape[1]
    w = {
        "w1": torch.randn(dim, config.hidden, generator=generator) * dim**-0.5,
        "b1": torch.zeros(config.hidden),
        "w2": torch.zeros(config.hidden, dim),
        "b2": torch.zeros(dim),
    }
    for weight in w.values():
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(list(w.values()), lr=config.learning_rate, weight_decay=0.01)
    x = torch.from_numpy(cues[learning].reshape(-1, dim))
    goal = torch.from_numpy(np.ascontiguousarray(targets[learning]))
    row = torch.arange(len(goal)).repeat_interleave(config.cues)
    best, best_score, since, passes = {}, -1.0, 0, 0
    for number in range(1, config.epochs + 1):
        passes = number
        for batch in torch.randperm(len(x), generator=generator).split(config.batch):
            hidden = torch.relu(x[batch] @ w["w1"] + w["b1"])
            completed = torch.nn.functional.normalize(x[batch] + hidden @ w["w2"] + w["b2"], dim=1)
            own, place = row[batch].unique(return_inverse=True)
            loss = torch.nn.functional.cross_entropy(completed @ goal[own].T / config.temperature, place)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        now = {name: weight.detach().numpy().copy() for name, weight in w.items()}
        score = _recall(Completion(now)(cues[stopping, -1]), targets, stopping)
        progress(f"pass {number}: loss {loss.item():.3f}, recall@1 {score:.3f}")
        since = 0 if score > best_score else since + 1
        if score > best_score:
            best, best_score = now, score
        if since >= config.patience:
            break
    return best, passes


def _keep(store: Store, network: Completion, card: dict[str, Any], traces: list[int]) -> int:
    """Write weights, card and lineage in one transaction."""
    from safetensors.numpy import save

    blob = save(network.weights)
    sha256 = hashlib.sha256(blob).hexdigest()
    with store.write() as db:
        for (twin,) in db.execute("SELECT id FROM artifacts WHERE kind = ? AND sha256 = ?", (KIND, sha256)).fetchall():
            db.execute("DELETE FROM artifacts WHERE id = ?", (twin,))
            provenance.release(db, "artifacts", twin)
        cursor = db.execute(
            "INSERT INTO artifacts(kind, path, sha256, card, weights) VALUES (?, '', ?, ?, ?)",
            (KIND, sha256, json.dumps(card), blob),
        )
        artifact = int(cursor.lastrowid or 0)
        parents = tuple(("traces", trace) for trace in traces)
        provenance.add(db, ("artifacts", artifact), Provenance("train-completion", derived_from=parents), fresh=True)
    return artifact
