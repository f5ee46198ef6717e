"""The conversation of one episode: append-only, with a window that slides by dropping old steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.prompts import compiled
from tools import ToolCall, ToolSpec

Role = Literal["user", "assistant", "tool"]

_SYSTEM = compiled("system.j2")


@dataclass(frozen=True, slots=True)
class Message:
    """One message after the system message.

    Attributes:
        role: ``user`` opens the episode, then ``assistant`` and ``tool`` take turns.
        content: The words; for a call, its compact JSON.
        call: The call, when the assistant made a well-formed one.
        observed: Whether the words come from the environment; only then is their surprise measured.
    """

    role: Role
    content: str
    call: ToolCall | None = None
    observed: bool = False

    def render(self) -> dict[str, Any]:
        """Return the message in the form that chat templates and TRL take."""
        if self.call is None:
            return {"role": self.role, "content": self.content}
        function = {"name": self.call.name, "arguments": self.call.arguments}
        return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


@dataclass(eq=False)
class Chat:
    """The conversation of one episode.

    Chats are compared and hashed by identity, because a model keeps a cache for each chat.

    Attributes:
        mission: What is to be done; stays in the system message for good.
        tools: Every tool of the episode, as the system message lists them.
        seed: Seed of the model's sampling, if it samples.
        messages: All messages so far, the dropped ones included.
        start: Index of the first message that is still in the window.
    """

    mission: str
    tools: Sequence[ToolSpec]
    seed: int = 0
    messages: list[Message] = field(default_factory=list)
    start: int = 0

    def add(self, message: Message) -> None:
        """Append one message."""
        self.messages.append(message)

    def system(self) -> dict[str, Any]:
        """Return the system message."""
        return {"role": "system", "content": _SYSTEM.render(mission=self.mission)}

    def openai_tools(self) -> list[dict[str, Any]]:
        """Return the tools in OpenAI's format."""
        return [spec.openai() for spec in self.tools]

    def visible(self) -> list[Message]:
        """Return the messages in the window."""
        return self.messages[self.start :]

    def drop_to(self, start: int) -> int:
        """Move the window's start to message ``start``, and return how many messages dropped out."""
        dropped = start - self.start
        self.start = start
        return dropped
