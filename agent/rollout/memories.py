"""The memories of rollouts, opened as the configuration says."""

from pathlib import Path
from typing import Any

from agent.config import MemoryChoice
from agent.errors import ConfigError
from agent.policies.plugin import plugged_gate
from memory import Embedder, Memory
from memory.embedding import by_name
from memory.episodic import WriteGate


def gate_of(choice: MemoryChoice) -> WriteGate:
    """Return the write gate that the settings name: one of the user's own, or the usual one with their values."""
    return plugged_gate(choice.gate_plugin, choice.gate.model_dump()) if choice.gate_plugin else choice.gate


def open_memory(choice: MemoryChoice, path: Path | None, embedder: Embedder | None = None) -> Memory:
    """Open a memory with these settings.

    Args:
        choice: The settings.
        path: Its folder; ``None`` keeps it in main memory.
        embedder: The one that the settings name, if it is loaded already.
    """
    return Memory.open(path, embedder or by_name(choice.embedder), **_settings(choice))


def copy_memory(choice: MemoryChoice, folder: Path, embedder: Embedder) -> Memory:
    """Copy the memory in a folder into main memory, to be used with these settings."""
    return Memory.copy_of(folder, embedder, **_settings(choice))


def library_of(choice: MemoryChoice) -> Memory | None:
    """Open the memory whose macros a new one begins with, if one is named.

    Raises:
        ConfigError: There is none in that folder.
    """
    folder = choice.macros if choice.enabled else None
    if folder is None:
        return None
    if not (folder / "memory.db").is_file():
        raise ConfigError(f"memory.macros={folder} holds no memory: `hippo macros mine` makes one")
    return Memory.open(folder)


def kept_memory(run: Path, episode: int) -> Path:
    """Return the folder where a run keeps what was remembered after an episode."""
    return run / "memories" / f"{episode:06}"


def _settings(choice: MemoryChoice) -> dict[str, Any]:
    names = ("recall", "retention", "routing", "spatial", "tuple_conf_min", "backend")
    return {name: getattr(choice, name) for name in names}
