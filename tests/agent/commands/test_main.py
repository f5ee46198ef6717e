import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent import End, read_events
from agent.commands.main import app

SCRIPT = ["model=script", "memory.embedder=hashing", "agent.max_calls=300", "env.kwargs.size=8"]
FIGURES = {
    "seed", "ending", "success", "steps", "optimal_steps", "return", "model_calls", "tool_calls", "invalid_calls",
    "prefill_tokens", "decode_tokens", "forced_tokens", "writes", "seconds",
}  # fmt: skip


def hippo(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_a_run_plays_logs_and_sums_up(tmp_path: Path) -> None:
    code, out, err = hippo("run", *SCRIPT, f"runs={tmp_path}", "episodes=2", "--json")
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert out.count("\n") == 1
    assert set(result) == {"env", "model", "run_dir", "episodes"}
    assert [set(episode) for episode in result["episodes"]] == [FIGURES] * 2
    assert [episode["seed"] for episode in result["episodes"]] == [0, 1]
    assert "what it remembers" in err
    assert "calls  explore()" in err
    folder = Path(result["run_dir"])
    assert json.loads((folder / "run.json").read_text())["config"]["env"]["kwargs"]["size"] == 8
    ends = [read_events(folder / f"{n:06}" / "events.jsonl")[-1] for n in range(2)]
    assert all(isinstance(end, End) and end.success for end in ends)
    first, second = result["episodes"]
    assert second["steps"] <= second["optimal_steps"] + 4
    assert (folder / "memory" / "memory.db").is_file()
    assert first["model_calls"] > second["model_calls"]


def test_a_memory_is_kept_between_runs(tmp_path: Path) -> None:
    kept = [*SCRIPT, f"memory.path={tmp_path / 'memory'}", "episodes=1", "--json"]
    _, out, _ = hippo("run", *kept, f"runs={tmp_path / 'a'}", "seed=0")
    _, again, _ = hippo("run", *kept, f"runs={tmp_path / 'b'}", "seed=1")
    steps = [json.loads(text.splitlines()[-1])["episodes"][0] for text in (out, again)]
    assert steps[1]["steps"] <= steps[1]["optimal_steps"] + 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["env=water_maz"], "did you mean water_maze"),
        (["env=BabyAI-GoToLoca-v0", "model=script"], "did you mean BabyAI-GoToLocal-v0"),
        (["model=smollm"], "did you mean smollm2-135m"),
        (["memory.tools=[recal]", *SCRIPT], "did you mean recall"),
        (["sed=1"], "did you mean seed"),
        (["env.kwargs.size=3", "model=script"], "size must be 8 to 64, got 3"),
        (["plugins=[nowhere.py]", "model=script"], "no file nowhere.py"),
        (["memory.path=LICENSE", "model=script"], "is a file"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    code, out, err = hippo("run", *arguments, f"runs={tmp_path}")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_your_own_tool_is_in_the_loop(tmp_path: Path) -> None:
    file = tmp_path / "compass.py"
    file.write_text(
        'from tools import tool\n\n@tool\ndef compass() -> str:\n    """Tell where north is"""\n    return "up"\n'
    )
    code, out, _ = hippo("run", *SCRIPT, f"plugins=[{file}]", f"runs={tmp_path}", "episodes=1", "--json")
    log = Path(json.loads(out)["run_dir"]) / "000000" / "events.jsonl"
    assert code == 0
    assert "compass" in [tool["function"]["name"] for tool in json.loads(log.read_text().splitlines()[0])["tools"]]
    assert hippo("tools", "list", str(file))[1] == "compass(): Tell where north is\n"


def test_interruption_ends_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "agent",
            "run",
            "model=script",
            "memory.embedder=hashing",
            "env.kwargs.size=40",
            "env.kwargs.max_steps=100000",
            "agent.max_calls=100000",
            f"runs={tmp_path}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 60
    while not (logs := list(tmp_path.glob("*/*/000000/events.jsonl"))) or logs[0].stat().st_size < 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped" in err
    assert "episodes" in out
    end = read_events(logs[0])[-1]
    assert isinstance(end, End)
    assert end.ending == "stopped"


def test_a_killed_run_leaves_a_readable_log(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "agent",
            "run",
            "model=script",
            "memory.embedder=hashing",
            "env.kwargs.size=40",
            "env.kwargs.max_steps=100000",
            "agent.max_calls=100000",
            f"runs={tmp_path}",
            "-q",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    deadline = time.monotonic() + 60
    while not (logs := list(tmp_path.glob("*/*/000000/events.jsonl"))) or logs[0].stat().st_size < 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    events = read_events(logs[0])
    assert len(events) > 5
    assert [event.step for event in events] == sorted(event.step for event in events)


def test_lists_and_help() -> None:
    assert "BabyAI-GoToLocal-v0\n" in hippo("envs", "gotolocal")[1]
    assert hippo("envs")[1].startswith("babyai_goto\nbabyai_mixed\ncourier\n")
    assert "recall(cue): Search what happened before" in hippo("tools")[1]
    assert json.loads(hippo("tools", "list", "--json")[1])[0]["name"] == "recall"
    assert {row["name"] for row in json.loads(hippo("models", "list", "--json")[1])} >= {"smollm2-135m", "minilm"}
    code, out, _ = hippo("--help")
    assert code == 0
    assert all(command in out for command in ("run", "models", "doctor", "envs", "tools"))


def test_models_commands_refuse_what_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIPPO_CACHE", str(tmp_path))
    assert hippo("models", "fetch", "smollm")[0] == 2
    assert "hippo models fetch" in hippo("models", "verify")[2]
    code, out, _ = hippo("doctor")
    assert code == 1
    assert "MISSING model smollm2-135m" in out
    assert "hint: run `hippo models fetch smollm2-135m`" in out


@pytest.mark.model
def test_doctor_is_content_here() -> None:
    code, out, _ = hippo("doctor", "--json")
    assert code == 0
    assert all(check["ok"] for check in json.loads(out) if check["needed"])
