"""What the agent reads of an environment: text observations, and attributes that are all optional."""

import json
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import gymnasium as gym
from gymnasium import spaces

from agent.errors import ConfigError
from memory.clean import clean_text, text_of
from tools import Tool
from tools.actions import MAX_ANSWER, action_tools, answer_action
from tools.names import ANSWER

Env = gym.Env[Any, Any]
MakeEnv = Callable[..., Env]

ANSWER_TOOL = (ANSWER, "give your answer and end the turn")
"""Name and description of the tool for a text, where the environment names none."""


class TextEnv(Protocol):
    """What an environment may offer beside gymnasium's interface. Every attribute is optional.

    Attributes:
        named_actions: Name of each action, with the value that ``step`` takes and a description.
        text_action: Name and description of the tool for an action that is a text; ``None`` if there is none.
        extractive: Whether the text is made of words in view alone.
        visits: How many consecutive seeds share a world, and so a memory.
        mission: What is to be done, where ``info`` does not say it.
        expert: Name of the policy that solves it, see :mod:`agent.policies.experts`.
        answers: Right answers to what is asked now.
    """

    named_actions: Mapping[str, tuple[Any, str]]
    text_action: tuple[str, str] | None
    extractive: bool
    visits: int
    mission: str
    expert: str
    answers: tuple[str, ...]

    def optimal_steps(self) -> int | None:
        """Return the fewest steps from here to the end, if that is known."""
        ...

    def bot_actions(self) -> Iterator[Any]:
        """Yield the actions of a bot that sees the whole world."""
        ...

    def ansi(self) -> str:
        """Return a drawing of the world, with ANSI colours."""
        ...


def optional(env: Env, name: str, default: Any = None) -> Any:
    """Return an attribute of :class:`TextEnv` from an environment or its wrappers, or the default."""
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else default


def env_name(env: Env) -> str:
    """Return the registered id of an environment, or the name of its class."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__


def env_settings(env: Env) -> dict[str, Any]:
    """Return the settings that an environment was made with, as JSON holds them; anything else as words."""
    settings: dict[str, Any] = json.loads(json.dumps(dict(env.spec.kwargs), default=str)) if env.spec else {}
    return settings


def visits_of(env: Env) -> int:
    """Return how many episodes share one world and one memory."""
    return int(optional(env, "visits", 1))


def optimal_steps_of(env: Env) -> int | None:
    """Return the fewest steps from here to the end, if the environment knows them."""
    count = optional(env, "optimal_steps")
    return count() if callable(count) else None


def drawing_of(env: Env) -> str | None:
    """Return the environment's own drawing of itself, with ANSI colours, if it has one."""
    draw = optional(env, "ansi")
    return draw() if callable(draw) else None


def mission_in(env: Env, info: Mapping[str, Any]) -> str:
    """Return what is to be done, from ``info["mission"]`` or the environment."""
    return text_of(info.get("mission") or optional(env, "mission") or "do what the world asks")


def world_in(env: Env, info: Mapping[str, Any], seed: int | None) -> str:
    """Return the name of the map: ``info["world"]``, or one made of the environment's settings and the seed.

    Without a seed the world can't be the same again, so the name is new.
    """
    return text_of(info.get("world") or _world_name(env, seed)).replace("#", "-")


def _world_name(env: Env, seed: int | None) -> str:
    name = env_name(env)
    if seed is None:
        return f"{name}-{secrets.token_hex(4)}"
    settings = env.spec.kwargs if env.spec else {}
    mark = f"-{zlib.crc32(repr(sorted(settings.items())).encode()):08x}" if settings else ""
    return f"{name}{mark}-{seed}"


def reset(env: Env, seed: int | None) -> tuple[str, Mapping[str, Any]]:
    """Reset an environment; returns the first observation and ``info``.

    Raises:
        ConfigError: It can't begin, or its observation is no text.
    """
    try:
        observation, info = env.reset(seed=seed)
    except Exception as error:  # the boundary: an environment may raise anything
        raise ConfigError(
            f"the environment can't begin with seed {seed}: {type(error).__name__}: {text_of(error)}"
        ) from error
    if not isinstance(info, Mapping):
        raise ConfigError(f"the environment's reset gave an info of type {type(info).__name__}: expected a dict")
    if not isinstance(observation, str):
        raise ConfigError(
            f"the environment observes {type(observation).__name__}, not text: wrap it so that its observation "
            "is a str (envs.make does this for MiniGrid and BabyAI)"
        )
    return clean_text(observation), info


def action_tools_of(env: Env) -> list[Tool]:
    """Return the environment's actions as tools.

    These are ``named_actions`` if it has any, and where the action is a text also the tool that ``text_action``
    names; else ``action_0``, ``action_1`` ... of a discrete space.

    Raises:
        ConfigError: Another action space.
    """
    named = action_tools(optional(env, "named_actions") or {})
    if isinstance(env.action_space, spaces.Text):
        text_action = optional(env, "text_action", ANSWER_TOOL)
        if text_action is None and named:
            return named
        name, description = text_action
        limit = min(env.action_space.max_length, MAX_ANSWER)
        return [*named, answer_action(description, limit, name, bool(optional(env, "extractive")))]
    if named:
        return named
    if isinstance(env.action_space, spaces.Discrete):
        first = int(env.action_space.start)
        return action_tools({f"action_{i}": (i, f"action {i}") for i in range(first, first + int(env.action_space.n))})
    raise ConfigError(
        f"actions of type {type(env.action_space).__name__} can't be tools: give the environment `named_actions`, "
        "a dictionary from name to (value, description)"
    )
