"""Verification of a log by replay: the same actions in the same world must give the same observations."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import LogError
from agent.logs.events import (
    Decided,
    End,
    Event,
    Observed,
    Ran,
    Start,
)
from agent.logs.log import read_events
from agent.text_env import Env, MakeEnv, action_tools_of, optimal_steps_of
from tools import Toolbox, ToolCall


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of playing a log again.

    Attributes:
        log: The log.
        steps: Actions that were played.
        difference: The first difference from the log; empty if there is none.
    """

    log: Path
    steps: int
    difference: str = ""

    @property
    def matches(self) -> bool:
        """Whether the replay was the same as the log."""
        return not self.difference


def verify_log(log: Path, make_env: MakeEnv) -> Verified:
    """Play a log's actions again and compare every observation, reward and ending.

    Args:
        log: An ``events.jsonl``.
        make_env: Makes the environment that the log names, with the settings that it was made with.

    Raises:
        LogError: The log is damaged, has no start, or its environment has no seed.
    """
    events = read_events(log)
    start = events[0] if events else None
    if not isinstance(start, Start):
        raise LogError(f"{log} does not begin with an episode's start: there is nothing to replay")
    if start.seed is None:
        raise LogError(f"{log} was played without a seed: it can't be replayed")
    env = make_env(start.env, **start.settings)
    try:
        return _compare(log, events, start, env)
    except Exception as error:  # the boundary: an environment may raise anything
        return Verified(log, 0, f"the environment raised {type(error).__name__}: {error}")
    finally:
        env.close()


def _compare(log: Path, events: Sequence[Event], start: Start, env: Env) -> Verified:
    text, info = env.reset(seed=start.seed)
    begun: tuple[tuple[str, object, object], ...] = (
        ("mission", start.mission, str(info.get("mission", start.mission))),
        ("kind", start.kind, str(info.get("kind") or "")),
        ("world", start.world, str(info.get("world", start.world)).replace("#", "-")),
        ("optimal_steps", start.optimal_steps, optimal_steps_of(env)),
    )
    for name, before, after in begun:
        if before != after:
            return Verified(log, 0, f"{name} was {before!r}, now it is {after!r}")
    actions = Toolbox(action_tools_of(env))
    now: tuple[Any, ...] = (text, 0.0, False, False, info.get("view"))
    last = max((event.step for event in events if isinstance(event, Observed)), default=0)
    steps = shown = 0
    total = 0.0
    for event in events:
        if isinstance(event, Decided | Ran) and event.name in actions.names:
            result = actions.dispatch(ToolCall(name=event.name, arguments=event.arguments or {}))
            if result.acts and steps > shown:
                return Verified(log, steps, f"step {steps} has no observation in the log")
            if result.acts and event.step < last:  # after an error of the environment nothing was observed
                text, reward, terminated, truncated, info = env.step(result.action)
                now = (text, float(reward), bool(terminated), bool(truncated), info.get("view"))
                steps += 1
                total += float(reward)
        elif isinstance(event, Observed):
            shown = event.step
            was = (event.text, event.reward, event.terminated, event.truncated, event.view, event.step)
            names = ("text", "reward", "terminated", "truncated", "view", "step")
            for field, then, today in zip(names, was, (*now, steps), strict=True):
                if then != (_as_logged(today, then) if field == "view" else today):
                    return Verified(log, steps, f"step {event.step}: {field} was {then!r}, now it is {today!r}")
        elif isinstance(event, End):
            success = now[2] and bool(info.get("success", now[1] > 0))
            for field, then, today in (
                ("steps", event.steps, steps),
                ("total_reward", event.total_reward, total),
                ("success", event.success, success),
            ):
                if then != today:
                    return Verified(log, steps, f"at the end {field} was {then!r}, now it is {today!r}")
    return Verified(log, steps)


def _as_logged(view: Any, logged: Any) -> Any:
    """Return a view as JSON has it, without what the log of an earlier release did not hold."""
    plain = json.loads(json.dumps(view))
    return {key: plain.get(key) for key in logged} if isinstance(plain, dict) and isinstance(logged, dict) else plain
