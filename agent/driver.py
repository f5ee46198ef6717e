"""Drives episodes: one alone, or several side by side that a model decides for in one batch."""

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.episode import Episode
from agent.errors import ModelError, ServerError
from agent.logs.events import Event
from agent.logs.log import EventLog
from agent.models.base import ContinuousModel, Decision, Model
from agent.text_env import Env
from memory import Embedder, InvalidItemError
from memory.clean import clean_text, text_of
from memory.spatial import View
from tools import ToolResult
from tools.running import run_for

Emit = Callable[[Event], None]
Open = Callable[[Emit], tuple[Episode, str, Mapping[str, Any]]]
"""Resets an environment; returns its episode, which reports its events and is still to be started, the first
observation and its info."""


def ignore_event(_index: int, _event: Event) -> None:
    """Take an event that nobody asked for."""


@dataclass(eq=False)
class EpisodeSlot:
    """Episodes that are played in turn in one environment; :meth:`agent.Agent.slot` makes one.

    Slots that are played side by side must not share a memory.

    Attributes:
        model: Decides.
        env: The environment.
        opens: Opens each episode.
        logs: An ``events.jsonl`` for each, if they are logged.
        overwrite: Whether a log that exists is replaced when its episode begins; else it is added to.
        keep: Receives every event with the index of its episode.
        on_step: Called with the environment after the reset and after every decision, for example to draw.
        episode: The episode under way.
    """

    model: Model
    env: Env
    opens: Sequence[Open]
    logs: Sequence[Path] = ()
    keep: Callable[[int, Event], None] = ignore_event
    on_step: Callable[[Env], None] | None = None
    overwrite: bool = False
    episode: Episode | None = None
    _begun: int = 0
    _log: ExitStack = field(default_factory=ExitStack)

    @property
    def playing(self) -> bool:
        """Whether an episode is under way that has not ended."""
        return self.episode is not None and self.episode.end is None

    def begin(self) -> bool:
        """Begin the next episode; returns ``False`` when there is none."""
        index = self._begun
        if index >= len(self.opens):
            return False
        self._begun += 1
        sinks: list[EventLog] = []

        def emit(event: Event) -> None:
            if self.logs and not sinks:  # only an episode that began has a log
                if self.overwrite:
                    self.logs[index].unlink(missing_ok=True)
                sinks.append(self._log.enter_context(EventLog(self.logs[index])))
            for sink in sinks:
                sink.write(event)
            self.keep(index, event)

        self.episode, observation, info = self.opens[index](emit)
        self.episode.start(observation, info)
        self.stepped()
        return True

    def stepped(self) -> None:
        """Report that the environment was reset or a decision was taken."""
        if self.on_step is not None:
            self.on_step(self.env)

    def close(self, reason: str = "the caller stopped") -> None:
        """End the episode under way, if it has not ended, and its log."""
        try:
            if self.episode is not None:
                self.model.release(self.episode.chat)
                self.episode.finish("stopped", reason)
        finally:
            self.episode = None
            self._log.close()


def play(
    model: Model, slots: Iterable[EpisodeSlot], size: int, env_timeout: float = 30.0
) -> Generator[EpisodeSlot, None, None]:
    """Play slots side by side; the next one begins when another is through.

    Args:
        model: Decides for all of them in one batch.
        slots: What is played; taken as there is room.
        size: How many are played at once.
        env_timeout: Seconds for one step of an environment.

    Yields:
        Each slot when its last episode has ended.
    """
    for finished in rounds(model, slots, size, env_timeout):
        if finished is not None:
            yield finished


def rounds(
    model: Model, slots: Iterable[EpisodeSlot], size: int, env_timeout: float = 30.0
) -> Generator[EpisodeSlot | None, None, None]:
    """Play slots side by side, one decision in a round for each episode whose model is ready first.

    Every ending leaves complete logs: also Ctrl-C, an error, or a caller that stops iterating.

    Args:
        model: Decides for all of them in one batch.
        slots: What is played; taken as there is room.
        size: How many are played at once.
        env_timeout: Seconds for one step of an environment.

    Yields:
        Each slot when its last episode has ended; and ``None`` after every beginning and every round, when there are
        new events to look at.
    """
    waiting, live = iter(slots), list[EpisodeSlot]()
    reason = "an error ended the run"
    try:
        while True:
            begun = False
            while len(live) < size and (slot := next(waiting, None)) is not None:
                live.append(slot)
                begun |= slot.begin()
            if not live:
                return
            if begun:
                yield None
            advance(model, [slot for slot in live if slot.playing], env_timeout)
            yield None
            for slot in [slot for slot in live if not slot.playing]:
                slot.close()
                if not slot.begin():
                    live.remove(slot)
                    yield slot
    except KeyboardInterrupt:
        reason = "interrupted by the user"
        raise
    except GeneratorExit:
        reason = "the caller stopped"
        raise
    finally:
        with ExitStack() as closing:
            for slot in live:
                closing.callback(slot.close, reason)


