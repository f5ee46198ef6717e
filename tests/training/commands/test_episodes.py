import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_collect
from agent.errors import LogError
from agent.logs.files import atomic_write
from agent.logs.log import read_events
from agent.rollout.collect import Collection
from envs import make
from memory import Memory
from training.rows import Counts, rows

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    made = Collection(load_collect(["env=courier", "episodes=14", "workers=1", f"runs={runs}"]), range(10**6), make)
    made.run()
    return made.folder


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    made = Collection(
        load_collect(
            ["env=babyai_mixed", "policy=random", "episodes=4", "workers=1", "agent.max_calls=5", f"runs={tmp_path}"]
        ),
        range(10**6),
        make,
    )
    made.run()
    return made.folder


def told(cli: Cli, *words: object) -> Any:
    code, out, err = cli("episodes", *words, "--json")
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


def test_list_takes_what_is_asked_for(cli: Cli, run: Path, failed: Path) -> None:
    assert len(told(cli, "list", run, failed)) == 18
    assert {row["kind"] for row in told(cli, "list", run, "--kind", "errand")} == {"errand"}
    assert len(told(cli, "list", run, failed, "--unsolved")) == 4
    assert len(told(cli, "list", run, failed, "--solved", "--most", 3)) == 3
    assert all(row["steps"] <= 20 for row in told(cli, "list", run, "--most-steps", 20))
    assert all(row["steps"] == row["optimal_steps"] for row in told(cli, "list", run, "--most-over", 1))
    assert told(cli, "list", run, failed, "--env", "babyai", "--ending", "out_of_steps")
    code, _, err = cli("episodes", "list", run, "--kind", "errnd")
    assert code == 1
    assert "no episode is like that: there are the kinds errand, " in " ".join(err.split())
    code, _, err = cli("episodes", "show", run)
    assert (code, "is a run of 14 episodes: show one of them" in " ".join(err.split())) == (1, True)
    code, out, _ = cli("episodes", "list", run)
    assert code == 0
    assert out.count("events.jsonl") == 14


def test_stats_count_by_kind(cli: Cli, run: Path) -> None:
    found = told(cli, "stats", run)
    assert found["episodes"] == 14
    assert found["kinds"]["round"]["episodes"] == 4
    assert found["success"] == 1.0
    assert found["tool_calls"]["tell"] > 0
    assert found["unfinished"] == 0
    assert "calls: forward" in cli("episodes", "stats", run)[1]


def test_show_prints_the_whole_episode(cli: Cli, run: Path) -> None:
    code, out, _ = cli("episodes", "show", run / "000000")
    assert code == 0
    assert "It is day 1." in out
    assert "calls  tell(" in out
    assert "solved: " in out
    assert len(told(cli, "show", run / "000000" / "events.jsonl")) == len(read_events(run / "000000" / "events.jsonl"))


def test_replay_says_what_is_other(cli: Cli, run: Path, tmp_path: Path) -> None:
    assert told(cli, "replay", run, "--workers", 1) == {
        "episodes": 14,
        "matching": 14,
        "steps": sum(row["steps"] for row in told(cli, "list", run)),
        "differing": [],
    }
    log = tmp_path / "x" / "events.jsonl"
    log.parent.mkdir()
    log.write_text((run / "000002" / "events.jsonl").read_text().replace('"reward":0.0', '"reward":0.5', 1))
    code, out, _ = cli("episodes", "replay", log, "--workers", 1)
    assert code == 1
    assert "0 of 1 episodes" in out
    assert "reward was 0.5, now it is 0.0" in out


