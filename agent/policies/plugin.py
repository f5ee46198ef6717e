"""Policies, models and write gates of the user's own, named as ``my_policy.py:Follow``."""

import inspect
import json
import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from agent.config import MODELS
from agent.errors import ConfigError, ModelError
from agent.models.base import Model, Turn
from agent.models.scripted import Policy, ScriptedModel
from memory.episodic import WriteGate
from memory.nearest import did_you_mean
from memory.registered import PluginError, registered
from tools import Tool, ToolCall, ToolError
from tools.plugins import load_object


def plugged_policy(path: str) -> Model:
    """Return the model that a path names: a :class:`Model`, or a function or class that answers a turn with a call.

    A class is made, and a function of no arguments called, without arguments.

    Raises:
        ConfigError: There is no such thing, or it is neither.
    """
    made = _made(path, "policy")
    if callable(getattr(made, "decide", None)):
        if lacking := [name for name in ("describe", "release") if not callable(getattr(made, name, None))]:
            raise ConfigError(f"model {path!r} lacks {' and '.join(lacking)}(): see agent.models.base.Model")
        return cast(Model, made)
    if not callable(made) or isinstance(made, Tool):
        raise ConfigError(f"policy {path!r} is {made!r}: expected what takes a Turn and gives a ToolCall, or a Model")
    return ScriptedModel(_checked(made, path), name=path)


def plugged_expert(path: str, known: Iterable[str]) -> Policy:
    """Return the policy that an environment names as its expert.

    Args:
        path: ``module:name`` or ``file.py:name``.
        known: Names of the experts that come with the package, for the message.

    Raises:
        ConfigError: There is no such thing, or it can't be called.
    """
    if ":" not in path:
        raise ConfigError(f"the environment's expert is {path!r}: {did_you_mean(path, known)}, or file.py:Name")
    made = _made(path, "expert")
    if not callable(made):
        raise ConfigError(f"expert {path!r} is {made!r}: expected what takes a Turn and gives a ToolCall")
    return _checked(made, path)


def _checked(policy: Callable[[Turn], object], path: str) -> Policy:
    """Return a policy whose mistakes are told with their place."""

    def answer(turn: Turn) -> ToolCall | str:
        try:
            call = policy(turn)
        except ModelError:
            raise
        except Exception as error:  # the boundary: it may raise anything
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}, line {last.lineno}"
            raise ModelError(f"policy {path} raised {type(error).__name__}: {error} ({place})") from error
        if isinstance(call, dict) and isinstance(call.get("name"), str):
            call = json.dumps(call)
        if not isinstance(call, ToolCall | str):
            raise ModelError(f"policy {path} gave {call!r}: expected a ToolCall, or its text")
        return call

    return answer


def plugged_gate(path: str, settings: Mapping[str, float]) -> WriteGate:
    """Return the write gate that a path names.

    Args:
        path: ``module:name`` or ``file.py:name``.
        settings: Weights and threshold of the settings, which a class is made with.

    Raises:
        ConfigError: There is no such thing, it is no write gate, or it gives no score.
    """
    gate = _made(path, "write gate", settings)
    if not isinstance(gate, WriteGate):
        raise ConfigError(f"write gate {path!r} is {gate!r}: expected a subclass of memory.episodic.WriteGate")
    method = "score"
    try:
        score: object = gate.score(surprise=0.5, novelty=0.5)
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise ConfigError(f"write gate {path!r}: score() gave {score!r}, expected a number from 0 to 1")
        method = "opens"
        opened: object = gate.opens(score)
    except ConfigError:
        raise
    except Exception as error:  # the boundary: it may raise anything
        raise ConfigError(f"write gate {path!r}: {method}() raised {type(error).__name__}: {error}") from error
    if not isinstance(opened, bool):
        raise ConfigError(f"write gate {path!r}: opens() gave {opened!r}, expected True or False")
    return gate


def _made(path: str, what: str, settings: Mapping[str, object] = MappingProxyType({})) -> object:
    """Return what a path names; of a class, an object made with these settings; of a function of nothing, its value."""
    try:
        found = registered(MODELS, path) if ":" not in path else None
        found = load_object(path, what) if found is None else found
        if inspect.isclass(found):
            return found(**settings)
        return found() if inspect.isfunction(found) and not inspect.signature(found).parameters else found
    except (ToolError, PluginError) as error:
        raise ConfigError(str(error)) from error
    except Exception as error:  # the boundary: it may raise anything
        words = " ".join(str(error).split())
        raise ConfigError(f"{what} {path!r} can't be made: {type(error).__name__}: {words}") from error
