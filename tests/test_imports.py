"""Imports run downwards only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "memory": set(),
    "envs": set(),
    "tools": {"memory"},
    "agent": {"tools", "memory"},
    "training": {"agent", "tools", "envs", "memory"},
    "eval": {"training", "agent", "tools", "envs", "memory"},
}
COMMANDS = "commands"
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found & set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    relative = path.relative_to(ROOT)
    package = relative.parts[0]
    allowed = ALLOWED[package] | {package}
    if COMMANDS in relative.parts:
        allowed = allowed | {"envs"}
    assert imported(path) <= allowed


def test_the_rule_would_notice() -> None:
    assert imported(ROOT / "tools" / "memory_tools.py") == {"memory", "tools"}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_are_typed_and_described(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))


def test_public_names_exist() -> None:
    import agent
    import envs
    import memory
    import tools
    import training

    for package in (agent, envs, memory, tools, training):
        assert len(set(package.__all__)) == len(package.__all__) > 0
        for name in package.__all__:
            assert getattr(package, name) is not None
