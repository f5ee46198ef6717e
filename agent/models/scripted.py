"""A model without weights: its calls come from a list or a function."""

import itertools
from collections.abc import Callable, Iterable, Sequence

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Decision, Turn
from tools import ToolCall

Policy = Callable[[Turn], ToolCall | str]


class ScriptedModel:
    """A model that answers from a script: for tests, and for policies that use the tools without a language model.

    Args:
        script: Calls (or raw texts, which may be malformed), one for each turn; or a function that
            answers a turn.
        cycle: Whether to begin a list again when it ends, instead of failing.
        name: Shown in logs.
    """

    def __init__(self, script: Iterable[ToolCall | str] | Policy, cycle: bool = False, name: str = "scripted") -> None:
        self.name = name
        self._policy: Policy
        if callable(script):
            self._policy = script
        else:
            items = itertools.cycle(list(script)) if cycle else iter(list(script))

            def following(_turn: Turn) -> ToolCall | str:
                for item in items:
                    return item
                raise ModelError("the script has ended and the episode has not: give more calls, or cycle=True")

            self._policy = following

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn from the script."""
        return [self._decide(turn) for turn in turns]

    def _decide(self, turn: Turn) -> Decision:
        answer = self._policy(turn)
        return Decision(answer if isinstance(answer, str) else answer.text())

    def release(self, chat: Chat) -> None:
        """Let the policy forget an episode that has ended, if it keeps something of it."""
        forget = getattr(self._policy, "forget", None)
        if forget is not None:
            forget(chat)

    def describe(self) -> dict[str, object]:
        """Return name and kind."""
        return {"name": self.name, "kind": "scripted"}
