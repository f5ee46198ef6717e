"""What is remembered: episodic, relational and spatial memory over one SQLite file."""

from memory.embedding import Embedder, HashingEmbedder, MiniLMEmbedder
from memory.errors import EmbedderError, InvalidItemError, NotAMemoryError, StoreError, UnknownItemError
from memory.memory import Memory
from memory.provenance import Provenance

__all__ = [
    "Embedder", "EmbedderError", "HashingEmbedder", "InvalidItemError", "Memory", "MiniLMEmbedder",
    "NotAMemoryError", "Provenance", "StoreError", "UnknownItemError",
]  # fmt: skip
