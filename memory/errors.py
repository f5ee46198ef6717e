"""Errors of the memory package."""


class StoreError(Exception):
    """Base of every error that the memory package raises on purpose."""


class NotAMemoryError(StoreError, ValueError):
    """The path is not a memory directory, or was written by a newer version."""


class InvalidItemError(StoreError, ValueError):
    """What was to be written or asked is malformed; nothing was changed."""


class UnknownItemError(StoreError, LookupError):
    """No row, place, label or snapshot answers to that name."""


class EmbedderError(StoreError, RuntimeError):
    """The sentence embedder is missing, or is not the one the memory was written with."""


class StorageError(StoreError, OSError):
    """The disk is full or failed, or another process holds the lock; nothing was changed."""


class DamagedError(StoreError, ValueError):
    """A snapshot or an export is not what its manifest says; nothing was changed."""
