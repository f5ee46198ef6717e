"""The list of commands comes at once: nothing is imported that only some command needs."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from agent.commands.lazy_group import COMMANDS, command_of

HEAVY = ("torch", "transformers", "scipy", "networkx", "faiss", "spacy", "matplotlib", "trl", "gymnasium", "pydantic")


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    code = "import sys, agent.commands.main as m; m.plug_in(); print(*sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")]
)
def test_threads_spin_shortly_unless_the_user_says_how(given: dict[str, str], spins: str) -> None:
    code = "import agent, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    usual = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=usual | given)
    assert done.stdout.strip() == spins


def test_settings_are_read_without_a_model() -> None:
    """A misspelt key is told before anything that takes seconds is imported."""
    code = "import sys, agent.config, agent.models.scripted; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "peft"} & set(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_of_itself_what_the_list_says(name: str) -> None:
    place, line = COMMANDS[name]
    assert " ".join((command_of(name, place).help or "").split("\n\n")[0].split()) == line


def test_lazy_commands_are_listed_found_and_suggested(cli: Callable[..., tuple[int, str, str]]) -> None:
    _, listed, _ = cli("--help")
    assert all(f" {name} " in listed for name in (*COMMANDS, "run", "models"))
    assert "install-completion" not in cli("kg", "--help")[1]
    assert "Did you mean 'train'?" in cli("trian")[2]


def test_packages_are_lazy_and_whole() -> None:
    """Names and modules of a package are there as if they had been imported, and others are not."""
    import agent
    import memory

    for package in (agent, memory):
        assert all(getattr(package, name) is not None for name in package.__all__)
    assert memory.relational.__name__ == "memory.relational"
    with pytest.raises(AttributeError, match="module 'memory' has no attribute 'Memroy'"):
        memory.Memroy  # noqa: B018
