import json
from collections.abc import Callable
from pathlib import Path

import pytest

from training.card import _words as command_words

pytestmark = pytest.mark.model

Cli = Callable[..., tuple[int, str, str]]


def test_train_and_export_from_the_command_line(cli: Cli, tiny: Path, runs: Path, tmp_path: Path) -> None:
    asked = ("name=mine", f"model={tiny}", f"out={tmp_path}", f"data.runs=[{runs}]", "dry_run=true")
    code, out, err = cli("train", *asked, "--json")
    assert code == 0
    done = json.loads(out.splitlines()[-1])
    assert (done["folder"], done["steps"]) == (str(tmp_path / "mine"), 2)
    assert "step 2 of 2, loss" in err
    assert cli("adapters", "list", "--in", str(tmp_path))[1].count("2 (dry run)") == 1
    assert "data.runs=[runs/" in cli("train", "--help")[1]  # not eaten as markup
    code, out, _ = cli("export", str(tmp_path / "mine"), str(tmp_path / "merged"))
    assert code == 0
    assert "the same token is next" in out
    assert cli("export", str(tmp_path / "mine"), str(tmp_path / "x"), "--form", "onnx")[0] == 2


def test_a_data_set_can_be_made_for_elsewhere(cli: Cli, tiny: Path, runs: Path, tmp_path: Path) -> None:
    code, out, _ = cli(
        "train", "name=set", f"model={tiny}", f"out={tmp_path}", f"data.runs=[{runs}]", "prepare_only=true"
    )
    assert code == 0
    assert f"data.prepared={tmp_path / 'set' / 'data'}" in out


def test_mistakes_are_one_line(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("train", "name=mine", f"out={tmp_path}")
    assert code == 2
    assert err.startswith("error: name what to learn from")
    code, _, err = cli("train", "name=mine", "data.rums=[a]")
    assert code == 2
    assert "did you mean data.runs" in err


def test_distill_improve_needs_an_adapter(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    code, _, err = cli("distill", "improve", "name=a", f"model={tiny}", f"out={tmp_path}", "--env", "courier")
    assert code == 2
    assert "adapter=hippo-135m" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["bin/hippo", "train", "name=x"], ["train", "name=x"]),
        (["bin/hippo", "distill", "improve"], ["distill", "improve"]),
        (["training/commands/train.py", "name=x"], ["train", "name=x"]),
        (["training/commands/distill.py", "improve"], ["distill", "improve"]),
    ],
)
def test_a_card_names_the_command_as_it_is_under_hippo(argv: list[str], words: list[str]) -> None:
    assert command_words(argv) == words
