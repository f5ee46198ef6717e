"""Expected success of a macro: its recent frequency of success, or a learnt head if that proved better."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

DECAY = 0.7
"""Weight of an outcome, relative to that of the next outcome."""

PRIOR = 0.5
"""Prior count of successes, and of failures, of every macro."""

WEEK = 604_800.0

MIN_OUTCOMES = 60
"""Least count of outcomes to learn a head from, with at least :data:`MIN_EACH` successes and as many failures."""

MIN_EACH = 8
FOLDS = 5
RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one run of a macro.

    Attributes:
        ok: Whether it did what was expected.
        at: Time in seconds since the epoch.
        facts: Facts and words of the values at the start of the run.
        where: Where and why it stopped, if it did.
    """

    ok: bool
    at: float
    facts: tuple[str, ...]
    where: str = ""

    def json(self) -> list[Any]:
        """Return the outcome as a JSON list."""
        return [int(self.ok), self.at, list(self.facts), self.where]

    @classmethod
    def parse(cls, data: Sequence[Any]) -> Self:
        """Read what :meth:`json` wrote."""
        ok, at, facts, where = data
        return cls(bool(ok), float(at), tuple(facts), str(where))


def decayed_success(oks: Sequence[bool], ages: Sequence[float] | None = None) -> float:
    """Return the weighted share of successes, with half a success and half a failure as prior.

    Each outcome has 0.7 times the weight of the next one.

    Args:
        oks: Whether each run succeeded, oldest first.
        ages: Age of each outcome in seconds; the weight also halves every week. Ages are ignored if ``None``.
    """
    weights = [DECAY ** (len(oks) - 1 - index) for index in range(len(oks))]
    if ages is not None:
        weights = [weight * 0.5 ** (max(0.0, age) / WEEK) for weight, age in zip(weights, ages, strict=True)]
    won = sum(weight for weight, ok in zip(weights, oks, strict=True) if ok)
    return (won + PRIOR) / (sum(weights) + 2 * PRIOR)


def recent_success(outcomes: Sequence[Outcome], now: float) -> float:
    """Return the expected success at time ``now``, in seconds since the epoch; old failures count less."""
    return decayed_success([outcome.ok for outcome in outcomes], [now - outcome.at for outcome in outcomes])


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def _likeness(facts: Collection[str], others: Iterable[Outcome]) -> float:
    """Return the greatest Jaccard similarity of ``facts`` to the facts of other runs, 0 if there are none."""
    own = set(facts)
    return max((len(own & set(o.facts)) / max(1, len(own | set(o.facts))) for o in others), default=0.0)


def features(before: Sequence[Outcome], facts: Collection[str]) -> list[float]:
    """Compute the features: recent success, overall success, similarity to failed and to successful runs."""
    oks = [outcome.ok for outcome in before]
    ever = (sum(oks) + PRIOR) / (len(oks) + 2 * PRIOR)
    failed = _likeness(facts, (o for o in before if not o.ok))
    worked = _likeness(facts, (o for o in before if o.ok))
    return [1.0, _logit(decayed_success(oks)), _logit(ever), failed, worked, failed - worked]


@dataclass(frozen=True)
class Head:
    """Learnt predictor of the success of a run.

    Attributes:
        weights: Weights of the features, or ``None`` while the head is off.
        gain: How much lower its log loss on held-out outcomes is than that of the frequency, in nats: the
            lower end of a 95 % interval. The head is on if this is above 0.
        outcomes: How many outcomes it was learnt from.
    """

    weights: tuple[float, ...] | None = None
    gain: float = 0.0
    outcomes: int = 0

    @classmethod
    def fit(cls, histories: Iterable[Sequence[Outcome]]) -> Self:
        """Learn from outcomes of macros; the head stays off unless it predicts held-out outcomes better.

        Args:
            histories: For each macro its outcomes, oldest first.
        """
        rows, labels, plain = [], [], []
        for history in histories:
            for index, outcome in enumerate(history):
                rows.append(features(history[:index], outcome.facts))
                labels.append(outcome.ok)
                plain.append(decayed_success([o.ok for o in history[:index]]))
        count = len(labels)
        if count < MIN_OUTCOMES or min(sum(labels), count - sum(labels)) < MIN_EACH:
            return cls(outcomes=count)
        x, y, frequency = np.array(rows), np.array(labels, dtype=float), np.array(plain)
        held_out = np.empty(count)
        for fold in range(FOLDS):
            test = np.arange(count) % FOLDS == fold
            held_out[test] = _sigmoid(x[test] @ _logistic(x[~test], y[~test]))
        better = _log_loss(frequency, y) - _log_loss(held_out, y)
        gain = float(better.mean() - 1.96 * better.std(ddof=1) / math.sqrt(count))
        return cls(tuple(_logistic(x, y)) if gain > 0 else None, gain, count)

    def score(self, history: Sequence[Outcome], facts: Collection[str]) -> float:
        """Return the expected success in [0, 1] of a run that begins with ``facts``."""
        if self.weights is None:
            return recent_success(history, time())
        return float(_sigmoid(np.array(features(history, facts)) @ np.array(self.weights)))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))


def _log_loss(shares: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(shares, 1e-6, 1 - 1e-6)
    return -(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped))


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the weights of a ridge logistic regression, float64 ``[features]``."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shares = _sigmoid(x @ weights)
        penalty = RIDGE * float(weights @ weights) / 2
        return float(_log_loss(shares, y).sum()) + penalty, x.T @ (shares - y) + RIDGE * weights

    from scipy.optimize import minimize  # it takes long to import

    result = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(result.x, dtype=np.float64)
