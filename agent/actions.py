"""The actions of a world that another harness steps, as tools."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.errors import ConfigError
from memory.spatial.view import FORWARD, LEFT, MOVES, OPEN, PUT, RIGHT, TAKE
from tools import Tool
from tools.actions import action_tools

DESCRIPTIONS = {
    FORWARD: "move one step ahead",
    LEFT: "turn left",
    RIGHT: "turn right",
    TAKE: "pick up the thing ahead",
    PUT: "put down what you carry, ahead",
    OPEN: "open or close the door or box ahead",
}
"""What the actions of a world of cells do, in the words that the models of this project know."""

WAYS = {
    FORWARD: (
        "forward",
        "go forward",
        "move forward",
        "step forward",
        "walk forward",
        "ahead",
        "go ahead",
        "move ahead",
    ),
    LEFT: ("left", "turn left", "rotate left"),
    RIGHT: ("right", "turn right", "rotate right"),
    TAKE: ("pickup", "pick up", "take", "grab"),
    PUT: ("drop", "put down", "put"),
    OPEN: ("toggle", "open", "use", "open close"),
}
"""How harnesses name them; the model gets the map's names, and the harness its own back."""


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
    if wrong := [name for name in actions if not isinstance(name, str) or not _plain(name)]:
        raise ConfigError(f"action {wrong[0]!r}: expected a name with letters or digits")
    if len(set(actions)) < len(actions):
        raise ConfigError(f"actions: one is named twice: {', '.join(actions)}")
    known = _moves(actions)
    plain = {name: known.get(name) or _plain(name) for name in actions}
    if len({*plain.values()}) < len(plain):
        raise ConfigError(f"actions: two are the same without signs and spaces: {', '.join(actions)}")
    return {plain[name]: (name, DESCRIPTIONS[known[name]] if name in known else name) for name in actions}


def _plain(name: str) -> str:
    """Return a name as a tool has it: ``turn left`` becomes ``turn_left``."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    return f"action_{plain}" if plain[:1].isdigit() else plain


def _moves(names: Sequence[str]) -> dict[str, str]:
    """Return the actions of a world of cells by the names that the map knows; none if it is no such world."""
    found: dict[str, str] = {}
    for name in names:
        words = " ".join(re.findall(r"[a-z]+", name.lower()))
        meant = next((action for action, ways in WAYS.items() if words in ways), "")
        if meant and meant not in found.values():
            found[name] = meant
    return found if {*MOVES} <= {*found.values()} else {}
