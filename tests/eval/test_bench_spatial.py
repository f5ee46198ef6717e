"""The benchmarks of maps and macros measure what they say, in small."""

import json
from typing import Any

import pytest

import envs
from eval.bench import babyai, macros, maze, places, planner


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_maze_compares_memory_with_none(capsys: pytest.CaptureFixture[str]) -> None:
    maze.main(["--mazes", "6", "--json"])
    found = figures(capsys)
    assert found["mazes"] == 6
    assert found["success"] == found["without_memory_success"] == 1.0
    assert found["second_visit_over_optimal"] < found["without_memory_over_optimal"] / 2
    assert found["ci95"][0] <= found["second_visit_over_optimal"] <= found["ci95"][1]
    assert found["wrong_joins"] == 0


def test_the_platform_is_judged_from_the_worlds_side() -> None:
    env = envs.make("hippo/WaterMaze-v0", size=8, landmarks=3).unwrapped
    env.reset(seed=0)
    pose = type("P", (), {"x": 5, "y": 5, "heading": int(env.agent_dir)})
    offset = (env.platform[0] - int(env.agent_pos[0]), env.platform[1] - int(env.agent_pos[1]))
    assert maze._is_platform(env, pose, (5 + offset[0], 5 + offset[1]))
    assert not maze._is_platform(env, pose, (6 + offset[0], 5 + offset[1]))


def test_the_planner_agrees_with_every_library(capsys: pytest.CaptureFixture[str]) -> None:
    planner.main(["--side", "24", "--queries", "4", "--graphs", "60", "--map-side", "8", "--json"])
    found = figures(capsys)
    assert found["not_optimal"] == 0
    assert found["worse_than_best_by"] < 1e-9
    assert {"ours", "scipy", "networkx A*"} <= set(found["median_ms"])
    assert found["edge_update_us"] > 0.0
    assert found["reachable"] > 10


def test_babyai_counts_what_can_not_be_solved(capsys: pytest.CaptureFixture[str]) -> None:
    env = envs.make("BabyAI-Unlock-v0")
    answers = []
    for seed in (10_000, 10_002):
        env.reset(seed=seed)
        answers.append(babyai.solvable(env))
    assert answers == [True, False]
    babyai.main(["--episodes", "3", "--levels", "go to, room", "open, room", "--json"])
    found = figures(capsys)
    assert found["least_success"] == 1.0
    assert {one["n"] for one in found["levels"].values()} == {3}


@pytest.mark.slow
def test_macros_save_calls_and_the_trap_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    macros.main(["--episodes", "12", "--tests", "4", "--tasks", "open, room", "--json"])
    found = figures(capsys)
    task = found["tasks"]["open, room"]
    assert task["macros"][0]["status"] == "accepted"
    assert task["macros"][0]["whole_solved"] == task["macros"][0]["whole_missions"] == 4
    assert task["primitive_calls"] > 2 * task["macros_calls"]
    assert found["trap"]["most_tries"] <= 3
    assert found["head"]["chance"]["on"] is False


def test_long_walks_count_lost_and_doubled_places(capsys: pytest.CaptureFixture[str]) -> None:
    places.main(["--places", "80", "--observations", "400", "--json"])
    found = figures(capsys)
    assert found["cells"]["lost"] == found["cells"]["doubled"] == 0.0
    assert found["steps"]["places"] == 80
    assert found["texts"]["true_places"] == 80
    assert found["texts"]["observations"] == 400
