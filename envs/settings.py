"""Settings of worlds, and what can be wrong with them."""

from collections.abc import Mapping
from typing import Any

from envs.errors import EnvConfigError


def settings_of(level: str, levels: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The settings of a level of difficulty.

    Raises:
        EnvConfigError: There is no such level.
    """
    if level not in levels:
        raise EnvConfigError(f"unknown level {level!r}: expected {', '.join(levels)}")
    return levels[level]


def check_range(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse a setting that is no whole number from ``low`` to ``high``.

    Raises:
        EnvConfigError: It is not.
    """
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        limits = f"{low} to {high}" if high is not None else f"at least {low}"
        raise EnvConfigError(f"{name} must be {limits}, got {value}")
