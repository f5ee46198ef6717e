import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.commands.evaluate import app
from eval.compare import compare
from eval.errors import EvalError
from eval.report import write_report
from tests.eval.conftest import Evaluate

run = CliRunner()


@pytest.fixture
def evaluated(evaluate: Evaluate, arm: Callable[..., str]) -> Path:
    arms = f"arms=[expert,{arm('forgetful')},random_calls,{arm('swapped')}]"
    return evaluate("suite=hei_nw", "n=10", arms, "name=first")[1]


def test_the_report_needs_nothing_else(evaluated: Path, tmp_path: Path) -> None:
    done = write_report([evaluated], tmp_path / "report")
    html = done.html.read_text()
    assert not done.problems
    assert not re.search(r"(src|href)=[\"'](?!data:|#)|url\(|@import|<script", html)
    for text in (
        "hei_nw (first): 12 events",
        "forgetful",
        "memory reaches expert",
        "By kind of mission",
        "unanswerable",
    ):
        assert text in html
    assert html.count("data:image/png;base64,") == len([*(tmp_path / "report").glob("*.png")]) >= 2
    markdown = done.markdown.read_text()
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown):
        assert (tmp_path / "report" / picture).is_file()
    assert "| hei_nw (first): 12 events, arm expert | 10 (2) | **1.000** |" in markdown


def test_failures_are_told_with_their_episodes(evaluate: Evaluate, tmp_path: Path) -> None:
    _, folder = evaluate("suite=hei_nw", "n=10", "arms=[random_calls,expert]")
    html = write_report([folder], tmp_path / "report").html.read_text()
    assert html.count("<details>") == 20
    assert "hippo episodes show" in html
    assert "decided: {" in html.replace("&#34;", '"')


def test_what_can_not_be_read_is_named_and_the_rest_reported(evaluated: Path, tmp_path: Path) -> None:
    torn, nothing = tmp_path / "torn", tmp_path / "nothing"
    shutil.copytree(evaluated, torn)
    lines = (torn / "records.jsonl").read_text().splitlines(keepends=True)
    (torn / "records.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
    nothing.mkdir()
    answer = run.invoke(app, ["report", str(evaluated), str(torn), str(nothing), "--out", str(tmp_path / "report")])
    assert answer.exit_code == 1
    assert "torn is damaged" in answer.stderr
    assert "nothing holds no evaluation" in answer.stderr
    assert "hei_nw" in (tmp_path / "report" / "report.html").read_text()
    (torn / "records.jsonl").write_text("5\n" + "".join(lines[1:]))
    with pytest.raises(EvalError, match="is damaged"):
        write_report([torn], tmp_path / "other")
    (torn / "records.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(EvalError, match=r"records\.jsonl is not the one that the summary is of"):
        write_report([torn], tmp_path / "other")


def test_mixed_versions_are_told(evaluated: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(evaluated, older)
    summary = json.loads((older / "summary.json").read_text())
    summary["packages"]["transformers"] = "4.0"
    (older / "summary.json").write_text(json.dumps(summary))
    html = write_report([evaluated, older], tmp_path / "report").html.read_text()
    assert "Mixed versions: transformers 4.0 and" in html
    assert any(note.startswith("transformers") for note in compare(evaluated, older)["notes"])


@pytest.mark.slow
def test_two_evaluations_are_compared_episode_by_episode(evaluated: Path, evaluate: Evaluate) -> None:
    _, second = evaluate("suite=hei_nw", "n=10", "arms=[expert]", "set=[env.kwargs.level=easy]", "name=easy")
    with pytest.raises(EvalError, match="is another world"):
        compare(evaluated, second)
    _, other = evaluate("suite=sgc_rss", "n=5", "arms=[expert]", "name=other")
    with pytest.raises(EvalError, match="can't be compared"):
        compare(evaluated, other)
    _, same = evaluate("suite=hei_nw", "n=10", "arms=[expert,random_calls]", "name=same")
    answer = run.invoke(app, ["compare", str(evaluated), str(same), "--json"])
    assert answer.exit_code == 0
    found = json.loads(answer.stdout.splitlines()[-1])
    assert {(one["arm"], one["diff"], one["p"]) for one in found["paired"]} == {
        ("expert", 0.0, 1.0),
        ("random_calls", 0.0, 1.0),
    }


def test_the_command_line_ends_with_the_summary(tmp_path: Path) -> None:
    asked = ["suite=hei_nw", "n=5", "arms=[expert,random_calls]", f"runs={tmp_path}", "name=a", "--json"]
    answer = run.invoke(app, asked)
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout.splitlines()[-1])
    wanted = {"n", "success", "ci95", "steps_over_optimal", "em", "f1", "model_calls", "tokens", "seconds"}
    assert wanted <= found["arms"]["expert"].keys()
    assert {"a", "b", "diff", "ci95", "p"} <= found["paired"][0].keys()
    assert found["suite"] == "hei_nw"


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for asked, told in (
        (["suite=nothing"], "unknown suite 'nothing'"),
        (["suite=hei_nw", f"runs={tmp_path}", "set=[memory.gate.tao=1]"], "memory.gate.tau"),
        (["report", str(tmp_path / "none")], "holds no evaluation"),
        (["suite=retrieval"], "which questions?"),
    ):
        answer = run.invoke(app, asked)
        assert answer.exit_code == 2, answer.output
        assert told in answer.stderr
        assert answer.stderr.count("\n") <= 2
