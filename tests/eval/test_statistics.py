import numpy as np
import pytest

from eval.statistics import bootstrap_ci, median_ci, paired_difference, wilson_ci


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
