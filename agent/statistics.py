"""Confidence intervals."""

import math


def wilson_ci(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z, share = 1.959964, successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if successes == 0 else low), (1.0 if successes == count else high)


def tango_ci(won: int, lost: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a paired difference of shares (Tango 1998, doi:10.1002/(sici)1097-0258).

    The interval stays wide when no pair differs; it is NaN without any pairs.

    Args:
        won: Number of pairs in which only the first succeeds.
        lost: Number of pairs in which only the second succeeds.
        n: Number of all pairs.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if n == 0:
        return (float("nan"), float("nan"))
    limit = float(norm.ppf(0.975))

    def score(gap: float) -> float:
        b = won + lost - (2 * n - won + lost) * gap
        nuisance = (max(b**2 + 8 * n * lost * gap * (1 - gap), 0.0) ** 0.5 + b) / (4 * n)  # share of lost under gap
        variance = n * (2 * nuisance + gap * (1 - gap))
        return float((won - lost - n * gap) / max(variance, 1e-12) ** 0.5)

    difference = (won - lost) / n
    low = brentq(lambda gap: score(gap) - limit, -1 + 1e-9, difference - 1e-9) if difference > -1 + 1e-8 else -1.0
    high = brentq(lambda gap: score(gap) + limit, difference + 1e-9, 1 - 1e-9) if difference < 1 - 1e-8 else 1.0
    return float(low), float(high)
