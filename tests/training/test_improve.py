import json
import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ConfigError, LogError
from agent.logs.manifest import Row
from agent.models.local import LocalModel
from envs.splits import SEEDS, split_of
from training.config import load_train
from training.errors import TrainConfigError, TrainingError
from training.improve import (
    EpisodeQueue,
    ImproveConfig,
    Improver,
    Played,
    compare,
    tasks_of,
)
from training.qlora import train

pytestmark = pytest.mark.model


def test_every_task_keeps_its_share(runs: Path, tmp_path: Path) -> None:
    queue = EpisodeQueue(tmp_path)
    added = queue.add([runs])
    assert added == {"hippo/BabyAIMixed-v0": 6, "hippo/MultiHopQA-v0": 14, "hippo/WaterMaze-v0": 4}
    assert queue.add([runs]) == dict.fromkeys(added, 0)  # an episode again is not a new one
    drawn = Counter(path.parent.parent.name for path in queue.draw(9))
    assert drawn == {"hops": 3, "skills": 3, "maze": 3}
    skewed = Counter(path.parent.parent.name for path in queue.draw(8, {"hippo_MultiHopQA-v0": 6.0}))
    assert skewed == {"hops": 6, "skills": 1, "maze": 1}


def test_half_of_a_batch_was_replayed_before(runs: Path, tmp_path: Path) -> None:
    queue = EpisodeQueue(tmp_path)
    queue.add([runs])
    first = set(EpisodeQueue(tmp_path).draw(12))
    second = EpisodeQueue(tmp_path).draw(12)
    shared = sum(path in first for path in second)
    assert 0 < shared < 12
    assert all(path.is_file() for path in second)


def test_an_empty_queue_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainConfigError, match="no episode was solved yet"):
        EpisodeQueue(tmp_path).draw(4)


def test_interference_is_counted_episode_by_episode() -> None:
    before = [{"seed": seed, "success": seed < 6, "kind": "x"} for seed in range(8)]
    before.append({"seed": 8, "success": True, "kind": "ingestion"})
    after = [{"seed": seed, "success": seed != 0, "kind": "x"} for seed in range(9)]
    found = compare(before, after)
    assert (found.n, found.before, found.after, found.lost, found.won) == (8, 0.75, 0.875, 1, 2)
    assert found.ci95[0] < 0 < found.after - found.before < found.ci95[1]


