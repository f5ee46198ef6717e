"""Imports run downwards only, at every level: no file and no folder is in a circle."""

import ast
from pathlib import Path

import networkx as nx
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
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]
FOLDERS = sorted({path.parent for path in FILES})
COMMANDS = "commands"
"""The folders of the command line: the only ones in agent that may import envs."""


def module_of(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path) -> set[tuple[str, ...]]:
    """Modules of ours that a file imports, wherever in it; a package stands for its own `__init__`."""
    tree = ast.parse(path.read_text())
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            module = tuple(node.module.split("."))
            names |= {(*module, alias.name) if (*module, alias.name) in MODULES else module for alias in node.names}
    return {name for name in names if name in MODULES}


def private_names(path: Path) -> set[str]:
    """Names with an underscore that a file imports from another module of ours."""
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ALLOWED
        for alias in node.names
        if alias.name.startswith("_")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    relative = path.relative_to(ROOT)
    package = relative.parts[0]
    allowed = ALLOWED[package] | {package}
    if COMMANDS in relative.parts:
        allowed = allowed | {"envs"}
    assert {name[0] for name in imported(path)} <= allowed
    assert not private_names(path)
    if relative.parts[:2] != ("eval", "bench"):
        assert not any(name[:2] == ("eval", "bench") for name in imported(path)), "benchmarks are no part of it"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_what_is_in_a_folder_has_an_order(folder: Path) -> None:
    """Files and folders side by side import each other in one direction only; a package's face may import all."""
    level = len(folder.relative_to(ROOT).parts)
    inside = folder.relative_to(ROOT).parts
    graph: nx.DiGraph[str] = nx.DiGraph()
    for module, path in MODULES.items():
        if module[:level] != inside or len(module) == level:
            continue
        for other in imported(path):
            if other[:level] == inside and len(other) > level and other[level] != module[level]:
                graph.add_edge(module[level], other[level], why=f"{'.'.join(module)} imports {'.'.join(other)}")
    circles = [
        [graph.edges[a, b]["why"] for a, b in zip(circle, [*circle[1:], circle[0]], strict=True)]
        for circle in nx.simple_cycles(graph)
    ]
    assert circles == []


def test_the_rules_would_notice(tmp_path: Path) -> None:
    assert ("memory",) in imported(ROOT / "tools" / "memory_tools.py")
    assert {name[0] for name in imported(ROOT / "tools" / "memory_tools.py")} == {"memory", "tools"}
    file = tmp_path / "rude.py"
    file.write_text("from memory.rows import _declared\n")
    assert private_names(file) == {"memory.rows._declared"}


def test_lower_tests_need_no_benchmarks() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.relative_to(ROOT).parts[1] != "eval":
            assert not any(name[:2] == ("eval", "bench") for name in imported(path)), path


@pytest.mark.parametrize(
    "path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_file_is_long(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    squeezed = [line for line in lines if "fmt: skip" in line or "fmt: off" in line]
    assert len(squeezed) <= 6, "only tables of words are laid out by hand"


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_are_typed_and_described(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    for path in (ROOT / package).rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text()))
