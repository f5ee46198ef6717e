"""Which tokens of a conversation a model has read, and which it is to read next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.chat import Chat, Message
from agent.errors import ObservationTooLongError
from agent.models.tokens import ChatTokens
from agent.models.window import Window


@dataclass
class Feed:
    """The tokens of one chat that are on their way into the model.

    Attributes:
        pending: Tokens that have not passed through the model yet.
        seen: Number of the chat's messages whose tokens are in the cache or pending.
        already_counted: How many of the first pending tokens the usage of the last decision counted.
        answer: Text of the last decision; ``None`` while the next one is made.
        surprise_span: Range of ``pending`` that holds the newest observation; empty if there is none.
    """

    pending: list[int]
    seen: int = 0
    already_counted: int = 0
    answer: str | None = None
    surprise_span: range = range(0)


class PromptFeed:
    """Keeps track of what a model has read of each chat, so that only new tokens pass through it.

    When the window is full, the oldest steps are dropped at once, and the chat is read again from there.

    Args:
        tokens: The tokenizer's chat template.
        window: The window.
        held: Returns how many tokens of a chat the model keeps.
        cut: Cuts what the model keeps of a chat to the longest part with which these tokens begin, and returns its
            length.
    """

    def __init__(
        self,
        tokens: ChatTokens,
        window: Window,
        held: Callable[[Chat], int],
        cut: Callable[[Chat, Sequence[int]], int],
    ) -> None:
        self.tokens = tokens
        self.window = window
        self._held = held
        self._cut = cut
        self._feeds: dict[Chat, Feed] = {}

    def __contains__(self, chat: Chat) -> bool:
        """Return whether anything of a chat was read."""
        return chat in self._feeds

    def __len__(self) -> int:
        """Return the number of chats that are kept track of."""
        return len(self._feeds)

    def __getitem__(self, chat: Chat) -> Feed:
        """Return the feed of a chat that was prepared."""
        return self._feeds[chat]

    def forget(self, chat: Chat) -> None:
        """Forget a chat that has ended."""
        self._feeds.pop(chat, None)

    def forget_all(self) -> None:
        """Forget every chat; each is read from its visible messages again."""
        self._feeds.clear()

    def prepare(self, chat: Chat) -> int:
        """Put a chat's new messages, and the beginning of an answer, on its feed.

        Returns:
            How many messages dropped out of the window.

        Raises:
            ObservationTooLongError: One observation alone does not fit into the window.
        """
        feed = self._feeds.get(chat)
        if feed is None:
            feed = self._feeds[chat] = Feed([])
            self._restart(chat, feed)
        elif not self._continues(chat, feed):
            self._restart(chat, feed)
        else:
            self._append(feed, chat.messages[feed.seen :])
        feed.seen, feed.answer = len(chat.messages), None
        full = self._held(chat) + len(feed.pending) > self.window.room
        dropped = self._turn_over(chat, feed) if full else 0
        feed.pending += self.tokens.generation_prompt
        return dropped

    def take(self, chat: Chat) -> list[int]:
        """Return the pending tokens of a chat, which pass through the model now."""
        feed = self._feeds[chat]
        pending, feed.pending = feed.pending, []
        return pending

    def answered(self, chat: Chat, answer: str, unread: Sequence[int]) -> None:
        """Note the model's answer.

        Args:
            chat: The chat.
            answer: The text, as the chat's next message has it if the chat goes on from here.
            unread: Tokens of the answer that did not pass through the model as input.
        """
        feed = self._feeds[chat]
        feed.answer = answer
        feed.pending, feed.already_counted = (
            [*unread, *self.tokens.closing],
            len(unread),
        )  # those were already counted in usage

    def _continues(self, chat: Chat, feed: Feed) -> bool:
        """Return whether the chat's next message is the answer that was given, and if so, count it as seen."""
        following = chat.messages[feed.seen :]
        if feed.answer is None or not following or following[0].content != feed.answer:
            return False
        feed.seen += 1
        return True

    def _append(self, feed: Feed, messages: Sequence[Message]) -> None:
        feed.surprise_span = range(0)
        for message in messages:
            tokens, content = self.tokens.message(message)
            if message.observed:
                start = len(feed.pending)
                feed.surprise_span = range(start + content.start, start + content.stop)
            feed.pending += tokens

    def _restart(self, chat: Chat, feed: Feed) -> None:
        """Read the visible messages from the beginning, or from where they differ from what was read."""
        feed.pending, feed.already_counted = list(self.tokens.system(chat)), 0
        self._append(feed, chat.visible())
        if not chat.messages[-1].observed:
            feed.surprise_span = range(0)
        span = feed.surprise_span
        kept = self._cut(chat, feed.pending[: max(span.start - 1, 0)] if span else feed.pending[:-1])
        feed.pending = feed.pending[kept:]
        feed.surprise_span = range(span.start - kept, span.stop - kept) if span else range(0)

    def _turn_over(self, chat: Chat, feed: Feed) -> int:
        """Drop the oldest steps until the rest fills at most half of the window."""
        fixed = len(self.tokens.system(chat))
        visible = chat.visible()
        sizes = [len(self.tokens.message(message)[0]) for message in visible]
        first = self.window.first(fixed, sizes, visible)
        newest = sum(sizes[first:])
        if fixed + newest > self.window.room:
            raise ObservationTooLongError(
                f"the system message ({fixed} tokens) and the newest message ({newest} tokens) do not fit "
                f"into the window ({self.window.seq_len} tokens less {self.window.max_call_tokens} for the "
                "call): raise model.seq_len, or make the observation shorter"
            )
        dropped = chat.drop_to(chat.start + first)
        self._restart(chat, feed)
        return dropped
