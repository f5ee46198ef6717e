"""Worlds that speak text."""

from envs.errors import EnvConfigError, EnvError, UnknownEnvError
from envs.registry import known_ids, make, register
from envs.splits import SPLITS, first_seed, split_of

register()

__all__ = [
    "SPLITS",
    "EnvConfigError",
    "EnvError",
    "UnknownEnvError",
    "first_seed",
    "known_ids",
    "make",
    "register",
    "split_of",
]
