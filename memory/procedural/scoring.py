"""How likely a macro is to work now: the frequency of late, or a learnt head where it is shown to be better."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

DECAY = 0.7
"""Weight of an outcome beside the next one."""

PRIOR = 0.5
"""Successes, and failures, that every macro is taken to have had."""

WEEK = 604_800.0

MIN_OUTCOMES = 60
"""Fewest outcomes, with at least :data:`MIN_EACH` successes and failures, that a head is learnt from."""

MIN_EACH = 8
FOLDS = 5
RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run of a macro.

    Attributes:
        ok: Whether it did what was expected.
        at: When, in seconds since the epoch.
        facts: What it began with.
        where: Where and why it stopped, if it did.
    """

    ok: bool
    at: float
    facts: tuple[str, ...]
    where: str = ""

    def json(self) -> list[Any]:
        """As JSON."""
        return [int(self.ok), self.at, list(self.facts), self.where]

    @classmethod
    def parse(cls, data: Sequence[Any]) -> Self:
        """Read what :meth:`json` wrote."""
        ok, at, facts, where = data
        return cls(bool(ok), float(at), tuple(facts), str(where))


def decayed_success(oks: Sequence[bool], ages: Sequence[float] | None = None) -> float:
    """Share of successes, each outcome weighing 0.7 of the next, with half a success and half a failure more.

    Args:
        oks: The outcomes, oldest first.
        ages: How long ago each was, in seconds; its weight halves every week. None of it by default.
    """
    weights = [DECAY ** (len(oks) - 1 - index) for index in range(len(oks))]
    if ages is not None:
        weights = [weight * 0.5 ** (max(0.0, age) / WEEK) for weight, age in zip(weights, ages, strict=True)]
    won = sum(weight for weight, ok in zip(weights, oks, strict=True) if ok)
    return (won + PRIOR) / (sum(weights) + 2 * PRIOR)


def recent_success(outcomes: Sequence[Outcome], now: float) -> float:
    """Expected success at a time, in seconds since the epoch: what failed long ago may be tried again."""
    return decayed_success([outcome.ok for outcome in outcomes], [now - outcome.at for outcome in outcomes])


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def _likeness(facts: Collection[str], others: Iterable[Outcome]) -> float:
    """Likeness (Jaccard) to the most alike of other runs' beginnings, 0 without any."""
    mine = set(facts)
    return max((len(mine & set(o.facts)) / max(1, len(mine | set(o.facts))) for o in others), default=0.0)


def features(before: Sequence[Outcome], facts: Collection[str]) -> list[float]:
    """What the head sees: success of late, success ever, likeness to what failed and to what worked."""
    oks = [outcome.ok for outcome in before]
    ever = (sum(oks) + PRIOR) / (len(oks) + 2 * PRIOR)
    failed = _likeness(facts, (o for o in before if not o.ok))
    worked = _likeness(facts, (o for o in before if o.ok))
    return [1.0, _logit(decayed_success(oks)), _logit(ever), failed, worked, failed - worked]


@dataclass(frozen=True)
class Head:
    """Expects success of a run.

    Attributes:
        weights: Of the features, or ``None`` while the head is off.
        gain: By how much its log loss on held-out outcomes is lower than the frequency's, in nats; the
            lower end of a 95 % interval. Above 0 the head is on.
        outcomes: How many it was learnt from.
    """

    weights: tuple[float, ...] | None = None
    gain: float = 0.0
    outcomes: int = 0

    @classmethod
    def fit(cls, histories: Iterable[Sequence[Outcome]]) -> Self:
        """Learn from what came of macros, and stay off unless held-out outcomes are foretold better.

        Args:
            histories: Of each macro, oldest first.
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
        """Expected success in [0, 1]."""
        if self.weights is None:
            return recent_success(history, time())
        return float(_sigmoid(np.array(features(history, facts)) @ np.array(self.weights)))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))


def _log_loss(shares: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(shares, 1e-6, 1 - 1e-6)
    return -(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped))


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of a ridge logistic regression, float64 ``[features]``."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shares = _sigmoid(x @ weights)
        penalty = RIDGE * float(weights @ weights) / 2
        return float(_log_loss(shares, y).sum()) + penalty, x.T @ (shares - y) + RIDGE * weights

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)
