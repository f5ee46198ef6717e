"""Recall: rank traces for a cue by nearest neighbours, shared words, sparse keys and completion."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from memory.clean import clean_text
from memory.coarse import stacked
from memory.embedding import Embedder
from memory.episodic.completion import Completion, newest
from memory.episodic.lexical import Lexical, slots_of, vectors_of, words_of
from memory.episodic.sparse import DGKey, SparseIndex
from memory.episodic.trace import SLOTS, Slot, Trace
from memory.errors import InvalidItemError
from memory.plain import ReadsAsDict
from memory.store import Store
from memory.vectors import VectorIndex

Vectors = NDArray[np.float32]
Cue = str | Mapping[Slot, str] | Vectors
"""What to recall by: a text, the values of some slots, or an embedded text."""

CANDIDATES = 64


class RecallConfig(BaseModel):
    """Settings of recall. The defaults are the best of those measured in docs/results/cues.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Literal["dense", "sparse"] = Field("dense", description="Cosine of embeddings, or overlap of k-WTA keys.")
    lexical: float = Field(2.0, ge=0, description="Weight of shared words; similarity has weight 1; 0 is off.")
    completion: bool = Field(False, description="Complete the cue with the trained network first.")
    dg: DGKey = Field(default_factory=DGKey, description="The k-WTA projection.")


@dataclass(frozen=True, slots=True)
class Recall(ReadsAsDict):
    """A trace that answers a cue. It reads as a dictionary too: ``hit["text"]``, ``hit["score"]``, ``hit["who"]``.

    Attributes:
        trace: The trace.
        score: The value it is ranked by, at most 1: the similarity alone, or, if words count too, the weighted
            mean of similarity and coverage.
        similarity: Cosine of cue and key, or overlap of their sparse keys.
        coverage: Share of the cue's information that the trace's words cover, in [0, 1].
    """

    trace: Trace
    score: float
    similarity: float
    coverage: float

    def plain(self) -> dict[str, Any]:
        """Return the trace and its scores as a dictionary; the slots stand beside the other fields."""
        scores = {"score": self.score, "similarity": self.similarity, "coverage": self.coverage}
        trace = {field.name: getattr(self.trace, field.name) for field in fields(self.trace)}
        return {"key_id": self.trace.id, "text": self.trace.key, **scores, **trace} | dict(self.trace.entity_slots)


class Searcher:
    """Ranker of the traces of one database for a cue.

    Args:
        store: The database.
        embedder: Turns cues into vectors.
        index: The index over ``traces.vector``.
        config: Settings of recall.
    """

    def __init__(self, store: Store, embedder: Embedder, index: VectorIndex, config: RecallConfig) -> None:
        self.store = store
        self.embedder = embedder
        self.index = index
        self.config = config
        self._lexical = Lexical(store)
        self._sparse = SparseIndex(store, embedder.dim, config.dg) if config.keys == "sparse" else None
        self._completion: tuple[str, Completion] | None = None

    def rank(self, cue: Cue, k: int) -> list[tuple[int, float, float, float]]:
        """Return the best ``k`` rows as ``(id, score, similarity, coverage)``, best first.

        Raises:
            InvalidItemError: An empty cue, an unknown slot, a wrong vector, or ``k`` below 1.
        """
        if k < 1:
            raise InvalidItemError(f"k must be at least 1, got {k}")
        dense, expressions = self._read(cue)
        if self.config.completion:
            dense = self._complete(dense)
        weight = self.config.lexical if expressions else 0.0
        if not weight:
            return [(row_id, score, score, 0.0) for row_id, score in self._nearest(dense, k)]
        similar = dict(self._nearest(dense, max(4 * k, CANDIDATES)))
        covered = self._lexical.search(expressions, max(4 * k, CANDIDATES), [*similar])
        similar |= self._similarities(dense, [row_id for row_id in covered if row_id not in similar])
        ranked = [
            ((similar[i] + weight * covered.get(i, 0.0)) / (1 + weight), similar[i], covered.get(i, 0.0), i)
            for i in similar
        ]
        ranked.sort(key=lambda item: (-item[0], item[3]))
        return [(i, score, similarity, coverage) for score, similarity, coverage, i in ranked[:k]]

    def _read(self, cue: Cue) -> tuple[Vectors, list[str]]:
        """Turn the cue into a vector and into expressions of the full-text index."""
        if isinstance(cue, str):
            text = clean_text(cue)
            expressions = words_of(text)
        elif isinstance(cue, Mapping):
            if unknown := set(cue) - set(SLOTS):
                raise InvalidItemError(f"unknown slots {sorted(unknown)}: expected some of {', '.join(SLOTS)}")
            text, expressions = clean_text(" ".join(value for value in cue.values() if value)), slots_of(cue)
        else:
            return self.index.check(cue), []
        if not text.strip():
            raise InvalidItemError("recall needs a cue, got an empty text")
        return self.index.check(self.embedder.embed([text])[0]), expressions

    def _nearest(self, dense: Vectors, k: int) -> list[tuple[int, float]]:
        return self._sparse.search(dense, k) if self._sparse else self.index.nearest(dense, k)

    def _similarities(self, dense: Vectors, ids: list[int]) -> dict[int, float]:
        """Return the similarity of rows that only the search by words found."""
        if not ids:
            return {}
        vectors = vectors_of(self.store, ids)
        keys = stacked([*vectors.values()], len(dense))
        if self._sparse:
            codes = self.config.dg.encode(np.concatenate([dense[None], keys]), self._sparse.weights)
            spread = np.zeros(self.config.dg.d_k, np.float32)
            spread[codes.indices[0]] = codes.values[0]
            scores = (spread[codes.indices[1:]] * codes.values[1:]).sum(1)
        else:
            scores = keys @ dense
        return dict(zip(vectors, scores.tolist(), strict=True))

    def _complete(self, dense: Vectors) -> Vectors:
        """Complete the cue with the newest trained network; return it unchanged if none was trained."""
        row = newest(self.store.db)
        if row is None:
            return dense
        if self._completion is None or self._completion[0] != row[1]:
            self._completion = row[1], Completion.load(self.store.db, row[0])
        return self.index.check(self._completion[1](dense[None])[0])
