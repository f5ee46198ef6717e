"""Errors of the agent package."""


class AgentError(Exception):
    """Base of every error that the agent package raises on purpose."""


class ConfigError(AgentError, ValueError):
    """A setting is unknown or out of range."""


class CatalogError(AgentError, RuntimeError):
    """A model is unknown, can't be fetched or can't be loaded."""


class HashMismatchError(CatalogError):
    """A file is not the one that was pinned; it was not used."""


class ModelError(AgentError, RuntimeError):
    """A model can't decide."""


class ObservationTooLongError(ModelError, ValueError):
    """One observation alone does not fit into the model's window."""


class WorkerLostError(AgentError, RuntimeError):
    """A process that plays ended before it was through."""


class LogError(AgentError, OSError):
    """A log can't be written or read."""
