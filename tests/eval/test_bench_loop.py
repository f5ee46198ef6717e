import pytest

from agent.models.local import LocalModel
from eval.bench.loop import interval, play

pytestmark = pytest.mark.model


def test_the_benchmark_measures_a_short_run(model: LocalModel) -> None:
    played = play(model, steps=6, seed=1)
    assert len(played.decided()) == len(played.step_seconds) == 6
    assert len(played.own_seconds) == 5
    assert all(0 < own < step for own, step in zip(played.own_seconds, played.step_seconds[1:], strict=True))
    assert played.prompts_show_tools


def test_intervals_hold_the_mean() -> None:
    low, high = interval([1.0, 2.0, 3.0])
    assert 1.0 <= low < 2.0 < high <= 3.0
