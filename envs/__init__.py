"""Environments whose observations are text."""

from envs.errors import EnvConfigError, EnvError, UnknownEnvError
from envs.registry import known_ids, make, register
from envs.splits import SPLITS, seeds_of, split_of
from envs.text_grid import text_space

register()

__all__ = [
    "SPLITS",
    "EnvConfigError",
    "EnvError",
    "UnknownEnvError",
    "known_ids",
    "make",
    "register",
    "seeds_of",
    "split_of",
    "text_space",
]
