"""Errors of the envs package."""


class EnvError(Exception):
    """Base of every error that the envs package raises on purpose."""


class UnknownEnvError(EnvError, LookupError):
    """No environment has that name."""


class DataError(EnvError, ValueError):
    """A data set is not there or not in its format."""


class EnvConfigError(EnvError, ValueError):
    """An environment can't be made from these settings, or isn't one that speaks text."""
