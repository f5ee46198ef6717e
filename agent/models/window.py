"""The window of a conversation: how much of it a model sees, and what is dropped when it is full."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from agent.chat import Chat, Message
from agent.models.base import Turn
from agent.models.tokens import ChatTokens
from tools import ToolCall


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a model; when it is full, the oldest steps are dropped at once until it is at most half full.

    Attributes:
        seq_len: Width in tokens.
        max_call_tokens: Tokens of the window that are kept free for the answer.
    """

    seq_len: int = 1024
    max_call_tokens: int = 96

    @property
    def room(self) -> int:
        """Tokens that a prompt may have."""
        return self.seq_len - self.max_call_tokens

    def first(self, fixed: int, sizes: Sequence[int], messages: Sequence[Message]) -> int:
        """Return the index of the oldest message that stays when the window is full.

        The messages that stay do not begin with ``assistant``, and include the newest observation if it fits at all.

        Args:
            fixed: Tokens of the system message.
            sizes: Tokens of the messages after it.
            messages: Those messages.
        """
        goal = min(self.seq_len // 2, self.room)
        start, total = len(sizes), fixed
        for index in range(len(sizes) - 1, -1, -1):
            total += sizes[index]
            if total > goal and start < len(sizes):
                break
            if messages[index].role != "assistant":
                start = index
        newest = max((index for index, message in enumerate(messages) if message.observed), default=start)
        return newest if newest < start and fixed + sum(sizes[newest:]) <= self.room else start


class Windowed:
    """A script that sees no more of a conversation than a model with this window would see.

    Args:
        script: Answers a turn.
        tokens: Tokenizes chats as the model reads them.
        window: Its window.
    """

    def __init__(self, script: Callable[[Turn], ToolCall | str], tokens: ChatTokens, window: Window) -> None:
        self.script = script
        self.tokens = tokens
        self.window = window
        self._fixed: WeakKeyDictionary[Chat, int] = WeakKeyDictionary()

    def __call__(self, turn: Turn) -> ToolCall | str:
        """Drop what would have dropped out of the model's window, and answer."""
        chat = turn.chat
        if chat not in self._fixed:
            self._fixed[chat] = len(self.tokens.system(chat))
        visible = chat.visible()
        sizes = [len(self.tokens.message(message)[0]) for message in visible]
        if self._fixed[chat] + sum(sizes) > self.window.room:
            chat.drop_to(chat.start + self.window.first(self._fixed[chat], sizes, visible))
        return self.script(turn)

    def forget(self, chat: Chat) -> None:
        """Let the script forget an episode that has ended."""
        forget = getattr(self.script, "forget", None)
        if forget is not None:
            forget(chat)
