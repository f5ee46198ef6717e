"""Many episodes side by side, decided for in one batch."""

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym

from agent.episode import Episode
from agent.logs.events import Event
from agent.logs.log import EventLog
from agent.models.base import Model
from memory import InvalidItemError
from memory.spatial import View
from tools import ToolResult
from tools.toolbox import run_for

Env = gym.Env[Any, Any]


class Beginner(Protocol):
    """Begins episodes: :class:`agent.loop.Agent` does."""

    model: Model

    def begin(
        self, env: Env, seed: int | None, number: int | None, emit: Callable[[Event], None] | None, label: str | None
    ) -> Episode:
        """Reset an environment and make its episode."""
        ...


@dataclass
class Seat:
    """Episodes that are played in turn, with one agent in one environment.

    Attributes:
        agent: Plays them; seats side by side must not share a memory.
        env: The environment.
        seeds: One for each episode.
        numbers: Numbers of the episodes; counted by the agent by default.
        labels: What the agent's memory calls each; by its number by default.
        logs: Where each is logged.
        keep: Told of every event with the index of its episode.
    """

    agent: Beginner
    env: Env
    seeds: Sequence[int]
    numbers: Sequence[int] = ()
    labels: Sequence[str] = ()
    logs: Sequence[Path] = ()
    keep: Callable[[int, Event], None] = lambda _index, _event: None
    episode: Episode | None = None
    _played: int = 0
    _files: ExitStack = field(default_factory=ExitStack)

    def begin(self) -> bool:
        """Begin the next episode; ``False`` when there is none."""
        index = self._played
        if index >= len(self.seeds):
            return False
        self._played += 1
        log = self.logs[index] if self.logs else None
        sinks: list[EventLog] = []

        def emit(event: Event) -> None:
            if log is not None:
                if not sinks:  # only an episode that began has a log
                    log.unlink(missing_ok=True)
                    sinks.append(self._files.enter_context(EventLog(log)))
                sinks[0].write(event)
            self.keep(index, event)

        number = self.numbers[index] if self.numbers else None
        label = self.labels[index] if self.labels else None
        self.episode = self.agent.begin(self.env, self.seeds[index], number, emit, label)
        return True

    def close(self, reason: str = "the caller stopped") -> None:
        """End the episode under way, if it has not, and its log."""
        try:
            if self.episode is not None:
                self.agent.model.release(self.episode.chat)
                self.episode.finish("stopped", reason)
        finally:
            self.episode = None
            self._files.close()


def play(model: Model, seats: Iterable[Seat], size: int, env_timeout: float = 30.0) -> Generator[Seat, None, None]:
    """Play seats side by side; the next one begins when another is through.

    Every ending leaves complete logs: also Ctrl-C, an error, or a caller that stops iterating.

    Args:
        model: Decides for all of them in one batch.
        seats: What is played; taken as there is room.
        size: How many are played at once.
        env_timeout: Seconds for one step of an environment.

    Yields:
        Each seat when its last episode has ended.
    """
    waiting, live = iter(seats), list[Seat]()
    try:
        while True:
            while len(live) < size and (seat := next(waiting, None)) is not None:
                live.append(seat)
                seat.begin()
            if not live:
                return
            playing = [(e, seat.env) for seat in live if (e := seat.episode) is not None and e.end is None]
            advance(model, [episode for episode, _ in playing], [env for _, env in playing], env_timeout)
            for seat in [seat for seat in live if seat.episode is None or seat.episode.end is not None]:
                seat.close()
                if not seat.begin():
                    live.remove(seat)
                    yield seat
    finally:
        with ExitStack() as closing:
            for seat in live:
                closing.callback(seat.close, "the batch was stopped")


def decide(model: Model, episodes: list[Episode]) -> list[ToolResult | None]:
    """One decision for each episode; one that the model can't decide for ends.

    An episode with a macro under way is decided by that.
    """
    running = [episode.running for episode in episodes]
    if any(running):
        waiting = [episode for episode in episodes if not episode.running]
        asked = iter(decide(model, waiting) if waiting else ())
        return [e.proceed() if busy else next(asked) for e, busy in zip(episodes, running, strict=True)]
    try:
        decisions = model.decide([episode.turn() for episode in episodes])
    except Exception as error:  # the boundary: a model may raise anything
        if len(episodes) > 1:  # find out whose fault it is
            return [result for episode in episodes for result in decide(model, [episode])]
        episodes[0].finish("model_error", f"{type(error).__name__}: {error}")
        return [None]
    return [episode.take(decision) for episode, decision in zip(episodes, decisions, strict=True)]


def advance(model: Model, episodes: list[Episode], envs: Sequence[Env], env_timeout: float) -> None:
    """One decision for each episode, and a step of the environment where it is an action."""
    for episode, env, result in zip(episodes, envs, decide(model, episodes) if episodes else (), strict=True):
        if result is not None and result.acts and episode.end is None:
            _step(env, episode, result.action, env_timeout)


def _step(env: Env, episode: Episode, action: Any, env_timeout: float) -> None:
    ended, value = run_for(env_timeout, lambda: env.step(action))
    if not ended:
        episode.finish("failed", f"the environment took longer than {env_timeout:g} s for a step")
        return
    if isinstance(value, BaseException):
        episode.finish("failed", f"the environment raised {type(value).__name__}: {value}")
        return
    try:
        observation, reward, terminated, truncated, info = value
        if not isinstance(observation, str) or not math.isfinite(reward):
            raise TypeError(f"observation {type(observation).__name__}, reward {reward}")
        if info.get("view"):
            View.parse(info["view"])
    except (TypeError, ValueError, AttributeError, InvalidItemError) as error:
        episode.finish("failed", f"the environment's step gave no text, finite reward and info: {error}")
        return
    episode.observe(observation, float(reward), bool(terminated), bool(truncated), info)
