from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.harness import Evaluation
from eval.suites import parse
from eval.summary import finish

Evaluate = Callable[..., tuple[dict[str, Any], Path]]

ARMS = {
    "restored": "about: its own memory again\nmemories: restored\nof: expert",
    "swapped": "about: another world's memory\nmemories: swapped\nof: expert",
    "shuffled": "about: what is looked up belongs to something else\nmemories: shuffled\nof: expert",
    "random": "about: look-ups give anything\nmemories: random\nof: expert",
    "empty": "about: no memory\nmemories: empty\nof: expert",
    "forgetful": "about: the expert without episodes\npolicy: expert\nwithout: [recall, remember]",
}


@pytest.fixture
def arm(tmp_path: Path) -> Callable[[str], str]:
    """Arms of the expert, and of your own: the path of a YAML file."""

    def write(name: str, text: str = "") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text or ARMS[name])
        return str(path)

    return write


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """Evaluate as `hippo eval` does; the summary and the folder."""

    def run(*asked: str) -> tuple[dict[str, Any], Path]:
        evaluation = Evaluation(parse([*asked, f"runs={tmp_path / 'eval'}"]))
        return finish(evaluation, evaluation.run()), evaluation.folder

    return run


def check(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """The check that begins with a name."""
    (found,) = [one for one in summary["checks"] if one["name"].startswith(name)]
    assert isinstance(found, dict)
    return found
