"""Errors of the envs package."""


class EnvError(Exception):
    """Base class of every error that the envs package raises on purpose."""


class UnknownEnvError(EnvError, LookupError):
    """A name that no environment has."""


class DataError(EnvError, ValueError):
    """A data set that is missing or not in its format."""


class EnvConfigError(EnvError, ValueError):
    """Settings that an environment can't be made from, or an environment whose observations are not text."""
