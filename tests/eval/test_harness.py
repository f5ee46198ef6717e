import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LogError
from agent.logs.files import folder_lock
from eval import measures
from eval.cost import Cost, Shape
from eval.errors import EvalError
from eval.harness import Evaluation
from eval.suites import parse
from eval.summary import read_run
from tests.eval.conftest import ARMS, Evaluate

TIMED = {"seconds", "tool_ms", "log"}


def untimed(folder: Path) -> list[dict[str, Any]]:
    _, records = read_run(folder)
    return [{key: value for key, value in one.items() if key not in TIMED} for one in records]


def test_every_arm_plays_the_same_worlds_and_the_first_is_compared(evaluate: Evaluate) -> None:
    summary, folder = evaluate("suite=sgc_rss", "n=10", "arms=[expert,random_calls]", "batch=1", "name=a")
    assert summary["ok"]
    expert, chance = summary["arms"]["expert"], summary["arms"]["random_calls"]
    assert (expert["n"], expert["worlds"], expert["success"], expert["em"], expert["f1"]) == (10, 2, 1.0, 1.0, 1.0)
    assert chance["success"] == 0.0
    (pair,) = summary["paired"]
    assert (pair["a"], pair["b"], pair["diff"], pair["won"], pair["lost"]) == ("expert", "random_calls", 1.0, 10, 0)
    assert pair["p"] == pytest.approx(2 * 0.5**10)
    assert {*summary["arms"]["expert"]["tasks"]["facts"]["kinds"]} == {
        "2 hops",
        "3 hops",
        "4 hops",
        "changed",
        "contradiction",
    }
    _, records = read_run(folder)
    seeds = {name: [one["seed"] for one in records if one["arm"] == name] for name in ("expert", "random_calls")}
    assert seeds["expert"] == seeds["random_calls"]
    assert all((folder / one["log"]).is_file() for one in records)
    assert min(seeds["expert"]) >= 2_400_000


@pytest.mark.slow
def test_the_same_command_gives_the_same_numbers(evaluate: Evaluate) -> None:
    asked = ["suite=hei_nw", "n=5", "arms=[expert,random_calls]"]
    _, one = evaluate(*asked, "name=one")
    _, two = evaluate(*asked, "name=two", "processes=2")
    assert untimed(one) == untimed(two)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_to_the_same(evaluate: Evaluate, tmp_path: Path) -> None:
    asked = ["suite=sgc_rss", "n=60", "arms=[expert,random_calls]", "batch=1"]
    command = [sys.executable, "-m", "agent", "eval", *asked, f"runs={tmp_path / 'eval'}", "name=killed", "processes=2"]
    script = "from agent.commands.main import main; main()"
    began = subprocess.Popen([sys.executable, "-c", script, *command[3:]], stderr=subprocess.DEVNULL)
    folder = tmp_path / "eval" / "killed"
    deadline = time.monotonic() + 60
    while not [*folder.glob("episodes/*/*/episodes.jsonl")] and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(began.pid, signal.SIGKILL)
    began.wait()
    assert not (folder / "summary.json").exists()
    time.sleep(1)  # its processes end with it
    evaluate(*asked, "name=killed")
    _, whole = evaluate(*asked, "name=whole")
    assert untimed(folder) == untimed(whole)


def test_other_settings_under_the_same_name_are_refused(evaluate: Evaluate) -> None:
    evaluate("suite=hei_nw", "n=5", "arms=[random_calls]", "name=a")
    with pytest.raises(EvalError, match="holds an evaluation with other n"):
        evaluate("suite=hei_nw", "n=10", "arms=[random_calls]", "name=a")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["suite=hei_nv"], "unknown suite 'hei_nv': did you mean hei_nw"),
        (["suite=courier", "arms=[modle]"], "unknown arm 'modle': did you mean model"),
        (["suite=courier", "arms=[absent.yaml]"], "arm absent.yaml: there is no such file; without .yaml it is one of"),
        (["suite=courier", "arm=model"], "unknown setting 'arm': did you mean arms"),
        (["n=3"], "which suite"),
        (["suite=courier", "n=0"], "n: input should be greater than or equal to 1"),
        (["suite=custom"], "which world"),
        (["suite=courier", "env=water_maze"], "has its own worlds"),
        (["suite=courier", "arms=[memory_swapped]"], "begins with the memories of model: add it"),
        (["courier"], "expected key=value"),
        (["suite=courier", "arms=[expert,expert]"], "two arms are called 'expert'"),
        (["suite=courier", "n=900000", "split=validation"], "goes beyond the split validation"),
        (["suite=hei_nw", "n=5", "arms=[model,memory_swapped]"], "memories are swapped between two: raise n"),
        (["suite=hei_nw", "arms=[expert]", "set=[seed=3]"], "set= changes seed, which is set by seed="),
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_is_played(asked: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=told.replace("[", r"\[")):
        Evaluation(parse([*asked, f"runs={tmp_path}"]))
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EvalError, match=r"can.t be made: .*choose another runs="):
        Evaluation(parse(["suite=hei_nw", "n=5", "arms=[expert]", f"runs={tmp_path / 'file'}"]))


