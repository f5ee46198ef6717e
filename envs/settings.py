"""Checks of environment settings."""

from collections.abc import Mapping
from typing import Any

from envs.errors import EnvConfigError


def settings_of(level: str, levels: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of a level of difficulty.

    Raises:
        EnvConfigError: There is no such level.
    """
    if level not in levels:
        raise EnvConfigError(f"unknown level {level!r}: expected {', '.join(levels)}")
    return levels[level]


def check_range(name: str, value: object, low: int, high: int | None = None) -> None:
    """Check that a setting is a whole number from ``low`` to ``high``.

    Raises:
        EnvConfigError: It is no whole number, or out of range.
    """
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        limits = f"{low} to {high}" if high is not None else f"at least {low}"
        raise EnvConfigError(f"{name} must be {limits}, got {value}")
