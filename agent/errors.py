"""Errors of the agent package."""


class AgentError(Exception):
    """Base of every error that the agent package raises on purpose."""


class EpisodeEndedError(AgentError):
    """The episode has ended, so that nothing more can be decided in it.

    Attributes:
        ending: How it ended.
        reason: Why, in words.
    """

    def __init__(self, ending: str, reason: str) -> None:
        super().__init__(f"the episode has ended ({ending}): {reason}; call reset")
        self.ending = ending
        self.reason = reason


class ConfigError(AgentError, ValueError):
    """A setting is unknown or out of range."""


class CatalogError(AgentError, RuntimeError):
    """A model is unknown, can't be fetched or can't be loaded."""


class HashMismatchError(CatalogError):
    """The hash of a file differs from the pinned hash; the file was not used."""


class ModelError(AgentError, RuntimeError):
    """A model can't give a decision."""


class ObservationTooLongError(ModelError, ValueError):
    """One observation alone does not fit into the model's window."""


class WorkerLostError(AgentError, RuntimeError):
    """A worker process ended before it had finished its work."""


class LogError(AgentError, OSError):
    """A log can't be written or read."""


class ServerError(ModelError):
    """A model's server can't be reached, fails, or refuses; the run ends, since no other episode would fare better."""
