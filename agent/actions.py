"""The actions of a world that another harness steps, as tools."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.errors import ConfigError
from tools import Tool
from tools.actions import action_tools


def acting_tools(actions: Mapping[str, tuple[Any, str]] | Sequence[str] | Sequence[Tool]) -> list[Tool]:
    """Return actions as tools.

    Raises:
        ConfigError: There is none, one is named twice, or they are in another form.
    """
    given: Sequence[Any] = () if isinstance(actions, str | Mapping) else actions
    if given and all(isinstance(one, Tool) for one in given):
        return [*given]
    return action_tools(_actions(actions))  # type: ignore[arg-type]


def _actions(actions: Mapping[str, tuple[Any, str]] | Sequence[str]) -> Mapping[str, tuple[Any, str]]:
    """Return actions by name, each with its value and description.

    Raises:
        ConfigError: There is none, one is named twice, or they are in another form.
    """
    if isinstance(actions, str) or not isinstance(actions, Mapping | Sequence) or not actions:
        raise ConfigError(f"actions: expected a list of names, or {{name: (value, description)}}, got {actions!r}")
    if isinstance(actions, Mapping):
        if wrong := [name for name, item in actions.items() if not isinstance(item, tuple) or len(item) != 2]:
            raise ConfigError(f"action {wrong[0]!r}: expected (value, description), got {actions[wrong[0]]!r}")
        return actions
    if wrong := [name for name in actions if not isinstance(name, str) or not name.isidentifier()]:
        raise ConfigError(f"action {wrong[0]!r}: expected a name of letters, digits and _, as a tool has")
    if len(set(actions)) < len(actions):
        raise ConfigError(f"actions: one is named twice: {', '.join(actions)}")
    return {name: (name, name) for name in actions}