def test_an_arm_of_ones_own_is_a_file_of_a_few_lines(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    summary, _ = evaluate("suite=hei_nw", "n=5", f"arms=[expert,{arm('forgetful')}]")
    assert summary["arms"]["forgetful"]["about"] == "the expert without episodes"
    assert summary["arms"]["forgetful"]["success"] == 0.2  # what can't be answered


@pytest.mark.slow
def test_macros_are_mined_before_the_arms_play(evaluate: Evaluate) -> None:
    summary, folder = evaluate("suite=procedural", "n=4", "arms=[script,script_macros]", "set=[agent.max_calls=200]")
    mined = json.loads((folder / "library" / "put-next.json").read_text())
    assert mined["accepted"]
    assert summary["arms"]["script_macros"]["macros_run"] > 0.5
    assert summary["arms"]["script"]["macros_run"] == 0.0
    assert summary["arms"]["script_macros"]["model_calls"] < summary["arms"]["script"]["model_calls"] / 2


def test_another_release_does_not_go_on_with_it_but_sums_it_up(evaluate: Evaluate) -> None:
    asked = ["suite=hei_nw", "n=5", "arms=[random_calls]", "name=a"]
    first, folder = evaluate(*asked)
    settings = json.loads((folder / "eval.json").read_text())
    settings["packages"]["transformers"] = "4.0"
    (folder / "eval.json").write_text(json.dumps(settings))
    again, _ = evaluate(*asked)
    assert again["arms"]["random_calls"]["success"] == first["arms"]["random_calls"]["success"]
    manifest = next(folder.glob("episodes/*/*/episodes.jsonl"))
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(EvalError, match=r"begun with transformers 4\.0 \(now 5\."):
        evaluate(*asked)


def test_a_changed_arm_does_not_go_on_under_the_same_name(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    asked = ["suite=hei_nw", "n=5", "name=a"]
    asked.append(f"arms=[{arm('mine', ARMS['forgetful'].replace('without:', '#'))}]")
    evaluate(*asked)
    arm("mine", "about: in other words\npolicy: expert")
    evaluate(*asked)
    arm("mine", ARMS["forgetful"])
    with pytest.raises(EvalError, match="begun with another arm mine: give another name="):
        evaluate(*asked)


def test_a_folder_is_one_process_alone(evaluate: Evaluate) -> None:
    asked = ["suite=hei_nw", "n=5", "arms=[random_calls]", "name=a"]
    _, folder = evaluate(*asked)
    with folder_lock(folder), pytest.raises(LogError, match="another process is at work"):
        evaluate(*asked)
    evaluate(*asked)


def test_records_that_were_changed_are_told(evaluate: Evaluate) -> None:
    _, folder = evaluate("suite=hei_nw", "n=5", "arms=[random_calls]", "name=a")
    file = folder / "records.jsonl"
    file.write_text(file.read_text().replace('"success": false', '"success": true', 1))
    with pytest.raises(EvalError, match=r"records.jsonl is not the one that the summary is of"):
        read_run(folder)


@pytest.mark.slow
def test_other_weights_do_not_go_on_with_it(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("about: another adapter\nset: [model.adapter=hippo-135m, model.seq_len=512]\n")
    asked = parse(["suite=hei_nw", "n=5", f"arms=[model,untrained,{mine}]", f"runs={tmp_path}", "name=a"])
    settings = json.loads((Evaluation(asked).folder / "eval.json").read_text())
    assert settings["model"]["adapters"].keys() == {"model", "mine"}
    for arm in ("model", "mine"):
        changed = settings["model"]["adapters"] | {arm: "0" * 64}
        (tmp_path / "a" / "eval.json").write_text(json.dumps(settings | {"model": {"adapters": changed}}))
        with pytest.raises(EvalError, match=f"begun with other weights of arm {arm}"):
            Evaluation(asked).run()
    old = {"name": "hippo-135m", "adapter_sha256": "0" * 64}  # as releases before wrote it
    (tmp_path / "a" / "eval.json").write_text(json.dumps(settings | {"model": old}))
    with pytest.raises(EvalError, match="begun with other weights of arm model: "):
        Evaluation(asked).run()


def test_ingestion_is_paid_for(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "shape_of", lambda _config: Shape(1, 1, 1, 1, 1, 1, 1))
    monkeypatch.setattr(measures, "cost_of", lambda decisions, _shape: Cost(flops=10 * len([*decisions])))
    summary, folder = evaluate("suite=sgc_rss", "n=10", "arms=[expert]")
    _, records = read_run(folder)
    manifests = folder.glob("episodes/*/*/episodes.jsonl")
    calls = sum(json.loads(row)["model_calls"] for one in manifests for row in one.read_text().splitlines())
    assert sum(one["flops"] + one["ingestion_flops"] for one in records) == 10 * calls
    assert min(one["ingestion_flops"] for one in records) > max(one["flops"] for one in records) / 2
    assert summary["arms"]["expert"]["flops_per_solved"] == pytest.approx(calls)  # 10 of 10 are solved


def test_what_was_probed_stays(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = {"title": "t", "columns": ["a"], "rows": [["b"]]}
    monkeypatch.setattr("eval.summary.PROBES", {"cues": lambda: probe, "replay": lambda: probe})
    asked = ["suite=hei_nw", "n=5", "arms=[random_calls]", "name=a"]
    evaluate(*asked, "probes=true")
    summary, _ = evaluate(*asked)
    assert summary["probes"] == {"cues": probe, "replay": probe}


def test_memories_are_taken_from_an_arm_that_has_some(arm: Callable[..., str], tmp_path: Path) -> None:
    without = arm("bare", "about: none\npolicy: expert\nmemory: false")
    taker = arm("taker", "about: takes them\nmemories: swapped\nof: bare")
    with pytest.raises(EvalError, match="which keeps none of its own"):
        Evaluation(parse(["suite=hei_nw", f"arms=[{without},{taker}]", f"runs={tmp_path / 'eval'}"]))