def test_filter_makes_a_run_of_its_own(cli: Cli, run: Path, failed: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    assert told(cli, "filter", run, failed, "--solved", "--kind", "errand", "--out", out)["episodes"] == 2
    assert told(cli, "stats", out)["episodes"] == 2
    assert [row["log"] for row in map(json.loads, (out / "episodes.jsonl").read_text().splitlines())] == [
        "000000/events.jsonl",
        "000001/events.jsonl",
    ]
    assert json.loads((out / "filter.json").read_text())["filter"]["kind"] == "errand"
    code, _, err = cli("episodes", "filter", run, "--out", out)
    assert (code, "not an empty folder" in err) == (1, True)
    code, _, err = cli("episodes", "filter", run, "--kind", "picnic", "--out", tmp_path / "none")
    assert (code, "no episode is like that" in err) == (1, True)
    assert not (tmp_path / "none").exists()


def test_export_writes_rows_of_solved_episodes_once(cli: Cli, run: Path, failed: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    result = told(cli, "export", run, run, failed, "--out", out)
    assert (result["episodes"], result["rows"], result["doubles"], result["unsolved"]) == (18, 14, 0, 4)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == 14
    for row in found:
        assert set(row) == {"messages", "tools", "provenance"}
        assert isinstance(row["tools"], str)
        assert {"log", "sha256", "seed", "env"} <= set(row["provenance"])
        assert row["messages"][0]["role"] == "system"
        assert any(message.get("tool_calls") for message in row["messages"])
    assert told(cli, "export", failed, "--unsolved", "--out", out)["rows"] == 4
    code, _, err = cli("episodes", "export", failed, "--out", tmp_path / "none.jsonl")
    assert (code, "none of 4 episodes was solved" in err) == (2, True)
    assert not (tmp_path / "none.jsonl").exists()


def test_damage_is_told_and_nothing_is_written(cli: Cli, run: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad" / "events.jsonl"
    bad.parent.mkdir()
    text = (run / "000000" / "events.jsonl").read_text().splitlines()
    for lines, command, message in (
        (["{", *text[1:]], "list", "the first line is no event"),
        ([*text[:-1], "{}"], "stats", "the last line is no event"),
        ([*text[:4], "{}", *text[5:]], "export", "line 5 is no event"),
        ([*text[:4], "{}", *text[5:]], "replay", "line 5 is no event"),
        (text[1:], "list", "does not begin with an episode's start"),
        ([], "show", "is empty: the episode was broken off"),
    ):
        bad.write_text("".join(f"{line}\n" for line in lines))
        out = ["--out", str(tmp_path / "rows.jsonl")] if command == "export" else []
        workers = ["--workers", "1"] if command == "replay" else []
        code, said, err = cli("episodes", command, bad, *out, *workers)
        assert code == 1, command
        assert message in err + said
    assert not (tmp_path / "rows.jsonl").exists()
    code, _, err = cli("episodes", "list", tmp_path / "nowhere")
    assert (code, "no events.jsonl in" in err) == (1, True)


def test_an_episode_cut_short_is_counted_and_left_out(cli: Cli, run: Path, tmp_path: Path) -> None:
    log = tmp_path / "cut" / "events.jsonl"
    log.parent.mkdir()
    log.write_bytes(b"\n".join((run / "000000" / "events.jsonl").read_bytes().splitlines()[:9]) + b'\n{"type": "ob')
    assert told(cli, "stats", log)["unfinished"] == 1
    assert told(cli, "list", log)[0]["ending"] == "unfinished"
    counts = Counts()
    assert not list(rows([log], counts))
    assert counts.unfinished == 1


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("before")
    with pytest.raises(ValueError, match="half"), atomic_write(path) as file:
        file.write("new")
        raise ValueError("half way")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(LogError, match="can't write"), atomic_write(path / "below"):
        pass


def test_empty_logs_and_long_lines_stop_nothing(cli: Cli, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    lines = (run / "000002" / "events.jsonl").read_bytes().splitlines()
    end = json.loads(lines[-1])
    end["reason"] = "x" * 200_000
    for name, data in (
        ("empty", b""),
        ("torn", b'{"type": "st'),
        ("long", b"\n".join([*lines[:-1], json.dumps(end).encode(), b""])),
        ("longtorn", b"\n".join([*lines, b"x" * 200_000])),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "events.jsonl").write_bytes(data)
    found = told(cli, "stats", folder)
    assert (found["episodes"], found["unfinished"]) == (2, 2)
    assert len(told(cli, "list", folder)) == 2


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('"success":true', '"success":false', "at the end success was False"),
        ('"kind":"', '"kind":"x', "kind was"),
        ('"world":"', '"world":"x', "world was"),
        ('"optimal_steps":', '"optimal_steps":9', "optimal_steps was"),
        ('"total_reward":', '"total_reward":1', "at the end total_reward was"),
    ],
)
def test_replay_compares_beginning_and_end(
    cli: Cli, run: Path, tmp_path: Path, before: str, after: str, what: str
) -> None:
    log = tmp_path / "x" / "events.jsonl"
    log.parent.mkdir()
    log.write_text((run / "000002" / "events.jsonl").read_text().replace(before, after, 1))
    code, out, _ = cli("episodes", "replay", log, "--workers", 1)
    assert (code, what in out) == (1, True)


def test_replay_notices_a_missing_line(cli: Cli, run: Path, tmp_path: Path) -> None:
    log = tmp_path / "x" / "events.jsonl"
    log.parent.mkdir()
    lines = (run / "000002" / "events.jsonl").read_text().splitlines()
    gone = next(i for i, line in enumerate(lines) if '"type":"observed"' in line and '"step":3,' in line)
    log.write_text("".join(f"{line}\n" for line in lines[:gone] + lines[gone + 1 :]))
    code, out, _ = cli("episodes", "replay", log, "--workers", 1)
    assert code == 1, out


def test_macros_are_not_changed_when_rows_can_not_be_written(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    code, _, err = cli("distill", "clone", tmp_path / "memory", run, "--rows", tmp_path / "rows")
    assert (code, "can't write" in err) == (1, True)
    with Memory.open(tmp_path / "memory") as memory:
        assert len(memory.macros) == 0
