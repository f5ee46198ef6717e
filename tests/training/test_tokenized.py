import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from agent.models.window import Window
from training.config import DataSettings
from training.errors import TrainConfigError
from training.examples import Source
from training.row_files import check_runs
from training.tokenized import prepare
from training.windows import IGNORED

pytestmark = pytest.mark.model


def source(tiny: Path, runs: Path, **asked: object) -> Source:
    return Source(str(tiny), Window(), DataSettings.model_validate({"runs": [runs], **asked}))


def test_every_token_is_in_some_row_and_rows_are_full(tiny: Path, runs: Path, tmp_path: Path) -> None:
    made = prepare(source(tiny, runs), tmp_path / "data", 0)
    assert sum(len(row["input_ids"]) for row in made.rows) == sum(made.card["tokens"].values())
    assert sum(made.card["taken"].values()) == 24
    assert made.card["filled"] > 0.7
    for row in made.rows:
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) == len(row["labels"]) <= 1024
        assert any(label != IGNORED for label in row["labels"])
    envs = {"hippo/MultiHopQA-v0", "hippo/BabyAIMixed-v0", "hippo/WaterMaze-v0"}
    assert set(made.card["sources"]) == {f"env:{env}" for env in envs}


def test_the_same_logs_are_not_read_twice(tiny: Path, runs: Path, tmp_path: Path) -> None:
    first = prepare(source(tiny, runs), tmp_path / "data", 0)
    stamp = (tmp_path / "data" / "data.json").stat().st_mtime_ns
    assert prepare(source(tiny, runs), tmp_path / "data", 0).card == first.card
    assert (tmp_path / "data" / "data.json").stat().st_mtime_ns == stamp
    assert prepare(source(tiny, runs, solved=False), tmp_path / "data", 0).card["mark"] != first.card["mark"]


@pytest.mark.slow
def test_several_processes_make_the_same_rows(tiny: Path, runs: Path, tmp_path: Path) -> None:
    one = prepare(source(tiny, runs), tmp_path / "one", 0).rows
    two = prepare(source(tiny, runs, workers=2), tmp_path / "two", 0).rows
    tokens = [Counter(token for row in rows for token in row["input_ids"]) for rows in (one, two)]
    assert tokens[0] == tokens[1]


def test_doubles_splits_and_weights(tiny: Path, runs: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(next(runs.rglob("skills")), again / "skills")
    both = DataSettings(runs=[runs, again])
    made = prepare(Source(str(tiny), Window(), both), tmp_path / "doubles", 0)
    assert made.card["left_out"] == {"doubles": 6}
    twice = prepare(source(tiny, runs, weights={"Mixed": 2.0, "Maze": 0.0}), tmp_path / "weights", 0).card
    plain = prepare(source(tiny, runs), tmp_path / "plain", 0).card
    assert twice["tokens"]["hippo/BabyAIMixed-v0"] == 2 * plain["tokens"]["hippo/BabyAIMixed-v0"]
    assert "hippo/WaterMaze-v0" not in twice["tokens"]
    with pytest.raises(TrainConfigError, match="24 of another split"):
        prepare(source(tiny, runs, split="test"), tmp_path / "test", 0)


def test_a_pattern_names_runs(runs: Path, tmp_path: Path) -> None:
    found = DataSettings.model_validate({"runs": [runs / "*" / "m*", tmp_path / "no*"]}).runs
    assert [path.name for path in found] == ["maze", "no*"]


def test_a_source_can_be_left_out(tiny: Path, runs: Path, tmp_path: Path) -> None:
    card = prepare(source(tiny, runs, exclude=["env:hippo/WaterMaze-v0"]), tmp_path / "data", 0).card
    assert card["left_out"] == {"excluded": 4}
    with pytest.raises(TrainConfigError, match=r"names env:hippo/WaterMase-v0, and nothing is of that"):
        prepare(source(tiny, runs, exclude=["env:hippo/WaterMase-v0"]), tmp_path / "typo", 0)
    with pytest.raises(ValueError, match="a weight is 0 or more"):
        source(tiny, runs, weights={"Maze": -0.5})
    assert "env:hippo/WaterMaze-v0" not in card["sources"]


def test_logs_without_success_are_told(tiny: Path, tmp_path: Path) -> None:
    from tests.training.conftest import collect

    failed = collect(tmp_path, "env=babyai_mixed", "policy=random", "episodes=2", "agent.max_calls=3", "name=lost")
    with pytest.raises(TrainConfigError, match=r"none of 2 conversations can be learnt from \(2 unsolved\)"):
        prepare(source(tiny, failed), tmp_path / "data", 0)


def test_no_runs_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainConfigError, match=r"data\.runs"):
        check_runs([])
    with pytest.raises(TrainConfigError, match="there is no run or data set at"):
        check_runs([tmp_path / "none"])


def test_a_prepared_set_can_be_used_elsewhere(tiny: Path, runs: Path, tmp_path: Path) -> None:
    made = prepare(source(tiny, runs), tmp_path / "data", 0)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "data", moved)
    taken = prepare(Source(str(tiny), Window(), DataSettings(prepared=moved)), tmp_path / "other", 0)
    assert json.dumps(taken.card) == json.dumps(made.card)
    assert len(taken.rows) == len(made.rows)
    with pytest.raises(TrainConfigError, match="prepare_only"):
        prepare(Source(str(tiny), Window(), DataSettings(prepared=tmp_path)), tmp_path / "x", 0)


def test_episodes_of_nothing_but_tools_that_are_taken_out_are_left_out(tiny: Path, runs: Path, tmp_path: Path) -> None:
    """Mazes are played with ``find``, ``left``, ``right`` and ``forward`` alone."""
    gone = ["find", "where_is", "explore", "plan_route", "left", "right", "forward"]
    card = prepare(source(tiny, runs, without=gone), tmp_path / "data", 0).card
    assert card["left_out"]["nothing to learn"] >= 4
    assert "hippo/WaterMaze-v0" not in card["tokens"]
    assert "hippo/MultiHopQA-v0" in card["tokens"]
