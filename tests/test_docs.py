"""Examples, and the snippets of README and guide, run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SLOW = {"a_training.py"}
"""Examples that run the real 135 M model."""


def run(path: Path, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def snippets() -> Iterator[object]:
    for page in PAGES:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
            marks = [pytest.mark.model] if "LocalModel" in code else []
            if not code.startswith("# file:"):
                yield pytest.param(code, id=f"{page.stem}-{number}", marks=marks)


def commands() -> Iterator[object]:
    for page in PAGES:
        for line in re.findall(r"^hippo [^\n]*", page.read_text(), re.MULTILINE):
            for part in line.split("·"):
                words = shlex.split(part, comments=True)
                yield pytest.param(words[1:] if words[0] == "hippo" else words, id=" ".join(words[:3]))


@pytest.mark.parametrize("code", [*snippets()])
def test_snippets_run(code: str, tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(code)
    run(tmp_path / "snippet.py", tmp_path)


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.model, pytest.mark.slow] if p.name in SLOW else []) for p in EXAMPLES],
    ids=lambda p: p.stem,
)
def test_examples_run_and_say_something(path: Path, tmp_path: Path) -> None:
    assert 15 <= len(path.read_text().splitlines()) <= 50
    assert run(path, tmp_path).strip()


@pytest.fixture(scope="module")
def hippo() -> Any:
    """The command line with all its commands."""
    from agent.commands.lazy_group import COMMANDS, command_of
    from agent.commands.main import app, plug_in

    plug_in()
    whole: Any = typer.main.get_command(app)
    whole.commands |= {name: command_of(name, place) for name, (place, _) in COMMANDS.items()}
    return whole


@pytest.mark.parametrize("words", [*commands()])
def test_commands_that_are_shown_exist(words: list[str], hippo: Any) -> None:
    """Every command line of README and guide names a command, its options, and settings that there are."""
    from agent.config import compose_as
    from eval.suites import parse

    if words == ["--help"]:
        return
    command, rest = hippo, list(words)
    while rest and hasattr(command, "commands") and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    if words[0] == "eval" and rest and "=" in rest[0]:
        parse([word for word in rest if not word.startswith("arms=") or "yaml" not in word])
        return
    assert getattr(command, "invoke_without_command", not hasattr(command, "commands")), (
        f"no such command: {' '.join(words)}"
    )
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("-")} <= options | {"--help"}
    roots = {"run": "config", "serve": "config", "collect": "collect", "train": "train"}
    if words[0] in roots:
        from agent.config import CollectConfig, RunConfig
        from training.config import load_train

        settings = [word for word in rest if "=" in word]
        if words[0] == "train":
            load_train(settings)
        else:
            compose_as(settings, roots[words[0]], CollectConfig if words[0] == "collect" else RunConfig)


def test_the_readme_invites_and_points() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 160
    for target in re.findall(r"\]\(([^)#:]+)\)", "\n".join(lines)):
        assert (ROOT / target).exists(), target


PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_files_that_are_there(page: Path) -> None:
    for name in re.findall(r"`((?:agent|tools|envs|memory|training|eval|tests|docs)/[\w/.]+)`", page.read_text()):
        assert (ROOT / name).exists(), name
