"""Confidence intervals."""

import math

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def wilson_ci(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        successes: How many of ``count``.
        count: At least 1.
    """
    # scipy.stats has it too, and takes a second to import, at the end of every run.
    middle = (successes + Z * Z / 2) / (count + Z * Z)
    reach = Z / (count + Z * Z) * math.sqrt(successes * (count - successes) / count + Z * Z / 4)
    return max(0.0, middle - reach), min(1.0, middle + reach)


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
