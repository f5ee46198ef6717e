import numpy as np
import pytest

from eval.statistics import (
    bootstrap_ci,
    clustered_ci,
    holm,
    mcnemar,
    median_ci,
    paired_difference,
    power,
    wilson_ci,
)


def test_wilson_matches_published_values() -> None:
    # Newcombe (1998), table I, method 3.
    assert wilson_ci(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_ci(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_ci(29, 29)[1] == pytest.approx(1.0)


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 0.5 <= high for low, high in (bootstrap_ci(rng.random(60), seed=i) for i in range(60))]
    assert np.mean(covered) > 0.85


def test_pairs_cancel_what_is_common() -> None:
    common = np.random.default_rng(0).normal(0, 10, 200)
    found = paired_difference(common + 1, common)
    assert found["diff"] == pytest.approx(1)
    assert found["ci95"] == pytest.approx((1, 1))
    low, high = median_ci(list(common))
    assert low <= np.median(common) <= high


def test_mcnemar_is_the_exact_binomial_of_the_discordant() -> None:
    a, b = [1, 1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1, 1]
    assert mcnemar(a, b) == pytest.approx(2 * (1 + 7) / 2**7)
    assert mcnemar([1, 0], [1, 0]) == 1.0


def test_holm_steps_down_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([]) == []


def test_whole_worlds_are_resampled() -> None:
    low, high = clustered_ci([1] * 10 + [0] * 10, ["a"] * 10 + ["b"] * 10)
    assert (low, high) == (0.0, 1.0)
    low, high = clustered_ci([1, 0] * 10, range(20))
    assert 0.2 < low < 0.5 < high < 0.8


def test_power_is_what_simulation_says() -> None:
    rng = np.random.default_rng(0)
    n, difference, discordant = 200, 0.1, 0.2
    won = rng.random((2000, n)) < (discordant + difference) / 2
    lost = ~won & (rng.random((2000, n)) < (discordant - difference) / 2 / (1 - (discordant + difference) / 2))
    found = np.mean([mcnemar(w, x) < 0.05 for w, x in zip(won, lost, strict=True)])
    assert power(n, difference, discordant) == pytest.approx(found, abs=0.06)
