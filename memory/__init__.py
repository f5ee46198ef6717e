"""The memory: episodic, relational and spatial memory and macros in one SQLite file."""

from memory.embedding import Embedder, HashingEmbedder, MiniLMEmbedder
from memory.episodic import RecallConfig, Retention
from memory.errors import (
    DamagedError,
    EmbedderError,
    InvalidItemError,
    NotAMemoryError,
    StorageError,
    StoreError,
    UnknownItemError,
)
from memory.forget import Forgotten
from memory.memory import Memory
from memory.provenance import Provenance
from memory.snapshots import Snapshot
from memory.transfer import Imported
from memory.undo import Undone
from memory.verify import Report

__all__ = [
    "DamagedError", "Embedder", "EmbedderError", "Forgotten", "HashingEmbedder", "Imported", "InvalidItemError",
    "Memory", "MiniLMEmbedder", "NotAMemoryError", "Provenance", "RecallConfig", "Report", "Retention", "Snapshot",
    "StorageError", "StoreError", "Undone", "UnknownItemError",
]  # fmt: skip
