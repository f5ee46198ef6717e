"""Errors of the memory package."""


class StoreError(Exception):
    """Base class of every error that the memory package raises on purpose."""


class NotAMemoryError(StoreError, ValueError):
    """The path is not a memory directory, or was written by a newer version."""


class InvalidItemError(StoreError, ValueError):
    """The data to write or the query is malformed; nothing was changed."""


class UnknownItemError(StoreError, LookupError):
    """No row, place, label or snapshot has that name."""


class EmbedderError(StoreError, RuntimeError):
    """The sentence embedder is missing, or is not the one the memory was written with."""


class StorageError(StoreError, OSError):
    """The disk is full or failed, or another process holds the lock; nothing was changed."""


class DamagedError(StoreError, ValueError):
    """A snapshot or an export does not match its manifest; nothing was changed."""
