"""One episode as a state machine: what to ask the model next, and what its answer does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.chat import Chat, Message
from agent.episode_state import AgentConfig, EpisodeContext, EpisodeStats
from agent.futility import Futility, State
from agent.logs.events import Decided, End, Ending, Event, Observed, Progressed, Ran, Returned, Wrote
from agent.memory_writer import MemoryWriter
from agent.models.base import Decision, Turn
from agent.seen import with_view
from agent.shown import shown_observation, shown_result
from memory import Embedder
from tools import MemoryTools, Toolbox, ToolCall, ToolContext, ToolResult, ToolSpec
from tools import names as tool_names
from tools.details import fitted
from tools.macro_run import MacroRun
from tools.schema import narrowed


@dataclass
class _RunningMacro:
    """A macro under way: the call that began it, its run, and the result of its last call."""

    call: ToolCall
    run: MacroRun
    result: ToolResult | None = None


class Episode:
    """The state of one episode: chat, tools, map and counts.

    :mod:`agent.driver` asks the model and steps the environment.

    Args:
        context: What it is played in.
        toolbox: All tools, the environment's actions among them.
        config: Settings of the loop.
        emit: Receives every event, in order.
        writer: Writes into the memory, if there is one.
        env: The environment, for tools that ask for it.
        memory_tools: The memory's tools; they receive a :class:`~tools.ToolContext` after every observation.

    Attributes:
        chat: The conversation.
        stats: Totals so far.
        started: Whether there was a first observation.
        end: The last event, once the episode has ended.
    """

    def __init__(
        self,
        context: EpisodeContext,
        toolbox: Toolbox,
        config: AgentConfig,
        emit: Callable[[Event], None],
        writer: MemoryWriter | None = None,
        memory_tools: MemoryTools | None = None,
        env: Any = None,
    ) -> None:
        self.context = context
        self.toolbox = toolbox
        self.config = config
        self.chat = Chat(context.mission, fitted(toolbox.specs(), config.max_details), seed=context.seed or 0)
        self.stats = EpisodeStats()
        self.end: End | None = None
        self.started = False
        self._emit = emit
        self._env = env
        self._futility = Futility()
        self._here: State = ("", None)
        toolbox.report = self._progressed
        self._writer = writer
        self._memory_tools = memory_tools
        self._own_tools = {tool.name for tool in memory_tools.select()} if memory_tools else set()
        self._info: Mapping[str, Any] = {}
        self._last_call: ToolCall | None = None
        self._macro: _RunningMacro | None = None
        self._observation = ""
        self._turn: Turn | None = None
        self._repeated: tuple[tuple[str, str], int] = (("", ""), 0)

    @property
    def running_macro(self) -> bool:
        """Whether a macro is under way, so that :meth:`proceed` decides and not the model."""
        return self._macro is not None

    def start(self, observation: str, info: Mapping[str, Any]) -> None:
        """Take in the first observation."""
        self.started = True
        self._emit(self.context.start(self.chat.openai_tools(), self.chat.system()["content"]))
        if self._writer:
            self._writer.enter(self.context.world)
        self._perceive(observation, info, None, 0.0, False, False)
        self.chat.add(Message("user", self._observation, observed=True))

    def turn(self) -> Turn:
        """Return what the model is to decide now; it stays the same until the decision is taken."""
        if self._turn is None:
            self._turn = self._next_turn()
        return self._turn

    def _next_turn(self) -> Turn:
        available, texts = self._info.get("available_actions"), self._info.get("choices")
        hidden: set[str] = set()
        if available and self.config.narrow_actions:
            hidden = set(self.context.action_names) - set(available)
        offer = self.toolbox.offer(hidden)
        if texts and self.config.narrow_actions:
            offer = [self._narrowed(spec, texts) for spec in offer]
        if self.config.narrow_futile:
            offer = self._futility.narrowed(offer, self._here, self.context.action_names)
        return Turn(self.chat, offer)

    def _narrowed(self, spec: ToolSpec, texts: Sequence[str]) -> ToolSpec:
        """Limit the action that is a text to those that the world takes now."""
        if spec.name not in self.context.action_names or "text" not in spec.parameters["properties"]:
            return spec
        return replace(spec, parameters=narrowed(spec.parameters, {"text": list(texts)}))

    def take(self, decision: Decision) -> ToolResult:
        """Do what the model decided.

        Returns:
            The result; if it ``acts``, the caller steps the environment with its ``action`` and calls
            :meth:`observe`.
        """
        self._turn = None
        self.stats.add(decision)
        self._write_pending(decision.surprise)
        call, problem = _parse(decision)
        self._emit_decided(decision, call)
        self.stats.turns += 1
        self.chat.add(Message("assistant", decision.text, call))
        self._last_call = call
        if call is None:
            result = ToolResult.invalid(problem)
        else:
            self.stats.tool_calls[call.name] += 1
            result = self.toolbox.dispatch(call)
            if isinstance(result.program, MacroRun):
                self._macro = _RunningMacro(call, result.program)
                return self.proceed()
        if not result.acts:
            self.show_result(call, result)
        return result

    def _emit_decided(self, decision: Decision, call: ToolCall | None) -> None:
        usage = decision.usage
        self._emit(
            Decided(
                turn=self.stats.turns,
                step=self.stats.steps,
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

    def _progressed(self, name: str, done: float, words: str) -> None:
        turn, step = self.stats.turns, self.stats.steps
        self._emit(Progressed(turn=turn, step=step, name=name, done=done, text=words))

    # macros

    def proceed(self) -> ToolResult:
        """Go on with the macro under way, up to its next action or its end.

        Returns:
            The result of an action, which the caller steps the environment with, or of the whole macro.
        """
        macro = self._macro
        assert macro is not None
        while (following := macro.run.next(macro.result)) is not None:
            self._emit(
                Ran(
                    turn=self.stats.turns,
                    step=self.stats.steps,
                    macro=macro.run.name,
                    name=following.name,
                    arguments=following.arguments,
                )
            )
            result = macro.result = self.toolbox.dispatch(following, repeats=True)
            if result.acts:
                self._last_call = following
                self.stats.macro_actions += 1
                return result
            self._emit_returned(following, result, shown=None)
        self._macro = None
        done = macro.run.close()
        if macro.run.actions:
            done = replace(done, text=f"{done.text}. {self._observation}")
        self.show_result(macro.call, done)
        return done

    def _end_macro(self, solved: bool, fair: bool) -> None:
        """End the macro under way because the episode ended, by what it did or by something else."""
        assert self._macro is not None
        macro, self._macro = self._macro, None
        self.show_result(macro.call, macro.run.close(solved, fair), over=True)

    # results

    def show_result(self, call: ToolCall | None, result: ToolResult, over: bool = False) -> None:
        """Show the model the result of a call that does not step the environment.

        Args:
            call: The call, ``None`` if it was none.
            result: Its result.
            over: Whether the episode is ending already.
        """
        self.stats.invalid += result.status == "invalid"
        self.stats.failed += result.status == "failed"
        shown = shown_result(result.status, result.text, self.config.max_result)
        wrote = call is not None and call.name in self._own_tools and isinstance(result.data, dict)
        if call is not None and call.name != tool_names.RUN_MACRO:
            self._futility.looked(call, self._here, shown, wrote and bool({"trace", "facts"} & {*result.data}))
            shown = "\n".join(filter(None, (shown, self._noted())))
        self._emit_returned(call, result, shown)
        if wrote and call is not None:
            self._report_writes(call, result.data)
        self.chat.add(Message("tool", shown))
        if not over:
            self._guard(shown)

    def _emit_returned(self, call: ToolCall | None, result: ToolResult, shown: str | None) -> None:
        self._emit(
            Returned(
                turn=self.stats.turns,
                step=self.stats.steps,
                name=call.name if call else None,
                status=result.status,
                text=result.text,
                shown=shown,
                data=result.data,
            )
        )

    def _report_writes(self, call: ToolCall, data: Mapping[str, Any]) -> None:
        """Report what a memory tool wrote."""
        words = ", ".join(map(str, call.arguments.values()))
        if "trace" in data:
            self._emit_wrote(Wrote(turn=0, step=0, store="episodic", ids=[data["trace"]], text=words))
        if "facts" in data:
            self._emit_wrote(Wrote(turn=0, step=0, store="relational", ids=list(data["facts"]), text=words))

    # observations

    def observe(
        self, observation: str, reward: float, terminated: bool, truncated: bool, info: Mapping[str, Any]
    ) -> None:
        """Take in what an action led to."""
        self._write_pending(None)  # one that came inside a macro: the model never saw it
        self.stats.steps += 1
        self.stats.total_reward += reward
        action = self._done(self._last_call) if self._last_call else None
        self._perceive(observation, info, action, reward, terminated, truncated)
        success = terminated and bool(info.get("success", reward > 0))
        if not self.running_macro:
            self.chat.add(Message("tool", self._observation, observed=True))
        elif terminated or truncated:
            self._end_macro(success, fair=True)
        if terminated:
            self.finish("solved" if success else "failed", f"the environment ended with reward {reward:g}")
        elif truncated:
            self.finish("out_of_steps", f"the environment's {self.stats.steps} steps are used up")
        elif not self.running_macro:
            self._guard(observation)

    def _done(self, call: ToolCall) -> str:
        """Return what an action did as the map names it: its words where the action is a text that moves one."""
        words = call.arguments.get("text")
        said = call.name in self.context.action_names and call.name != tool_names.ANSWER and isinstance(words, str)
        return str(words) if said else call.name

    def _possible(self, info: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what can be done now, as the map names it; nothing where the world does not say."""
        able = info.get("choices") or info.get("available_actions") or self.context.action_names
        return tuple(name for name in map(str, able) if name != tool_names.ANSWER)

    def _perceive(
        self,
        text: str,
        info: Mapping[str, Any],
        action: str | None,
        reward: float,
        terminated: bool,
        truncated: bool,
    ) -> None:
        self._info = info = with_view(text, info, self.context.action_names)
        view, step = info.get("view"), self.stats.steps
        wrote, note = [], ""
        if self._writer:
            wrote = self._writer.perceive(text, view, action, reward, step)
            note = self._writer.note
        now = ToolContext(
            self.context.label,
            self.context.mission,
            step,
            view,
            self._possible(info),
            self._writer.memory if self._writer else None,
            self._env,
        )
        self.toolbox.context = now
        if self._memory_tools:
            self._memory_tools.update(now)
        before, self._here = self._here, (text, self._writer.pose if self._writer else None)
        if action is not None and self._last_call is not None:
            self._futility.acted(self._last_call, before, self._here, reward != 0)
            note = "\n".join(filter(None, (note, self._noted())))
        self._observation = shown_observation(text, note)
        self._emit(
            Observed(
                turn=self.stats.turns,
                step=step,
                text=text,
                reward=reward,
                terminated=terminated,
                truncated=truncated,
                note=note,
                shown=None if self.running_macro else self._observation,
                view=view,
            )
        )
        for event in wrote:
            self._emit_wrote(event)

    def _write_pending(self, surprise: float | None) -> None:
        """Let the write gate decide on the last observation, if it has not.

        Args:
            surprise: Of the observation, in [0, 1]; ``None`` if the model did not read it.
        """
        event = self._writer.write_pending(surprise) if self._writer else None
        if event:
            self._emit_wrote(event)

    def to_embed(self, decision: Decision) -> tuple[Embedder | None, list[str]]:
        """Return the embedder of the memory, and what it will be asked for when a decision is taken.

        These are the observation that the write gate asks about, and the words given to a tool of the memory.
        """
        if self._writer is None:
            return None, []
        call, _ = _parse(decision)
        given = self._memory_tools.to_embed(call) if self._memory_tools and call is not None else ()
        texts = (self._writer.pending_text, *given)
        return self._writer.memory.episodic.embedder, [text for text in texts if text.strip()]

    def _noted(self) -> str:
        """Count what was of no use, and return what the model is told of it."""
        self.stats.futile = self._futility.count
        return self._futility.note if self.config.narrow_futile else ""

    def _emit_wrote(self, event: Wrote) -> None:
        self.stats.writes += 1
        self._emit(event.model_copy(update={"turn": self.stats.turns, "step": self.stats.steps}))

    # endings

    def _guard(self, shown: str) -> None:
        """End the episode when the budget is used up or the model goes round in circles."""
        key = (self.chat.messages[-2].content, shown)
        count = self._repeated[1] + 1 if key == self._repeated[0] else 1
        self._repeated = (key, count)
        if self.config.max_repeats and count >= self.config.max_repeats:
            self.finish("looping", f"{key[0]} had the same result {count} times in a row")
        elif self.stats.turns >= self.config.max_calls:
            self.finish("out_of_steps", f"{self.stats.turns} decisions are used up")

    def finish(self, ending: Ending, reason: str) -> None:
        """End the episode; a second call does nothing."""
        if self.end is not None:
            return
        if self.running_macro:
            self._end_macro(ending == "solved", fair=False)
        try:
            self._write_pending(None)
        finally:
            self.end = self.stats.end(ending, reason)
            self._emit(self.end)


def _parse(decision: Decision) -> tuple[ToolCall | None, str]:
    """Read the model's call; ``None`` and what is wrong with it, if it is none."""
    try:
        return ToolCall.parse(decision.text), ""
    except ValueError as error:
        written = decision.usage.decode + decision.usage.forced
        return None, f"the call was cut off after {written} tokens: be shorter" if decision.cut else str(error)
