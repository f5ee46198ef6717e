"""The interface of a model to the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from agent.chat import Chat
from memory.clean import clean_text
from tools import ToolSpec


@dataclass(frozen=True, slots=True)
class Turn:
    """A request for one decision.

    Attributes:
        chat: The conversation, its last message waiting for an answer.
        offer: The tools that can be called now, their arguments limited to values that exist.
    """

    chat: Chat
    offer: Sequence[ToolSpec]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a decision cost, in tokens.

    Attributes:
        prefill: Prompt tokens that went through the model; those kept in the cache don't count.
        decode: Tokens that were chosen.
        forced: Tokens that the grammar left no choice about.
        dropped: Messages that fell out of the window to make room.
    """

    prefill: int = 0
    decode: int = 0
    forced: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A model's answer.

    Attributes:
        text: The model's words: one call as JSON, if it is well-formed.
        surprise: Of the newest observation, in [0, 1], see :mod:`agent.models.surprise`; ``None`` if the model can't
            tell.
        logprobs: Natural-log probability of each of the observation's tokens.
        cut: Whether the answer ran into its limit before it was complete.
        usage: What it cost.
        seconds: Wall-clock time, shared equally by the turns that were waited for together.
    """

    text: str
    surprise: float | None = None
    logprobs: tuple[float, ...] = ()
    cut: bool = False
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Clean the words: a model or a server may give text that is no valid Unicode."""
        object.__setattr__(self, "text", clean_text(self.text))


class Model(Protocol):
    """A language model that chooses tool calls."""

    @property
    def name(self) -> str:
        """Name of the model, for logs."""
        ...

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn, in order. The turns are of different chats."""
        ...

    def release(self, chat: Chat) -> None:
        """Forget what is cached for a chat that has ended."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what ``run.json`` records of the model: name, path, hashes, precision, adapter."""
        ...


@runtime_checkable
class ContinuousModel(Model, Protocol):
    """A model whose answers need not wait for one another."""

    def decide_next(self, turns: Sequence[Turn]) -> list[Decision | None]:
        """Answer the turns whose answers are complete first, at least one; ``None`` for the others.

        Those are given again, the same turns, with new ones, and go on meanwhile.
        """
        ...
