"""Confidence intervals and paired comparisons."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.statistics import tango_ci as tango_ci
from agent.statistics import wilson_ci as wilson_ci

RESAMPLES = 10_000


def _bootstrap(
    data: tuple[NDArray[np.float64], ...], statistic: Callable[..., Any], seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic; samples of one length are resampled together."""
    from scipy.stats import bootstrap

    if len(data[0]) == 1:  # there is nothing to resample
        value = float(statistic(*data, axis=0))
        return value, value
    interval = bootstrap(
        data,
        statistic,
        n_resamples=resamples,
        batch=100,
        paired=len(data) > 1,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def bootstrap_ci(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean (Efron 1979), from 10,000 resamples.

    Args:
        values: ``[n]``, one number for each independent unit.
        seed: Seed of the resampling.
    """
    data: NDArray[np.float64] = np.asarray(values, np.float64)
    if not len(data):
        return (float("nan"), float("nan"))
    return _bootstrap((data,), lambda sample, axis: np.mean(sample, axis), seed)


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int = 0) -> dict[str, Any]:
    """Return the mean of ``a - b`` over the same units, with its 95 % bootstrap interval."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return {"diff": float(difference.mean()), "ci95": bootstrap_ci(difference, seed)}


def median_ci(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    return _bootstrap((np.asarray(values, np.float64),), lambda sample, axis: np.median(sample, axis), seed, 2_000)


def median_ratio_ci(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of ``median(a) / median(b)``; pairs are resampled together."""

    def ratio(x: NDArray[np.float64], y: NDArray[np.float64], axis: int) -> Any:
        return np.median(x, axis) / np.median(y, axis)

    return _bootstrap((np.asarray(a, np.float64), np.asarray(b, np.float64)), ratio, seed, 1_000)


def clustered_ci(differences: ArrayLike, clusters: Sequence[object], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean, with whole clusters resampled (Field and Welsh 2007).

    Args:
        differences: ``[n]`` numbers.
        clusters: ``[n]`` labels; numbers with the same label depend on each other.
        seed: Seed of the resampling.
    """
    data = np.asarray(differences, np.float64)
    if not len(data):
        return (float("nan"), float("nan"))
    _, where = np.unique(np.asarray([str(cluster) for cluster in clusters]), return_inverse=True)

    def mean(sums: NDArray[np.float64], counts: NDArray[np.float64], axis: int) -> Any:
        return sums.sum(axis) / counts.sum(axis)

    return _bootstrap((np.bincount(where, data).astype(np.float64), np.bincount(where).astype(np.float64)), mean, seed)


def mcnemar(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided exact p-value of McNemar's test: do two arms succeed equally often on the same episodes?

    Args:
        a: ``[n]`` successes of one arm.
        b: ``[n]`` successes of the other, on the same episodes.
    """
    from scipy.stats import binomtest

    x, y = np.asarray(a, bool), np.asarray(b, bool)
    won, lost = int((x & ~y).sum()), int((~x & y).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def sign_flip(differences: ArrayLike, clusters: Sequence[object], seed: int = 0) -> float:
    """Return the two-sided p-value of paired differences, with signs flipped by cluster (Winkler et al. 2015).

    The test is exact for up to 16 clusters with a difference; for more it uses 20,000 random draws.

    Args:
        differences: ``[n]`` numbers, for example 1 for won, 0 for equal, -1 for lost.
        clusters: ``[n]`` labels; numbers with the same label depend on each other.
        seed: Seed of the draws.
    """
    data = np.asarray(differences, np.float64)
    _, where = np.unique(np.asarray([str(cluster) for cluster in clusters]), return_inverse=True)
    sums = np.bincount(where, data) if len(data) else np.zeros(0)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    if len(sums) <= 16:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        totals = np.abs((2 * patterns - 1) @ sums)
        return float((totals >= abs(sums.sum()) - 1e-9).mean())
    signs = np.random.default_rng(seed).integers(2, size=(20_000, len(sums))) * 2 - 1
    totals = np.abs(signs @ sums)
    return float(((totals >= abs(sums.sum()) - 1e-9).sum() + 1) / (len(totals) + 1))


def holm(values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests (Holm 1979); their order stays."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    corrected, least = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = least
    return corrected


def power(n: int, difference: float, discordant: float) -> float:
    """Return the power of McNemar's test at the 5 % level: how probably it finds a difference.

    Source: Connor 1987, doi:10.2307/2531961.

    Args:
        n: Number of pairs.
        difference: Difference between the success rates.
        discordant: Share of the pairs in which only one of the two succeeds.
    """
    from scipy.stats import norm

    spread = (max(discordant, difference) - difference**2) ** 0.5
    if spread == 0.0:
        return 1.0
    return float(norm.cdf((difference * n**0.5 - norm.ppf(0.975) * max(discordant, difference) ** 0.5) / spread))
