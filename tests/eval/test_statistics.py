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
    sign_flip,
    tango_ci,
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


def test_tangos_interval_matches_published_values_and_is_never_of_no_width() -> None:
    assert tango_ci(12, 2, 50) == pytest.approx((0.0611, 0.3447), abs=1e-4)  # as in his examples, and PropCIs'
    assert tango_ci(2, 12, 50) == pytest.approx((-0.3447, -0.0611), abs=1e-4)
    score = 1.96**2 / (100 + 1.96**2)
    assert tango_ci(0, 0, 100) == pytest.approx((-score, score), abs=1e-4)
    assert tango_ci(100, 0, 100) == pytest.approx((0.926, 1.0), abs=1e-3)


def test_tangos_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(60, [0.5, 0.2, 0.1, 0.2], size=400)
    covered = [low <= 0.1 <= high for low, high in (tango_ci(int(k[1]), int(k[2]), 60) for k in drawn)]
    assert 0.92 < np.mean(covered) < 0.98


def test_worlds_that_go_alike_count_once() -> None:
    assert sign_flip([1] * 10, range(10)) == pytest.approx(2 / 2**10)
    assert sign_flip([1] * 10, [0] * 5 + [1] * 5) == pytest.approx(0.5)
    assert sign_flip([1, -1, 0], "aab") == 1.0
    assert sign_flip([], []) == 1.0
    few, many = [1, 1, 1, 1, -1] * 4, [0] * 20
    assert sign_flip(few + many, range(40)) == pytest.approx(
        mcnemar([1, 1, 1, 1, 0] * 4, [0, 0, 0, 0, 1] * 4), abs=4e-3
    )


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
