"""Policies, models and write gates of the user's own, named as ``my_policy.py:Follow``."""

import inspect
from typing import cast

from agent.errors import ConfigError
from agent.models.base import Model
from agent.models.scripted import ScriptedModel
from memory.episodic import WriteGate
from tools import ToolError
from tools.plugins import load_object


def plugged_policy(path: str) -> Model:
    """Return the model that a path names: a :class:`Model`, or a function or class that answers a turn with a call.

    A class is made without arguments.

    Raises:
        ConfigError: There is no such thing, or it is neither.
    """
    made = _made(path, "policy")
    if callable(getattr(made, "decide", None)):
        return cast(Model, made)
    if not callable(made):
        raise ConfigError(f"policy {path!r} is {made!r}: expected what takes a Turn and gives a ToolCall, or a Model")
    return ScriptedModel(made, name=path)


def plugged_gate(path: str) -> WriteGate:
    """Return the write gate that a path names.

    Raises:
        ConfigError: There is no such thing, or it is no write gate.
    """
    gate = _made(path, "write gate")
    if not isinstance(gate, WriteGate):
        raise ConfigError(f"write gate {path!r} is {gate!r}: expected a subclass of memory.episodic.WriteGate")
    return gate


def _made(path: str, what: str) -> object:
    try:
        found = load_object(path, what)
        return found() if inspect.isclass(found) else found
    except ToolError as error:
        raise ConfigError(str(error)) from error
    except TypeError as error:
        raise ConfigError(f"{what} {path!r} can't be made without arguments: {error}") from error
