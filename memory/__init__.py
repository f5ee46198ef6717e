"""The memory: episodic, relational and spatial memory and macros in one SQLite file."""

from typing import TYPE_CHECKING

from memory.lazy import lazy

if TYPE_CHECKING:
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
else:
    _NAMES = {
        "embedding": "Embedder HashingEmbedder MiniLMEmbedder",
        "episodic": "RecallConfig Retention",
        "errors": "DamagedError EmbedderError InvalidItemError NotAMemoryError StorageError StoreError"
        " UnknownItemError",
        "forget": "Forgotten",
        "memory": "Memory",
        "provenance": "Provenance",
        "snapshots": "Snapshot",
        "transfer": "Imported",
        "undo": "Undone",
        "verify": "Report",
    }
    __getattr__ = lazy(__name__, _NAMES)

__all__ = [
    "DamagedError", "Embedder", "EmbedderError", "Forgotten", "HashingEmbedder", "Imported", "InvalidItemError",
    "Memory", "MiniLMEmbedder", "NotAMemoryError", "Provenance", "RecallConfig", "Report", "Retention", "Snapshot",
    "StorageError", "StoreError", "Undone", "UnknownItemError",
]  # fmt: skip
