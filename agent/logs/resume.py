"""Comparison of settings with those that something was begun with, which decides whether it may be resumed."""

from collections.abc import Collection, Mapping
from typing import Any


def changed_settings(
    before: Mapping[str, Any], now: Mapping[str, Any], resumable_keys: Collection[str] = ()
) -> list[str]:
    """Return the names of the settings that differ from those that something was begun with, in the order of ``now``.

    A setting that today's release no longer has does not count.

    Args:
        before: The settings that it was begun with, as JSON holds them.
        now: The settings that are asked for.
        resumable_keys: Names of settings that may differ, such as the count of processes.
    """
    return [key for key in now if key not in resumable_keys and before.get(key) != now[key]]


def flat_settings(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flat_settings(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
