"""Worlds that speak text."""

from envs.errors import EnvConfigError, EnvError, UnknownEnvError
from envs.registry import known_ids, make, register

register()

__all__ = ["EnvConfigError", "EnvError", "UnknownEnvError", "known_ids", "make", "register"]
