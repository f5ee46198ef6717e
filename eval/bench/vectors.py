"""Vectors that are distributed like sentence embeddings, in any number.

Independent random vectors have no near neighbours, so a search among them measures nothing useful. Here
the second moments come from real embeddings. The sentences of Python's own reference manual
(``pydoc_data.topics``, part of every Python) are embedded with all-MiniLM-L6-v2 and clustered. The
covariance of the clusters' centres, the mean covariance within a cluster and the distances of members
from their centre are kept. Any number of new clusters and members is then drawn from Gaussians with these
two covariances, members at distances drawn from the real ones, and normalised.
:func:`spread` shows how real and drawn neighbours compare.
"""

import re
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from memory import Embedder, MiniLMEmbedder

Vectors = NDArray[np.float32]
SENTENCES_PER_CLUSTER = 3
"""At this size drawn vectors have neighbours as near as real ones have; see :func:`spread`."""


def sentences(limit: int = 6000) -> list[str]:
    """Distinct sentences of 6 to 40 words from Python's reference manual, in order."""
    from pydoc_data.topics import topics

    text = " ".join(re.sub(r"\s+", " ", topics[name]) for name in sorted(topics))
    parts = (part.strip(" *") for part in re.split(r"(?<=[.:;])\s", text))
    return list(dict.fromkeys(part for part in parts if 6 <= len(part.split()) <= 40))[:limit]


@dataclass
class Mixture:
    """A two-level Gaussian: clusters around a mean, members around their cluster.

    Attributes:
        mean: float32 ``[dim]``.
        between: float32 ``[dim, dim]``; its product with white noise is a cluster's offset.
        within: The same for a member's offset from its cluster.
        radii: Distances of real members from their cluster's centre, float32 ``[m]``.
        real: The embeddings it was made from, float32 ``[n, dim]``.
    """

    mean: Vectors
    between: Vectors
    within: Vectors
    radii: Vectors
    real: Vectors

    @classmethod
    def fit(cls, real: Vectors) -> "Mixture":
        """Cluster ``real`` and take the two covariances."""
        count = max(2, len(real) // SENTENCES_PER_CLUSTER)
        kmeans = faiss.Kmeans(real.shape[1], count, niter=20, seed=0, min_points_per_centroid=1)
        kmeans.train(real)
        nearest = kmeans.index.search(real, 1)[1][:, 0]
        centres = np.stack([real[nearest == c].mean(0) for c in range(count) if (nearest == c).any()])
        groups = [real[nearest == c] for c in range(count)]
        # A member is nearer to the mean of n members than to the centre they were drawn around.
        offsets = np.concatenate([(g - g.mean(0)) * np.sqrt(len(g) / (len(g) - 1)) for g in groups if len(g) > 1])
        radii = np.linalg.norm(offsets, axis=1).astype(np.float32)
        mean = centres.mean(0)
        return cls(mean, _root(np.cov(centres.T)), _root(offsets.T @ offsets / len(offsets)), radii, real)

    def centres(self, count: int, seed: int) -> Vectors:
        """Draw ``count`` cluster centres, float32 ``[count, dim]``."""
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((count, len(self.mean)), np.float32)
        return self.mean + noise @ self.between

    def members(self, centres: Vectors, count: int, seed: int) -> Vectors:
        """Draw ``count`` members of random clusters, float32 ``[count, dim]`` of length 1."""
        rng = np.random.default_rng(seed)
        chosen = centres[rng.integers(len(centres), size=count)]
        offsets = rng.standard_normal(chosen.shape, np.float32) @ self.within
        offsets *= rng.choice(self.radii, (count, 1)) / np.linalg.norm(offsets, axis=1, keepdims=True)
        drawn = chosen + offsets
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _root(covariance: NDArray[np.float64]) -> Vectors:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T, np.float32)


def mixture(embedder: Embedder | None = None, limit: int = 6000) -> Mixture:
    """The mixture of the sentences' embeddings."""
    return Mixture.fit((embedder or MiniLMEmbedder()).embed(sentences(limit)))


def spread(vectors: Vectors, probes: int = 500) -> dict[str, float]:
    """How vectors lie: median cosine to the nearest other, to any other, and the effective dimension.

    The effective dimension is the participation ratio of the covariance's eigenvalues.
    """
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    nearest = index.search(vectors[:probes], 2)[0][:, 1]
    half = len(vectors) // 2
    values = np.linalg.eigvalsh(np.cov(vectors[: min(len(vectors), 20_000)].T))
    return {
        "nearest": float(np.median(nearest)),
        "any": float(np.median((vectors[:half] * vectors[half : 2 * half]).sum(1))),
        "dimension": float(values.sum() ** 2 / (values**2).sum()),
    }