def advance(model: Model, slots: Sequence[EpisodeSlot], env_timeout: float) -> None:
    """Take the decisions that are ready next, and a step of the environment for each that is an action."""
    playing = {slot.episode: slot for slot in slots if slot.episode is not None}
    for episode, result in decide(model, [*playing]):
        slot = playing[episode]
        if result is not None and result.acts and episode.end is None:
            _step(slot.env, episode, result.action, env_timeout)
        slot.stepped()


def decide(model: Model, episodes: Sequence[Episode]) -> list[tuple[Episode, ToolResult | None]]:
    """Take the decisions that are ready next, at least one; other episodes are decided for by a later call.

    An episode with a macro under way is decided by that; one that the model can't decide for ends, without a result.
    """
    if running := [episode for episode in episodes if episode.running_macro]:
        waiting = [episode for episode in episodes if not episode.running_macro]
        decided = decide(model, waiting) if waiting else []
        return [*decided, *((episode, episode.proceed()) for episode in running)]
    try:
        ready = _decisions(model, episodes)
    except ServerError as error:
        for episode in episodes:
            episode.finish("model_error", f"{type(error).__name__}: {error}")
        raise
    except Exception as error:  # the boundary: a model may raise anything
        if len(episodes) > 1:  # find out whose fault it is
            return [pair for episode in episodes for pair in decide(model, [episode])]
        episodes[0].finish("model_error", f"{type(error).__name__}: {text_of(error)}")
        return [(episodes[0], None)]
    _embed_together(ready)
    return [(episode, episode.take(decision)) for episode, decision in ready]


def _decisions(model: Model, episodes: Sequence[Episode]) -> list[tuple[Episode, Decision]]:
    turns = [episode.turn() for episode in episodes]
    if isinstance(model, ContinuousModel):
        decisions, least = model.decide_next(turns), 1
    else:
        decisions, least = [*model.decide(turns)], len(turns)
    pairs = zip(episodes, decisions, strict=True)
    ready = [(episode, decision) for episode, decision in pairs if decision is not None]
    if len(ready) < least:
        raise ModelError(f"{model.name} gave no decision: decide() answers every turn, decide_next() at least one")
    return ready


def _embed_together(ready: Sequence[tuple[Episode, Decision]]) -> None:
    """Embed in one pass what the episodes will ask for when they take their decisions; embedders keep new vectors."""
    asked: dict[int, tuple[Embedder, list[str]]] = {}
    for episode, decision in ready if len(ready) > 1 else ():
        embedder, texts = episode.to_embed(decision)
        if embedder is not None and texts:
            asked.setdefault(id(embedder), (embedder, []))[1].extend(texts)
    for embedder, texts in asked.values():
        with suppress(Exception):  # who needs them asks again, and is told what is wrong
            embedder.embed(texts)


def _step(env: Env, episode: Episode, action: Any, env_timeout: float) -> None:
    ended, value = run_for(env_timeout, lambda: env.step(action))
    if not ended:
        episode.finish("env_error", f"the environment took longer than {env_timeout:g} s for a step")
        return
    if isinstance(value, BaseException):
        episode.finish("env_error", f"the environment raised {type(value).__name__}: {text_of(value)}")
        return
    try:
        observation, reward, terminated, truncated, info = value
        if not isinstance(observation, str) or not math.isfinite(reward):
            raise TypeError(f"observation {type(observation).__name__}, reward {reward}")
        if info.get("view"):
            View.parse(info["view"])
    except (TypeError, ValueError, AttributeError, InvalidItemError) as error:
        episode.finish("env_error", f"the environment's step gave no text, finite reward and info: {text_of(error)}")
        return
    episode.observe(clean_text(observation), float(reward), bool(terminated), bool(truncated), info)
