import argparse
from pathlib import Path

import pytest

from eval.bench.agents import FIRST, figures, jobs, play, rows_of


def asked(runs: Path, **other: object) -> argparse.Namespace:
    usual = {"arms": ["random"], "envs": ["multi_hop_qa"], "episodes": 10, "split": "validation", "shards": 2}
    more = {"adapter": "hippo-135m", "without": "hippo-135m", "model": "smollm2-135m", "gpus": 0, "processes": 2}
    settings = ["agent.max_calls=8"]
    return argparse.Namespace(**usual | more | {"first": FIRST, "runs": runs, "set": settings} | other)


def test_every_arm_plays_the_same_worlds_whatever_the_shards(tmp_path: Path) -> None:
    for shards in (1, 3, 4):
        found = list(jobs(asked(tmp_path, arms=["random", "adapter"], envs=["courier"], episodes=70, shards=shards)))
        for arm in ("random", "adapter"):
            mine = [job for job in found if job.arm == arm]
            worlds = [job.first + 7 * world for job in mine for world in range(job.worlds)]
            assert worlds == [300_006 + 7 * world for world in range(10)]  # a world's first day is a multiple of 7
    assert len({job.name for job in found}) == len(found)


def test_only_what_was_asked_for_is_reported(tmp_path: Path) -> None:
    small = asked(tmp_path, episodes=5, shards=1)
    assert play(small) == []
    rows = rows_of(small, "random", "multi_hop_qa")
    assert len(rows) == 7
    made = figures(rows)
    assert (made["episodes"], made["counted"], made["worlds"]) == (7, 5, 1)
    for other in (asked(tmp_path, episodes=10), asked(tmp_path, episodes=5, shards=1, split="test")):
        with pytest.raises(SystemExit, match="run the command again"):
            rows_of(other, "random", "multi_hop_qa")


def test_a_process_that_fails_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    failed = play(asked(tmp_path, episodes=5, shards=1, set=["agent.max_calls=none"]))
    assert [job.env for job in failed] == ["multi_hop_qa"]
    assert "failed (2)" in capfd.readouterr().err


def test_questions_of_one_world_are_resampled_together() -> None:
    """All right in one world and all wrong in the other: the interval over worlds spans everything."""
    rows = [
        {"kind": "x", "world": f"w{world}", "success": world == 0, "steps": 1, "optimal_steps": 1,
         "model_calls": 1, "invalid_calls": 0}
        for world in range(2) for one in range(10)
    ]  # fmt: skip
    found = figures(rows)
    assert found["worlds_ci95"] == (0.0, 1.0)
    assert found["ci95"][0] > 0.25