@pytest.mark.slow
def test_a_round_collects_trains_and_compares(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    """The whole of it with a tiny model: it solves nothing, and the old episodes are replayed."""
    config = load_train(
        [
            "name=better",
            f"model={tiny}",
            f"adapter={made}",
            f"out={tmp_path}",
            f"data.runs=[{runs}]",
            "train.steps=2",
            "train.batch=1",
            "train.tokens_per_step=1024",
            "train.log_every=1",
            "model.device=cpu",
            "model.max_call_tokens=32",
        ]
    )
    loop = ImproveConfig(["babyai_mixed"], worlds=2, validate=2, replayed=6, batch=2, max_calls=4)
    said: list[str] = []
    improver = Improver(config, loop, lambda one: train(one, said.append), said.append)
    done = improver.run(1)
    change = done[0]["tasks"]["babyai_mixed"]
    low, high = change["ci95"]
    assert change == {"n": 2, "before": 0.0, "after": 0.0, "lost": 0, "won": 0, "ci95": [low, high]}
    assert low == pytest.approx(-high)
    assert high > 0.5  # two worlds show nothing
    assert done[0]["taken"] is True
    assert done[0]["collected"]["babyai_mixed"]["episodes"] == 2
    assert done[0]["kept"] == {"babyai_mixed": 0}
    assert done[0]["replayed"] >= 6
    assert (tmp_path / "better-1" / "adapter_model.safetensors").is_file()
    assert json.loads((tmp_path / "better-rounds" / "rounds.jsonl").read_text()) == done[0]
    assert Improver(config, loop, lambda _one: pytest.fail("was done"), said.append).run(1) == done


def test_rounds_go_on_as_they_were_begun(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    asked = ["name=a", f"model={tiny}", f"adapter={made}", f"out={tmp_path}"]
    config, loop = load_train(asked), ImproveConfig(["babyai_mixed"], worlds=2)
    nowhere = config.model_copy(update={"data": config.data.model_copy(update={"runs": [tmp_path / "nowhere"]})})
    with pytest.raises(LogError, match="nowhere"):  # what fails at once begins nothing
        Improver(nowhere, replace(loop, worlds=9), lambda _one: None, print).run(0)
    Improver(config, loop, lambda _one: None, print).run(0)
    Improver(config, replace(loop, processes=3, batch=2), lambda _one: None, print).run(0)
    with pytest.raises(TrainConfigError, match="a-rounds holds rounds with other envs, worlds: give the same again"):
        Improver(
            load_train([*asked, f"data.runs=[{runs}]"]),
            replace(loop, worlds=3, envs=["courier"]),
            lambda _one: None,
            print,
        ).run(0)
    assert not Improver(config, loop, lambda _one: None, print).queue.tasks()  # what is refused changes nothing
    other = config.model_copy(update={"adapter": "hippo-135m"})
    with pytest.raises(TrainConfigError, match="with other adapter"):
        Improver(other, loop, lambda _one: None, print).run(0)
    with pytest.raises(ConfigError, match="nowhere"):
        Improver(config, ImproveConfig(["nowhere"]), lambda _one: None, print)


def test_a_slow_loss_over_rounds_is_not_taken(
    made: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two points are lost in each of three rounds: the second round has lost four since the beginning."""
    solved = {"made": 90, "a-1": 88, "a-2": 86, "a-3": 88}
    config = load_train(["name=a", f"model={tiny}", f"adapter={made}", f"out={tmp_path}"])
    said: list[str] = []
    improver = Improver(config, ImproveConfig(["babyai_mixed"], validate=100), lambda _one: None, said.append)

    def play(adapter: str, *asked: tuple[str, str]) -> list[dict[str, Played]]:
        count = solved[Path(adapter).name]
        rows = [row(seed, seed < count) for seed in range(100)]
        return [{"babyai_mixed": (rows, [tmp_path / Path(adapter).name / split])} for split, _name in asked]

    def row(seed: int, success: bool) -> Row:
        return {"seed": seed, "success": success, "kind": "x", "steps": 1, "optimal_steps": 1}

    monkeypatch.setattr(improver, "play", play)
    monkeypatch.setattr(improver.queue, "add", lambda _runs: {})
    monkeypatch.setattr(improver, "drawn", lambda _number: [])
    monkeypatch.setattr("training.improve.adapters.digest", lambda _folder: "")
    done = improver.run(3)
    assert [one["taken"] for one in done] == [True, False, True]
    assert [Path(one["began_with"]).name for one in done] == ["made", "a-1", "a-1"]
    assert done[1]["since_the_beginning"]["babyai_mixed"]["lost"] == 4
    assert done[1]["worse"] == ["babyai_mixed"]
    assert said[0] == "multi_hop_qa, water_maze: not played, so nobody will know if it is forgotten; name it with --env"
    assert tasks_of("hippo-135m") == ["babyai_mixed", "courier", "episodic_qa", "multi_hop_qa", "water_maze"]


@pytest.mark.slow
def test_tasks_are_played_at_the_same_time(
    made: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["name=a", f"model={tiny}", f"adapter={made}", f"out={tmp_path}"]
    config = load_train([*where, "model.device=cpu", "model.max_call_tokens=32"])
    loop = ImproveConfig(["babyai_mixed", "water_maze"], worlds=2, validate=2, batch=2, max_calls=3, processes=4)
    improver = Improver(config, loop, lambda _one: None, print)
    played, collected = improver.play(str(made), ("validation", "before-a"), ("train", "round-1"))
    assert {env: len(rows) for env, (rows, _) in played.items()} == {"babyai_mixed": 2, "water_maze": 2}
    assert {split_of(row["seed"]) for rows, _ in played.values() for row in rows} == {"validation"}
    assert {split_of(row["seed"]) for rows, _ in collected.values() for row in rows} == {"train"}
    assert [len(folders) for _, folders in played.values()] == [2, 1]  # two worlds of one, one world of the other
    seeds = [[row["seed"] for row in rows] for rows, _ in collected.values()]
    assert seeds == [[500_000, 500_001], [*range(500_000, 500_004)]]
    assert [[row["seed"] for row in rows] for rows, _ in played.values()] == [[SEEDS, SEEDS + 1]] * 2
    folders = [folder for _, folders in (*played.values(), *collected.values()) for folder in folders]
    assert all((folder / "episodes.jsonl").is_file() for folder in folders)
    fewer = Improver(config, replace(loop, processes=1), lambda _one: None, print)  # goes on with the same parts
    monkeypatch.setattr(LocalModel, "decide", lambda *_: pytest.fail("was played"))
    again, _ = fewer.play(str(made), ("validation", "before-a"), ("train", "round-1"))
    assert again == played


def test_a_process_that_is_killed_is_told(made: Path, tiny: Path, tmp_path: Path) -> None:
    config = load_train(["name=a", f"model={tiny}", f"adapter={made}", f"out={tmp_path}", "model.device=cpu"])
    improver = Improver(config, ImproveConfig(["babyai_mixed"], validate=2, processes=2), lambda _one: None, print)

    def kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TrainingError, match="smaller --processes or --batch"):
        improver.play(str(made), ("validation", "before-a"))
    killer.join()
    until = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.1)
    assert not multiprocessing.active_children()


def test_a_killed_round_trains_on_what_it_drew(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    config = load_train(["name=a", f"model={tiny}", f"adapter={made}", f"out={tmp_path}", f"data.runs=[{runs}]"])
    drawn = []
    for _ in range(2):
        improver = Improver(config, ImproveConfig(["babyai_mixed"], replayed=6), lambda _one: None, print)
        improver.folder.mkdir(exist_ok=True)
        improver.queue.add([runs])
        drawn.append(improver.drawn(1))
    assert drawn[0] == drawn[1]
    assert improver.drawn(2) != drawn[0]


def test_a_missing_name_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="name must be set: for example name=mine"):
        load_train(["adapter=hippo-135m"])


def test_it_needs_an_adapter_to_begin_with(tiny: Path, tmp_path: Path) -> None:
    config = load_train(["name=a", f"model={tiny}", f"out={tmp_path}"])
    with pytest.raises(TrainConfigError, match="adapter=hippo-135m"):
        Improver(config, ImproveConfig(["courier"]), lambda _one: None, print)
