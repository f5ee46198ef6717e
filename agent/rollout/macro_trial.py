"""Trials of macros in fresh instances of an environment, before the macros are accepted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import time
from typing import Any

import gymnasium as gym

from agent.errors import ModelError
from agent.logs.events import End, Returned, Start
from agent.loop import Agent
from agent.models.base import Turn
from agent.models.scripted import ScriptedModel
from memory import HashingEmbedder, InvalidItemError, Memory
from memory.episodic.gate import SHUT
from memory.procedural import Macro, MacroLib
from memory.procedural.library import ACCEPT_TRIALS
from memory.procedural.matching import matches
from memory.procedural.mining import mission_words
from memory.procedural.program import fill
from memory.procedural.scoring import Outcome
from tools import ToolCall
from tools import names as tool_names


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of one run of a macro.

    Attributes:
        seed: Seed of the instance.
        call: Call of the macro with its values.
        ok: Whether the macro ran to its end as expected.
        solved: Whether the run solved the episode.
        steps: Steps of the environment.
        said: The result in words.
        outcome: The result as the library stores it.
        partial: Whether the mission asks for more than the macro does.
    """

    seed: int
    call: str
    ok: bool
    solved: bool
    steps: int
    said: str
    outcome: Outcome
    partial: bool

    @property
    def passed(self) -> bool:
        """Whether the run solved the episode, or did and checked its part of a mission that asks for more."""
        return self.solved or (self.ok and self.partial)


def run_trial(env: gym.Env[Any, Any], macro: Macro, library: MacroLib, seed: int) -> Trial | None:
    """Run a macro at the start of one episode, with a new map; return ``None`` if the mission does not ask for it.

    Args:
        env: The environment.
        macro: The macro.
        library: Holds the macro and the macros that it calls; the trial writes nothing into it.
        seed: Seed of the instance.
    """
    with Memory.open(None, HashingEmbedder()) as memory:
        memory.macros.copy_from(library)
        memory.macros.retry(macro.signature)
        chosen: list[str] = []
        bindings: dict[str, str] = {}

        def policy(turn: Turn) -> ToolCall:
            values = next(matches(macro.triggers, macro.variables, mission_words(turn.chat.mission)), None)
            if values is None or chosen:
                raise ModelError("the trial is over")
            chosen.append(macro.call(values))
            bindings.update(values)
            return ToolCall(name=tool_names.RUN_MACRO, arguments={"call": chosen[0]})

        agent = Agent(
            ScriptedModel(policy), memory, [tool_names.PLAN_ROUTE, tool_names.EXPLORE, tool_names.RUN_MACRO], gate=SHUT
        )
        events = list(agent.run(env, seed=seed))
        if not chosen:
            return None
        outcomes = memory.macros.get(macro.signature).outcomes
    returned = next((e for e in reversed(events) if isinstance(e, Returned) and e.name == tool_names.RUN_MACRO), None)
    end = events[-1]
    assert isinstance(end, End)
    assert isinstance(events[0], Start)
    words = " ".join(mission_words(events[0].mission))
    partial = bool(macro.effects) and all(fill(trigger, bindings) != words for trigger in macro.triggers)
    text = returned.text if returned else end.reason
    outcome = outcomes[0] if outcomes else Outcome(False, time(), (), text)
    return Trial(seed, chosen[0], outcome.ok, end.success, end.steps, text, outcome, partial)


def judge(
    env: gym.Env[Any, Any],
    library: MacroLib,
    signature: str,
    seeds: Iterable[int],
    trials: int = ACCEPT_TRIALS,
    advance: Callable[[Trial], None] = lambda _trial: None,
) -> tuple[Macro, list[Trial]]:
    """Run a macro in fresh instances until it was tried often enough, and accept or reject it.

    Instances whose missions do not ask for the macro are skipped.

    Args:
        env: The environment.
        library: Holds the macro.
        signature: Signature or name of the macro.
        seeds: Seeds of instances that the macro was not mined from.
        trials: Number of trials.
        advance: Called after every trial.

    Returns:
        The macro, accepted or rejected, or unchanged if too few missions asked for it; and the trials.

    Raises:
        UnknownItemError: There is no such macro.
        InvalidItemError: Fewer than 20 trials are asked for.
    """
    if trials < ACCEPT_TRIALS:
        raise InvalidItemError(f"a macro is judged by at least {ACCEPT_TRIALS} trials, got {trials}")
    macro = library.get(signature)
    results: list[Trial] = []
    for seed in seeds:
        trial = run_trial(env, macro, library, seed)
        if trial is not None:
            results.append(trial)
            advance(trial)
        if len(results) == trials:
            passes = sum(t.passed for t in results)
            library.note(macro.signature, [t.outcome for t in results])
            return library.judge(macro.signature, passes, trials), results
    return macro, results
