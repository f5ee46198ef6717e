import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from agent.config import load_collect
from agent.errors import ConfigError, LogError
from agent.logs.events import Decided, Start, untimed
from agent.logs.log import read_events
from agent.logs.manifest import append, read, totals
from agent.logs.verify_log import verify_log
from agent.rollout.collect import Collection
from agent.rollout.worker import counted_visits
from envs import make, seeds_of

Cli = Callable[..., tuple[int, str, str]]


def collect(runs: Path, *overrides: str) -> Collection:
    config = load_collect([f"runs={runs}", "workers=1", *overrides])
    made = Collection(config, seeds_of(config.split), make)
    made.run()
    return made


def logs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {str(p.relative_to(folder)): [untimed(e) for e in read_events(p)] for p in folder.rglob("events.jsonl")}


def test_episodes_of_one_world_share_a_memory_and_worlds_do_not(tmp_path: Path) -> None:
    done = collect(tmp_path, "env=episodic_qa", "episodes=12")
    assert [row["visit"] for row in done.rows] == [*range(6), *range(6)]
    assert totals(done.rows)["success"] == 1.0
    other = read_events(done.folder / "000006" / "events.jsonl")
    assert other[0].type == "start"
    recalls = [e for e in read_events(done.folder / "000007" / "events.jsonl") if e.type == "returned"]
    told = {e.text for e in other if e.type == "observed"}
    lines = [line for e in recalls for line in e.text.split("\n") if line.startswith("[episode 0")]
    assert lines
    assert all(any(text in line for text in told) for line in lines)


def test_the_manifest_says_what_the_logs_say(tmp_path: Path) -> None:
    done = collect(tmp_path, "env=courier", "episodes=7", "split=test")
    rows = read(done.folder / "episodes.jsonl")
    assert [row["episode"] for row in rows] == list(range(7))
    for row in rows:
        start, end = (read_events(done.folder / row["log"])[i] for i in (0, -1))
        assert isinstance(start, Start)
        assert (row["seed"], row["kind"], row["world"]) == (start.seed, start.kind, start.world)
        assert row["success"] is end.success  # type: ignore[union-attr]
        assert start.settings["level"] == "medium"
    assert rows[0]["seed"] % 7 == 0
    assert rows[0]["seed"] >= 2_000_000
    assert json.loads((done.folder / "run.json").read_text())["model"]["name"] == "expert"


def test_processes_play_the_same_as_one(tmp_path: Path) -> None:
    one = collect(tmp_path / "one", "env=multi_hop_qa", "episodes=21")
    two = collect(tmp_path / "two", "env=multi_hop_qa", "episodes=21", "workers=2")
    assert logs(one.folder) == logs(two.folder)
    assert sorted(row["episode"] for row in two.rows) == list(range(21))


