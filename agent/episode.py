"""One episode as a state machine: what to ask the model next, and what its answer does."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.chat import Chat, Message, turn_text
from agent.logs.events import (
    Decided,
    End,
    Ending,
    Event,
    Observed,
    Ran,
    Returned,
    Start,
    Wrote,
)
from agent.memory_writer import Rememberer
from agent.models.base import Decision, Turn, Usage
from tools import MemoryTools, Toolbox, ToolCall, ToolResult, ToolSpec
from tools.macro_run import MacroRun
from tools.schema import narrowed


class AgentConfig(BaseModel):
    """Settings of the loop."""

    model_config = ConfigDict(extra="forbid")

    max_calls: int = Field(100, ge=1, description="Most decisions in one episode.")
    max_repeats: int = Field(8, ge=0, description="Same call with same result in a row before looping; 0 is off.")
    narrow_actions: bool = Field(True, description="Offer only actions that can have an effect now.")
    max_result: int = Field(800, ge=80, description="Longest result of a tool in characters; the rest is cut.")
    history: bool = Field(False, description="The conversation of earlier episodes in a world stays in the prompt.")
    env_timeout: float = Field(30.0, gt=0, description="Seconds for one step of the environment.")


@dataclass(frozen=True)
class Setting:
    """What an episode is played in.

    Attributes:
        env: Name of the environment.
        number: Number of the episode in its run.
        seed: Seed of the environment and of sampling.
        mission: What is to be done.
        world: Name of the map.
        action_names: Which tools are the environment's actions.
        optimal_steps: Reference, if the environment knows one.
        kind: What the mission is about, if the environment says so.
        settings: That the environment was made with.
    """

    env: str
    number: int
    seed: int | None
    mission: str
    world: str
    action_names: Sequence[str]
    optimal_steps: int | None = None
    kind: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Tally:
    """Totals of an episode so far."""

    total_reward: float = 0.0
    tool_calls: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    failed: int = 0
    writes: int = 0
    macro_actions: int = 0
    usage: Usage = field(default_factory=Usage)
    model_seconds: float = 0.0

    def add(self, decision: Decision) -> None:
        """Count one decision's cost."""
        a, b = self.usage, decision.usage
        self.usage = Usage(a.prefill + b.prefill, a.decode + b.decode, a.forced + b.forced, a.dropped + b.dropped)
        self.model_seconds += decision.seconds


