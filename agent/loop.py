"""An agent: a model, a memory and tools, which play episodes of an environment (:mod:`agent.driver` runs them)."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from agent.actions import acting_tools
from agent.chat import Message
from agent.driver import Emit, EpisodeSlot, decide, ignore_event, play, rounds
from agent.episode import Episode
from agent.episode_state import AgentConfig, EpisodeContext
from agent.errors import AgentError, ConfigError, EpisodeEndedError
from agent.logs.events import Event
from agent.memory_writer import MemoryWriter
from agent.models.base import Model
from agent.other_loops import Form, in_form
from agent.text_env import Env, action_tools_of, env_name, env_settings, mission_in, optimal_steps_of, reset, world_in
from memory import Memory
from memory.clean import clean_text
from memory.episodic import WriteGate
from tools import MemoryTools, Tool, Toolbox, ToolContext
from tools.journal import JOURNAL, Journal


class Agent:
    """A model with memories as tools.

    There are two ways to use it: :meth:`run` plays in a gymnasium environment and yields events;
    :meth:`reset` and :meth:`act` serve a harness that steps the environment itself.

    Args:
        model: Chooses the calls: a :class:`Model`, or a name as ``model=`` takes it, such as ``"hippo-135m"``.
        memory: The memory, or ``None`` for an agent without one.
        tools: Names of the memory tools to offer; all of them by default.
        plugins: Tools of your own.
        gate: The write gate.
        config: Settings of the loop.
        name: Name of the run. It becomes part of the provenance of what is written, so that episodes of several
            runs over one memory can be told apart.
        memory_tools: The class that makes tools of the memory.

    Raises:
        UnknownToolError: A name in ``tools`` is not a memory tool.
        ToolSchemaError: Two tools have the same name.
        ConfigError: Memory, gate or settings are of another kind.
    """

    def __init__(
        self,
        model: Model | str,
        memory: Memory | None = None,
        tools: list[str] | None = None,
        plugins: Sequence[Tool] = (),
        gate: WriteGate | None = None,
        config: AgentConfig | None = None,
        name: str = "",
        memory_tools: type[MemoryTools] = MemoryTools,
    ) -> None:
        kinds = {"memory": (memory, Memory), "gate": (gate, WriteGate), "config": (config, AgentConfig)}
        for part, (given, kind) in kinds.items():
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f"{part}={given!r}: expected a {kind.__name__}")
        plugins = [plugins] if isinstance(plugins, Tool) else plugins
        self.model = _named(model) if isinstance(model, str) else model
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
        once: bool = False,
    ) -> Generator[Event, None, None]:
        """Play one episode and yield its events as they happen.

        Every ending leaves a complete log: also Ctrl-C, an error, or a caller that stops iterating.

        Args:
            env: Any environment whose observation is text.
            seed: Seed of the environment and of sampling.
            log: Where to write ``events.jsonl``.
            number: Number of the episode; counted by the agent by default.
            on_step: Called after the reset and after every step, for example to draw.
            once: Whether calls with side effects are not made again if this log's episode is played again.

        Raises:
            ConfigError: The environment's observations or actions are of another kind.
            LogError: The log can't be written.
        """
        events: deque[Event] = deque()

        def played() -> Iterator[Event]:
            while events:
                yield events.popleft()

        slot = self.slot(
            env,
            [seed],
            () if number is None else [number],
            logs=[log] if log else (),
            keep=lambda _index, event: events.append(event),
            on_step=on_step,
            once=once,
        )
        playing = rounds(self.model, [slot], 1, self.config.env_timeout)
        try:
            for _ in playing:
                yield from played()
        except BaseException as error:
            with suppress(type(error)):  # what the caller threw ends the episode for that reason
                playing.throw(error)
            if isinstance(error, KeyboardInterrupt):
                yield from played()
            raise

    def run_batch(
        self, envs: Sequence[Env], seeds: Sequence[int], logs: Sequence[Path] | None = None
    ) -> list[list[Event]]:
        """Play one episode in each environment side by side, deciding for many in one batch.

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
        slots = []
        for index, (env, seed) in enumerate(zip(envs, seeds, strict=True)):
            slot = self.slot(
                env,
                [seed],
                [index],
                logs=[logs[index]] if logs else (),
                keep=lambda _, event, at=index: events[at].append(event),  # type: ignore[misc]
            )
            slot.overwrite = True
            slots.append(slot)
        for _ in play(self.model, slots, len(slots), self.config.env_timeout):
            pass
        return events

    def slot(
        self,
        env: Env,
        seeds: Sequence[int | None],
        numbers: Sequence[int] = (),
        labels: Sequence[str] = (),
        logs: Sequence[Path] = (),
        keep: Callable[[int, Event], None] = ignore_event,
        on_step: Callable[[Env], None] | None = None,
        once: bool = False,
    ) -> EpisodeSlot:
        """Return episodes to be played in turn in one environment, for :func:`agent.driver.play`.

        Args:
            env: The environment.
            seeds: A seed for each episode.
            numbers: Numbers of the episodes; counted by the agent by default.
            labels: What the agent's memory calls each; by its number by default.
            logs: An ``events.jsonl`` for each, if they are logged.
            keep: Receives every event with the index of its episode.
            on_step: Called after the reset and after every decision, for example to draw.
            once: Whether calls with side effects are kept beside the logs, and not made again when the same episode is
                played again.
        """
        opens = [
            partial(
                self._open,
                env,
                seed,
                numbers[index] if numbers else None,
                label=labels[index] if labels else None,
                effects=logs[index].with_name(JOURNAL) if logs and once else None,
            )
            for index, seed in enumerate(seeds)
        ]
        return EpisodeSlot(self.model, env, opens, logs, keep, on_step)

    def reset(
        self,
        mission: str,
        actions: Mapping[str, tuple[Any, str]] | Sequence[str] | Sequence[Tool],
        seed: int = 0,
        world: str = "external",
        emit: Callable[[Event], None] | None = None,
        earlier: Sequence[Message] = (),
        origin: str = "external",
        mapped: bool = True,
    ) -> None:
        """Begin an episode that an external harness drives with :meth:`act`.

        Args:
            mission: What is to be done.
            actions: Action names with the value that :meth:`act` returns, and a description; or names alone, which
                are then what :meth:`act` returns; or tools whose results are :meth:`~tools.ToolResult.act`.
            seed: Seed of sampling.
            world: Name of the map; give the same again for the same world.
            emit: Receives every event.
            earlier: Messages of the conversation before this episode.
            origin: What the episode is played in; what is remembered of it has the source ``env:`` and this.
            mapped: Whether observations are put on the map.
        """
        tools = acting_tools(actions)
        self.close()
        label = self._label(None, self._episodes)
        names = [tool.name for tool in tools]
        context = EpisodeContext(origin, self._episodes, seed, clean_text(mission), world, names, label=label)
        self._episodes += 1
        self._external = self._episode(context, tools, emit or partial(ignore_event, 0), mapped=mapped)
        self._external.chat.messages = [*earlier]

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
        observation = clean_text(observation)
        if not episode.started:
            episode.start(observation, info or {})
        elif episode.end is None:
            episode.observe(observation, reward, False, False, info or {})
        while episode.end is None:
            _, result = decide(self.model, [episode])[0]
            if result is not None and result.acts:
                return result.action
        raise EpisodeEndedError(episode.end.ending, episode.end.reason)

    def tools_for(self, form: Form) -> Any:
        """Return the agent's memory tools and plugins as another loop takes them, see :func:`agent.tools_for`."""
        box = Toolbox(self._extra)
        box.context = ToolContext(memory=self.memory)
        return in_form(form, box)

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
        if episode is None or not episode.started:
            return
        if solved is not None and episode.end is None:
            episode.observe(clean_text(observation), reward, True, False, {**(info or {}), "success": solved})
        episode.finish("stopped", "the caller closed it")
        self.model.release(episode.chat)

    def begin(
        self,
        env: Env,
        seed: int | None,
        number: int | None = None,
        emit: Emit | None = None,
        label: str | None = None,
    ) -> Episode:
        """Reset the environment and begin its episode.

        Args:
            env: The environment.
            seed: Seed of the environment and of sampling.
            number: Number of the episode; counted by the agent by default.
            emit: Receives every event.
            label: What the memory calls the episode; by its number by default.

        Raises:
            ConfigError: The environment's observations or actions are of another kind.
        """
        episode, observation, info = self._open(env, seed, number, emit, label)
        episode.start(observation, info)
        return episode

    def _open(
        self,
        env: Env,
        seed: int | None,
        number: int | None = None,
        emit: Emit | None = None,
        label: str | None = None,
        effects: Path | None = None,
    ) -> tuple[Episode, str, Mapping[str, Any]]:
        """Reset the environment; return its episode, which is still to be started, the observation and its info."""
        observation, info = reset(env, seed)
        actions = action_tools_of(env)
        number = self._episodes if number is None else number
        context = EpisodeContext(
            env=env_name(env),
            number=number,
            seed=seed,
            mission=mission_in(env, info),
            world=world_in(env, info, seed),
            action_names=[tool.name for tool in actions],
            optimal_steps=optimal_steps_of(env),
            kind=str(info.get("kind") or ""),
            settings=env_settings(env),
            label=self._label(label, number),
        )
        self._episodes += 1
        emit = emit or partial(ignore_event, 0)
        journal = Journal(effects, f"{context.env} {seed}") if effects is not None else None
        episode, last = self._episode(context, actions, emit, env, journal), self._last
        if self.config.history:
            if last is not None and last.context.world == context.world:
                episode.chat.messages = [*last.chat.messages]
            self._last = episode
        return episode, observation, info

    def _label(self, label: str | None, number: int) -> str:
        """Return what the memory calls an episode."""
        return " ".join(filter(None, (self.name, label or f"episode {number}")))

    def _episode(
        self,
        context: EpisodeContext,
        actions: list[Tool],
        emit: Emit,
        env: Env | None = None,
        journal: Journal | None = None,
        mapped: bool = True,
    ) -> Episode:
        writer = None
        if self.memory:
            writer = MemoryWriter(self.memory, self.gate, f"env:{context.env}", context.label, mapped)
        toolbox = Toolbox([*actions, *self._extra], journal)
        return Episode(context, toolbox, self.config, emit, writer, self._memory_tools, env)


def _named(name: str) -> Model:
    from agent.policies.choice import named_model

    return named_model(name)