@pytest.mark.slow
def test_a_killed_collection_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = collect(tmp_path, "env=water_maze", "episodes=24", "name=whole")
    words = [
        "import sys; from agent.commands.main import app; app(sys.argv[1:])",
        "collect",
        "env=water_maze",
        "episodes=24",
        "workers=1",
        "name=cut",
        f"runs={tmp_path}",
    ]
    worker = subprocess.Popen([sys.executable, "-c", *words], stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (found := list(tmp_path.glob("*/cut/00000[4-9]/events.jsonl"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert found
    cut = tmp_path / found[0].relative_to(tmp_path).parts[0] / "cut"
    with (cut / "episodes.jsonl").open("ab") as manifest:
        manifest.write(b'{"episode": 99, "se')
    before = len(read(cut / "episodes.jsonl"))
    done = collect(tmp_path, "env=water_maze", "episodes=24", "name=cut")
    assert 0 < before < 24
    assert logs(done.folder) == logs(whole.folder)
    assert sorted(row["episode"] for row in read(cut / "episodes.jsonl")) == list(range(24))


@pytest.mark.slow
def test_processes_end_with_the_one_that_was_killed(tmp_path: Path) -> None:
    words = [
        "import sys; from agent.commands.main import app; app(sys.argv[1:])",
        "collect",
        "env=courier",
        "episodes=700",
        "workers=2",
        "name=cut",
        f"runs={tmp_path}",
    ]
    worker = subprocess.Popen([sys.executable, "-c", *words], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/cut/*/events.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    time.sleep(1.0)
    before = {log: log.stat().st_size for log in tmp_path.rglob("events.jsonl")}
    time.sleep(0.7)
    assert before
    assert before == {log: log.stat().st_size for log in tmp_path.rglob("events.jsonl")}


def test_two_may_not_collect_into_one_folder(tmp_path: Path) -> None:
    done = collect(tmp_path, "env=episodic_qa", "episodes=6", "name=a")
    with FileLock(done.folder / ".lock"), pytest.raises(ConfigError, match="another process is at work"):
        collect(tmp_path, "env=episodic_qa", "episodes=12", "name=a")


def test_a_split_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="go beyond the split train, which has 1,000,000 seeds"):
        collect(tmp_path, "env=episodic_qa", "episodes=60", "seed=999960")


def test_going_on_leaves_run_json_alone(tmp_path: Path) -> None:
    done = collect(tmp_path, "env=episodic_qa", "episodes=6", "name=a")
    before = (done.folder / "run.json").read_bytes()
    collect(tmp_path, "env=episodic_qa", "episodes=6", "name=a")
    assert (done.folder / "run.json").read_bytes() == before
    assert not list(done.folder.glob("*.part"))


def test_what_is_wrong_in_a_process_is_told(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("collect", "env=water_maze", "workers=2", "plugins=[nope.py]", f"runs={tmp_path}", "episodes=8")
    assert code == 2
    assert "no file nope.py" in " ".join(err.split())


def test_more_episodes_can_be_asked_for_later(tmp_path: Path) -> None:
    collect(tmp_path, "env=episodic_qa", "episodes=8", "name=more")
    done = collect(tmp_path, "env=episodic_qa", "episodes=12", "name=more")
    assert sorted(row["episode"] for row in read(done.folder / "episodes.jsonl")) == list(range(12))
    assert collect(tmp_path, "env=episodic_qa", "episodes=12", "name=more").worlds() == []


def test_other_settings_under_the_same_name_are_refused(tmp_path: Path) -> None:
    collect(tmp_path, "env=episodic_qa", "episodes=1", "name=a")
    with pytest.raises(ConfigError, match="holds a run with other policy"):
        collect(tmp_path, "env=episodic_qa", "episodes=1", "name=a", "policy=random")
    with pytest.raises(ConfigError, match="other memory, env"):
        collect(tmp_path, "env=multi_hop_qa", "episodes=1", "name=a")


def test_damage_is_told(tmp_path: Path) -> None:
    done = collect(tmp_path, "env=episodic_qa", "episodes=1", "name=a")
    (done.folder / "episodes.jsonl").write_text('{"episode": 0}\n')
    with pytest.raises(LogError, match="line 1 is no episode"):
        collect(tmp_path, "env=episodic_qa", "episodes=1", "name=a")
    (done.folder / "run.json").write_text("{")
    with pytest.raises(LogError, match=r"run\.json is damaged"):
        collect(tmp_path, "env=episodic_qa", "episodes=1", "name=a")
    with pytest.raises(LogError, match="can't write"):
        append(tmp_path / "nowhere" / "episodes.jsonl", [])


def test_chance_is_the_same_again(tmp_path: Path) -> None:
    words = ("env=babyai_mixed", "policy=random", "episodes=3", "agent.max_calls=60")
    assert logs(collect(tmp_path / "a", *words).folder) == logs(collect(tmp_path / "b", *words).folder)


@pytest.mark.model
@pytest.mark.slow
def test_the_model_plays_worlds_side_by_side(tmp_path: Path, dtype: str) -> None:
    words = ("env=episodic_qa", "policy=model", "episodes=4", "agent.max_calls=3", "memory.embedder=hashing")
    words = (*words, f"model.dtype={dtype}")
    done = collect(tmp_path, *words, "workers=null", "batch=2")
    assert sorted(row["episode"] for row in done.rows) == list(range(4))
    events = read_events(done.folder / "000001" / "events.jsonl")
    told = [(before.type, after.surprise) for before, after in pairwise(events) if isinstance(after, Decided)]
    assert [surprise is None for _, surprise in told] == [kind == "returned" for kind, _ in told]
    assert any(surprise for _, surprise in told)


@pytest.mark.slow
@pytest.mark.model
def test_processes_that_share_a_model_play_as_one_does(tmp_path: Path, dtype: str) -> None:
    words = ("env=episodic_qa", "policy=model", "episodes=4", "agent.max_calls=3", "memory.embedder=hashing")
    words = (*words, f"model.dtype={dtype}", "batch=4")
    alone = collect(tmp_path, *words, "name=alone")
    shared = collect(tmp_path, *words, "workers=2", "name=shared")
    assert logs(shared.folder) == logs(alone.folder)


def test_a_server_is_asked_by_one_process(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a model of kind endpoint is asked by one process"):
        collect(tmp_path, "env=episodic_qa", "policy=model", "model=endpoint", "workers=2")


@pytest.mark.parametrize("env", ["babyai_mixed", "water_maze", "courier", "episodic_qa", "multi_hop_qa"])
def test_logs_play_again_as_they_were(tmp_path: Path, env: str) -> None:
    done = collect(tmp_path, f"env={env}", "episodes=7")
    played = [verify_log(log, make) for log in sorted(done.folder.rglob("events.jsonl"))]
    assert [one.difference for one in played] == [""] * 7
    assert sum(one.steps for one in played) == sum(row["steps"] for row in done.rows)


def test_a_log_that_was_changed_does_not_play_again(tmp_path: Path) -> None:
    log = collect(tmp_path, "env=babyai_mixed", "episodes=1").folder / "000000" / "events.jsonl"
    lines = log.read_text().splitlines()
    lines[-3] = lines[-3].replace("You see", "You saw") if "You see" in lines[-3] else lines[-3]
    changed = [line.replace("You see a", "You saw a") if '"step":1,' in line else line for line in lines]
    log.write_text("\n".join(changed) + "\n")
    assert "text was 'You saw" in verify_log(log, make).difference
    log.write_text("\n".join(line.replace('"seed":0', '"seed":5') for line in lines) + "\n")
    assert verify_log(log, make).difference
    log.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(LogError, match="does not begin with an episode's start"):
        verify_log(log, make)
    log.write_text("\n".join([lines[0], "{", *lines[1:]]) + "\n")
    with pytest.raises(LogError, match="line 2 is no event"):
        verify_log(log, make)


def test_the_command_ends_with_one_object(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("collect", "env=episodic_qa", "episodes=6", "workers=1", f"runs={tmp_path}", "--json")
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert set(result) == {
        "env",
        "policy",
        "episodes",
        "success",
        "ci95",
        "steps_over_optimal",
        "run_dir",
        "kinds",
    }
    assert (result["env"], result["policy"], result["episodes"]) == ("hippo/EpisodicQA-v0", "expert", 6)
    assert result["success"] == result["steps_over_optimal"] == 1.0
    assert Path(result["run_dir"], "episodes.jsonl").is_file()
    code, out, _ = cli("collect", "env=episodic_qa", "episodes=6", "workers=1", f"runs={tmp_path}")
    assert "unanswerable" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("env=courier", "env.kwargs.level=hot"), "unknown level 'hot'"),
        (("env=babyai_mixed", "env.kwargs.rooms=5"), "rooms must be one of"),
        (("env=CartPole-v1",), "not text"),
        (("env=document_qa",), "needs a data set"),
        (("env=MiniGrid-DoorKey-6x6-v0",), "there is no expert"),
        (("policy=best",), "policy: value error, expected expert, model, random"),
        (("split=dev",), "split: input should be"),
        (("workers=0",), "workers: "),
        (("env=gym:nowhere.py:World-v0",), "no file nowhere.py"),
        (("env=gym:nowhere:World-v0",), "no module 'nowhere'"),
        (("env=courier", "env.kwargs.rooms=4.5"), "rooms must be 4 to 6, got 4.5"),
        (("env=courier", "env.kwargs.max_steps=-5"), "max_steps must be at least 1"),
        (("env=babyai_mixed", "env.kwargs.skills=fly"), "got fly"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, out, err = cli("collect", f"runs={tmp_path}", *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.strip().count("\n") == 0


def test_a_world_that_can_not_begin_is_told(cli: Cli, tmp_path: Path) -> None:
    words = ("env=water_maze", "env.kwargs.size=8", "env.kwargs.landmarks=18", "policy=random", f"runs={tmp_path}")
    code, _, err = cli("collect", *words, "workers=1", "episodes=1")
    assert code == 2
    assert "can't begin with seed 0: EnvConfigError: 18 landmarks do not fit" in " ".join(err.split())


@pytest.mark.parametrize(("name", "counted"), [("episodic_qa", 5), ("multi_hop_qa", 5), ("courier", 7), ("gym", 1)])
def test_visits_of_ingestion_do_not_count(name: str, counted: int) -> None:
    config = load_collect([f"env={name}", *(["env.id=BabyAI-GoToLocal-v0"] if name == "gym" else [])])
    with closing(make(config.env.id, **config.env.kwargs)) as env:
        assert counted_visits(env) == counted
