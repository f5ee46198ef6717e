"""The agent loop: decide, act, remember."""

import json
import secrets
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from agent.driver import (
    Seat,
    advance,
    decide,
    play,
)
from agent.episode import AgentConfig, Episode, Setting
from agent.errors import AgentError, ConfigError
from agent.logs.events import Event
from agent.logs.log import EventLog
from agent.memory_writer import Rememberer
from agent.models.base import Model
from memory import Memory
from memory.episodic import WriteGate
from tools import MemoryTools, Tool, Toolbox
from tools.actions import action_tools, answer_action

Env = gym.Env[Any, Any]


class Agent:
    """A model with memories as tools.

    Two ways in: :meth:`run` plays in a gymnasium environment and streams events;
    :meth:`reset` and :meth:`act` serve other people's harnesses.

    Args:
        model: Chooses the calls.
        memory: The memory, or ``None`` for an agent without.
        tools: Names of the memory tools to offer; all of them by default.
        plugins: Tools of your own.
        gate: The write gate.
        config: Settings of the loop.
        name: Name of the run; in the provenance of what is written, it tells episodes of several
            runs over one memory apart.
        memory_tools: What makes tools of the memory.

    Raises:
        UnknownToolError: A memory tool that does not exist.
        ToolSchemaError: Two tools of one name.
    """

    def __init__(
        self,
        model: Model,
        memory: Memory | None = None,
        tools: list[str] | None = None,
        plugins: Sequence[Tool] = (),
        gate: WriteGate | None = None,
        config: AgentConfig | None = None,
        name: str = "",
        memory_tools: type[MemoryTools] = MemoryTools,
    ) -> None:
        self.model = model
        self.name = name
        self.memory = memory
        self.config = config or AgentConfig()
        self.gate = gate or WriteGate()
        self._memory_tools = memory_tools(memory, gate=self.gate) if memory else None
        self._extra = [*(self._memory_tools.select(tools) if self._memory_tools else ()), *plugins]
        self._external: Episode | None = None
        self._last: Episode | None = None
        self._episodes = 0
        Toolbox(self._extra)

    def run(
        self,
        env: Env,
        seed: int | None = None,
        log: Path | None = None,
        number: int | None = None,
        on_step: Callable[[Env], None] | None = None,
    ) -> Generator[Event, None, None]:
        """Play one episode and yield its events as they happen.

        Every ending leaves a complete log: also Ctrl-C, an error, or a caller that stops iterating.

        Args:
            env: Any environment whose observation is text.
            seed: Seed of the environment and of sampling.
            log: Where to write ``events.jsonl``.
            number: Number of the episode; counted by the agent by default.
            on_step: Called after the reset and after every step, for example to draw.

        Raises:
            ConfigError: The environment's observations or actions are of another kind.
            LogError: The log can't be written.
        """
        queue: list[Event] = []
        sink = EventLog(log) if log else None

        def emit(event: Event) -> None:
            if sink:
                sink.write(event)
            queue.append(event)

        def flush() -> Iterator[Event]:
            while queue:
                yield queue.pop(0)

        episode: Episode | None = None
        try:
            episode, observation, info = self._begin(env, seed, number, emit)
            episode.start(observation, info)
            if on_step:
                on_step(env)
            yield from flush()
            while episode.end is None:
                advance(self.model, [episode], [env], self.config.env_timeout)
                if on_step:
                    on_step(env)
                yield from flush()
        except KeyboardInterrupt:
            if episode:
                episode.finish("stopped", "interrupted by the user")
                yield from flush()
            raise
        except GeneratorExit:
            if episode:
                episode.finish("stopped", "the caller stopped")
            raise
        finally:
            try:
                if episode:
                    self.model.release(episode.chat)
                    episode.finish("stopped", "an error ended the run")
            finally:
                if sink:
                    sink.close()

    def run_batch(
        self, envs: Sequence[Env], seeds: Sequence[int], logs: Sequence[Path] | None = None
    ) -> list[list[Event]]:
        """Play one episode in each environment in lock-step, deciding for all in one batch.

        The episodes must not share a place graph, so this is for agents without a memory.

        Args:
            envs: The environments.
            seeds: A seed for each.
            logs: An ``events.jsonl`` for each.

        Returns:
            Each episode's events. What was logged before an interruption stays, with an ending.

        Raises:
            ConfigError: The agent has a memory, or the counts differ.
        """
        if self.memory is not None:
            raise ConfigError("run_batch plays episodes side by side: give each an agent and memory of its own")
        if len(envs) != len(seeds) or (logs is not None and len(logs) != len(envs)):
            raise ConfigError(f"expected a seed and a log for each of {len(envs)} environments")
        events: list[list[Event]] = [[] for _ in envs]

        def keep(seat: int) -> Callable[[int, Event], None]:
            return lambda _index, event: events[seat].append(event)

        seats = [
            Seat(self, env, [seed], [index], logs=[logs[index]] if logs else (), keep=keep(index))
            for index, (env, seed) in enumerate(zip(envs, seeds, strict=True))
        ]
        for _ in play(self.model, seats, len(seats), self.config.env_timeout):
            pass
        return events

    def reset(
        self,
        mission: str,
        actions: Mapping[str, tuple[Any, str]],
        seed: int = 0,
        world: str = "external",
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        """Begin an episode that somebody else's harness drives with :meth:`act`.

        Args:
            mission: What is to be done.
            actions: Action names with the value that :meth:`act` returns, and a description.
            seed: Fixes sampling.
            world: Name of the map; give the same again for the same world.
            emit: Takes every event.
        """
        self.close()
        setting = Setting("external", self._episodes, seed, mission, world, list(actions))
        self._episodes += 1
        self._external = self._episode(setting, action_tools(actions), emit or _ignore)

    def act(self, observation: str, reward: float = 0.0, info: Mapping[str, Any] | None = None) -> Any:
        """Choose the next action; memory tools may be called on the way.

        Args:
            observation: What is seen now.
            reward: Reward of the last action.
            info: May hold ``view`` and ``available_actions``.

        Returns:
            The value of the chosen action.

        Raises:
            AgentError: There was no reset, or the episode ended (looping, out of calls, model error).
        """
        episode = self._external
        if episode is None:
            raise AgentError("act needs reset(mission, actions) first")
        if not episode.chat.messages:
            episode.start(observation, info or {})
        elif episode.end is None:
            episode.observe(observation, reward, False, False, info or {})
        while episode.end is None:
            result = decide(self.model, [episode])[0]
            if result is not None and result.acts:
                return result.action
        raise AgentError(f"the episode has ended ({episode.end.ending}): {episode.end.reason}; call reset")

    def close(
        self,
        observation: str = "",
        reward: float = 0.0,
        solved: bool | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """End an episode begun by :meth:`reset`.

        Args:
            observation: What was seen last, if anything.
            reward: Reward of the last action.
            solved: Whether the mission was done; ``None`` if the episode was only broken off.
            info: May hold the last ``view``.
        """
        episode, self._external = self._external, None
        if episode is None or not episode.chat.messages:
            return
        if solved is not None and episode.end is None:
            episode.observe(observation, reward, True, False, {**(info or {}), "success": solved})
        episode.finish("stopped", "the caller closed it")
        self.model.release(episode.chat)

    def begin(
        self,
        env: Env,
        seed: int | None,
        number: int | None = None,
        emit: Callable[[Event], None] | None = None,
        label: str | None = None,
    ) -> Episode:
        """Begin an episode that :mod:`agent.driver` plays on.

        Args:
            env: The environment.
            seed: Seed of the environment and of sampling.
            number: Number of the episode; counted by the agent by default.
            emit: Takes every event.
            label: What the memory calls the episode; by its number by default.

        Raises:
            ConfigError: The environment's observations or actions are of another kind.
        """
        episode, observation, info = self._begin(env, seed, number, emit or _ignore, label)
        episode.start(observation, info)
        return episode

    def _begin(
        self,
        env: Env,
        seed: int | None,
        number: int | None,
        emit: Callable[[Event], None],
        label: str | None = None,
    ) -> tuple[Episode, str, Mapping[str, Any]]:
        """Reset the environment and make its episode; returns it with the first observation and info."""
        try:
            observation, info = env.reset(seed=seed)
        except Exception as error:  # the boundary: an environment may raise anything
            raise ConfigError(
                f"the environment can't begin with seed {seed}: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(observation, str):
            raise ConfigError(
                f"the environment observes {type(observation).__name__}, not text: wrap it so that its observation "
                "is a str (envs.make does this for MiniGrid and BabyAI)"
            )
        actions = actions_of(env)
        name = env.spec.id if env.spec else type(env.unwrapped).__name__
        optimal = _optional(env, "optimal_steps")
        setting = Setting(
            env=name,
            number=self._episodes if number is None else number,
            seed=seed,
            mission=str(info.get("mission") or _optional(env, "mission") or "do what the world asks"),
            world=str(info.get("world") or world_name(env, name, seed)).replace("#", "-"),
            action_names=[tool.name for tool in actions],
            optimal_steps=optimal() if callable(optimal) else None,
            kind=str(info.get("kind") or ""),
            settings=plain(env.spec.kwargs) if env.spec else {},
        )
        self._episodes += 1
        episode, last = self._episode(setting, actions, emit, label), self._last
        if self.config.history:
            if last is not None and last.setting.world == setting.world:
                episode.chat.messages = [*last.chat.messages]
            self._last = episode
        return episode, observation, info

    def _episode(
        self, setting: Setting, actions: list[Tool], emit: Callable[[Event], None], label: str | None = None
    ) -> Episode:
        document = " ".join(filter(None, (self.name, label or f"episode {setting.number}")))
        rememberer = None
        if self.memory:
            rememberer = Rememberer(self.memory, self.gate, f"env:{setting.env}", document)
        if self._memory_tools:
            self._memory_tools.episode = document
        toolbox = Toolbox([*actions, *self._extra])
        return Episode(setting, toolbox, self.config, emit, rememberer, self._memory_tools)


def world_name(env: Env, name: str, seed: int | None) -> str:
    """Name of the map of an environment that gives none: the same for the same settings and seed.

    Without a seed the world can't be the same again, so the name is new.
    """
    if seed is None:
        return f"{name}-{secrets.token_hex(4)}"
    settings = env.spec.kwargs if env.spec else {}
    mark = f"-{zlib.crc32(repr(sorted(settings.items())).encode()):08x}" if settings else ""
    return f"{name}{mark}-{seed}"


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON holds them; what it can't hold as words."""
    found: dict[str, Any] = json.loads(json.dumps(dict(settings), default=str))
    return found


def _ignore(_event: Event) -> None:
    """Take an event that nobody asked for."""


def actions_of(env: Env) -> list[Tool]:
    """The environment's actions as tools.

    ``env.named_actions`` (name to value and description) if it has that, and where the action is text
    ``answer(text)``, or as ``env.text_action`` (name, description) calls it, unless that is
    ``None`` (with ``env.extractive``, of words in view alone); else ``action_0``, ``action_1`` ... of a discrete space.

    Raises:
        ConfigError: Another action space.
    """
    named = action_tools(_optional(env, "named_actions") or {})
    if isinstance(env.action_space, spaces.Text):
        said = ("answer", "give your answer and end the turn")
        said = env.get_wrapper_attr("text_action") if env.has_wrapper_attr("text_action") else said
        if said is None and named:
            return named
        limit, extractive = min(env.action_space.max_length, 200), bool(_optional(env, "extractive"))
        return [*named, answer_action(said[1], limit, said[0], extractive)]
    if named:
        return named
    if isinstance(env.action_space, spaces.Discrete):
        first = int(env.action_space.start)
        return action_tools({f"action_{i}": (i, f"action {i}") for i in range(first, first + int(env.action_space.n))})
    raise ConfigError(
        f"actions of type {type(env.action_space).__name__} can't be tools: give the environment `named_actions`, "
        "a dictionary from name to (value, description)"
    )


def _optional(env: Env, name: str) -> Any:
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None