class Episode:
    """Drives one episode. The caller steps the environment and asks the model.

    Args:
        setting: What it is played in.
        toolbox: All tools, the environment's actions among them.
        config: Settings of the loop.
        emit: Takes every event, in order.
        rememberer: Writes into the memory, if there is one.
        memory_tools: Told of the step, so that what the model writes bears its time.
    """

    def __init__(
        self,
        setting: Setting,
        toolbox: Toolbox,
        config: AgentConfig,
        emit: Callable[[Event], None],
        rememberer: Rememberer | None = None,
        memory_tools: MemoryTools | None = None,
    ) -> None:
        self.setting = setting
        self.toolbox = toolbox
        self.config = config
        self.chat = Chat(setting.mission, toolbox.specs(), seed=setting.seed or 0)
        self.turns = 0
        self.steps = 0
        self.tally = Tally()
        self.end: End | None = None
        self._emit = emit
        self._rememberer = rememberer
        self._memory_tools = memory_tools
        self._own_tools = {tool.name for tool in memory_tools.select()} if memory_tools else set()
        self._began = time.perf_counter()
        self._info: Mapping[str, Any] = {}
        self._unscored: tuple[str, float] | None = None
        self._last_call: ToolCall | None = None
        self._macro: tuple[ToolCall, MacroRun] | None = None
        self._macro_result: ToolResult | None = None
        self._observation = ""
        self._repeated: tuple[tuple[str, str], int] = (("", ""), 0)

    def start(self, observation: str, info: Mapping[str, Any]) -> None:
        """Take in the first observation."""
        chat, setting = self.chat, self.setting
        self._emit(
            Start(
                turn=0,
                step=0,
                env=setting.env,
                episode=setting.number,
                seed=setting.seed,
                mission=setting.mission,
                world=setting.world,
                tools=chat.openai_tools(),
                system=chat.system()["content"],
                optimal_steps=setting.optimal_steps,
                kind=setting.kind,
                settings=dict(setting.settings),
            )
        )
        if self._memory_tools:
            self._memory_tools.mission = setting.mission
        if self._rememberer:
            self._rememberer.enter(setting.world)
        self._perceive(observation, info, None, 0.0, False, False)
        chat.add(Message("user", self._observation, observed=True))

    def turn(self) -> Turn:
        """What the model is to decide now."""
        available, texts = self._info.get("available_actions"), self._info.get("choices")
        hidden: set[str] = set()
        if available and self.config.narrow_actions:
            hidden = set(self.setting.action_names) - set(available)
        offer = self.toolbox.offer(hidden)
        if texts and self.config.narrow_actions:
            offer = [self._narrowed(spec, texts) for spec in offer]
        return Turn(self.chat, offer)

    def _narrowed(self, spec: ToolSpec, texts: Sequence[str]) -> ToolSpec:
        """The action that is a text, limited to those that the world takes now."""
        if spec.name not in self.setting.action_names or "text" not in spec.parameters["properties"]:
            return spec
        return replace(spec, parameters=narrowed(spec.parameters, {"text": list(texts)}))

    def take(self, decision: Decision) -> ToolResult:
        """Do what the model decided.

        Returns:
            The result; if it ``acts``, the caller steps the environment with its ``action`` and calls
            :meth:`observe`.
        """
        self.tally.add(decision)
        if self._unscored and self._rememberer:
            text, reward = self._unscored
            self._consider(text, decision.surprise, reward)
        call: ToolCall | None
        try:
            call = ToolCall.parse(decision.text)
            result = None
        except ValueError as error:
            cut = f"the call was cut off after {decision.usage.decode + decision.usage.forced} tokens: be shorter"
            call, result = None, ToolResult.invalid(cut if decision.cut else str(error))
        usage = decision.usage
        self._emit(
            Decided(
                turn=self.turns,
                step=self.steps,
                text=decision.text,
                name=call.name if call else None,
                arguments=call.arguments if call else None,
                surprise=decision.surprise,
                prefill_tokens=usage.prefill,
                decode_tokens=usage.decode,
                forced_tokens=usage.forced,
                dropped_messages=usage.dropped,
                seconds=decision.seconds,
            )
        )
        self.turns += 1
        self.chat.add(Message("assistant", decision.text, call))
        if call is not None:
            self.tally.tool_calls[call.name] += 1
            if self._memory_tools:
                self._memory_tools.when = f"step {self.steps}"
            result = self.toolbox.dispatch(call)
        assert result is not None
        self._last_call = call
        if isinstance(result.program, MacroRun) and call is not None:
            self._macro, self._macro_result = (call, result.program), None
            return self.proceed()
        if not result.acts:
            self._return(call, result)
        return result

    @property
    def running(self) -> bool:
        """Whether a macro is under way, so that :meth:`proceed` decides and not the model."""
        return self._macro is not None

    def proceed(self) -> ToolResult:
        """Go on with the macro under way, up to its next action or its end.

        Returns:
            The result of an action, which the caller steps the environment with, or of the whole macro.
        """
        assert self._macro is not None
        call, macro = self._macro
        while (following := macro.next(self._macro_result)) is not None:
            self._emit(
                Ran(
                    turn=self.turns, step=self.steps, macro=macro.name,
                    name=following.name, arguments=following.arguments,
                )
            )  # fmt: skip
            result = self._macro_result = self.toolbox.dispatch(following)
            if result.acts:
                self._last_call = following
                self.tally.macro_actions += 1
                return result
            self._emit(
                Returned(
                    turn=self.turns, step=self.steps, name=following.name,
                    status=result.status, text=result.text, data=result.data,
                )
            )  # fmt: skip
        self._macro = None
        done = macro.close()
        if macro.actions:
            done = replace(done, text=f"{done.text}. {self._observation}")
        self._return(call, done)
        return done

    def _return(self, call: ToolCall | None, result: ToolResult, over: bool = False) -> None:
        """Tell the model the result of a call that does not step the environment; it may be ``over`` already."""
        self.tally.invalid += result.status == "invalid"
        self.tally.failed += result.status == "failed"
        self._emit(
            Returned(
                turn=self.turns,
                step=self.steps,
                name=call.name if call else None,
                status=result.status,
                text=result.text,
                data=result.data,
            )
        )
        if call is not None and call.name in self._own_tools and isinstance(result.data, dict):
            self._write_of(call, result.data)
        said = result.text if result.status == "ok" else f"{result.status}: {result.text}"
        if len(said) > self.config.max_result:
            said = f"{said[: self.config.max_result]}…"
        self.chat.add(Message("tool", said))
        if not over:
            self._guard(said)

    def _write_of(self, call: ToolCall, data: Mapping[str, Any]) -> None:
        """Tell of what a memory tool wrote."""
        words = ", ".join(map(str, call.arguments.values()))
        if "trace" in data:
            self._write(Wrote(turn=0, step=0, store="episodic", ids=[data["trace"]], text=words))
        if "facts" in data:
            self._write(Wrote(turn=0, step=0, store="relational", ids=list(data["facts"]), text=words))

    def observe(
        self, observation: str, reward: float, terminated: bool, truncated: bool, info: Mapping[str, Any]
    ) -> None:
        """Take in what an action led to."""
        self.steps += 1
        self.tally.total_reward += reward
        action = self._last_call.name if self._last_call else None
        if self.running and self._unscored and self._rememberer:
            self._consider(self._unscored[0], None, self._unscored[1])  # the model won't see it
        self._perceive(observation, info, action, reward, terminated, truncated)
        success = terminated and bool(info.get("success", reward > 0))
        if not self.running:
            self.chat.add(Message("tool", self._observation, observed=True))
        elif terminated or truncated:
            self._end_macro(success, fair=True)
        if terminated:
            self.finish("solved" if success else "failed", f"the environment ended with reward {reward:g}")
        elif truncated:
            self.finish("out_of_steps", f"the environment's {self.steps} steps are used up")
        elif not self.running:
            self._guard(observation)

    def _end_macro(self, solved: bool, fair: bool) -> None:
        """The episode ended while a macro was under way, by what was done or by something else."""
        assert self._macro is not None
        (call, macro), self._macro = self._macro, None
        self._return(call, macro.close(solved, fair), over=True)

    def _perceive(
        self,
        text: str,
        info: Mapping[str, Any],
        action: str | None,
        reward: float,
        terminated: bool,
        truncated: bool,
    ) -> None:
        self._info = info
        wrote = []
        if self._rememberer:
            wrote = self._rememberer.perceive(text, info.get("view"), action, reward, self.steps)
        note = self._rememberer.note if self._rememberer else ""
        self._observation = turn_text(text, note)
        self._unscored = (text, reward)
        if self._memory_tools:
            self._memory_tools.view = info.get("view")
        self._emit(
            Observed(
                turn=self.turns,
                step=self.steps,
                text=text,
                reward=reward,
                terminated=terminated,
                truncated=truncated,
                note=note,
                view=info.get("view"),
            )
        )
        for event in wrote:
            self._write(event)

    def _consider(self, text: str, surprise: float | None, reward: float) -> None:
        assert self._rememberer is not None
        self._unscored = None
        event = self._rememberer.consider(text, surprise, reward, self.steps)
        if event:
            self._write(event)

    def _write(self, event: Wrote) -> None:
        self.tally.writes += 1
        self._emit(event.model_copy(update={"turn": self.turns, "step": self.steps}))

    def _guard(self, result: str) -> None:
        """End the episode when the budget is used up or the model goes round in circles."""
        key = (self.chat.messages[-2].content, result)
        count = self._repeated[1] + 1 if key == self._repeated[0] else 1
        self._repeated = (key, count)
        if self.config.max_repeats and count >= self.config.max_repeats:
            self.finish("looping", f"{key[0]} had the same result {count} times in a row")
        elif self.turns >= self.config.max_calls:
            self.finish("out_of_steps", f"{self.turns} decisions are used up")

    def finish(self, ending: Ending, reason: str) -> None:
        """End the episode; a second call does nothing."""
        if self.end is not None:
            return
        if self.running:
            self._end_macro(ending == "solved", fair=False)
        try:
            if self._unscored and self._rememberer:
                self._consider(self._unscored[0], None, self._unscored[1])
        finally:
            self._finish(ending, reason)

    def _finish(self, ending: Ending, reason: str) -> None:
        tally = self.tally
        self.end = End(
            turn=self.turns,
            step=self.steps,
            ending=ending,
            reason=reason,
            success=ending == "solved",
            steps=self.steps,
            total_reward=tally.total_reward,
            model_calls=self.turns,
            tool_calls=dict(tally.tool_calls),
            invalid_calls=tally.invalid,
            failed_calls=tally.failed,
            prefill_tokens=tally.usage.prefill,
            decode_tokens=tally.usage.decode,
            forced_tokens=tally.usage.forced,
            writes=tally.writes,
            macro_actions=tally.macro_actions,
            seconds=time.perf_counter() - self._began,
            model_seconds=tally.model_seconds,
        )
        self._emit(self.end)
