"""Intervals and paired comparisons."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.statistics import wilson_ci as wilson_ci

RESAMPLES = 10_000


def bootstrap_ci(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron 1979), 10,000 resamples.

    Args:
        values: ``[n]``, one number for each independent unit.
        seed: Seed of the resampling.
    """
    data: NDArray[np.float64] = np.asarray(values, np.float64)
    if not len(data):
        return (float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = np.concatenate([rng.choice(data, (100, len(data))).mean(1) for _ in range(RESAMPLES // 100)])
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int = 0) -> dict[str, Any]:
    """Mean of ``a - b`` over the same units, with its 95 % bootstrap interval."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return {"diff": float(difference.mean()), "ci95": bootstrap_ci(difference, seed)}


def median_ci(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    data = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    medians = np.median(rng.choice(data, (2_000, len(data))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def median_ratio_ci(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of ``median(a) / median(b)``; pairs are drawn together."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    draws = np.random.default_rng(seed).integers(len(x), size=(1_000, len(x)))
    low, high = np.quantile(np.median(x[draws], axis=1) / np.median(y[draws], axis=1), (0.025, 0.975))
    return float(low), float(high)
