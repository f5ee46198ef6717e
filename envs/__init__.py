"""Worlds that speak text."""

from envs.errors import EnvConfigError, EnvError, UnknownEnvError
from envs.registry import known_ids, make, register
from envs.splits import SPLITS, first_seed, split_of
from envs.text_grid import text_space

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
    "text_space",
]
