"""Conversations as token sequences, cut into the windows that the model will see when it plays."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.chat import Message
from agent.memory_writer import KNOWN, STRANGE
from agent.models.tokens import ChatTokens
from agent.models.window import Window
from training.conversations import Conversation
from training.datasets import EmptyMaskError
from training.errors import RowTooLongError

IGNORED = -100
"""Label of a token that the loss leaves out."""

Encoded = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True)
class Example:
    """One window of a conversation.

    Attributes:
        input_ids: Tokens, at most as many as fit into the model's window.
        labels: The token itself where the model is to produce it, else ``IGNORED``. Each answer has labels in one
            window only: the window in which the model gave it.
    """

    input_ids: list[int]
    labels: list[int]


class Encoder:
    """A converter of conversations into windows, for one tokenizer and one window size.

    Args:
        tokens: The tokenizer's chat template.
        window: The window that the model plays with.
        without: Names of tools that are removed from the conversations, with their results and with the memory's notes,
            to make data for a model that plays without them.
    """

    def __init__(self, tokens: ChatTokens, window: Window, without: Collection[str] = ()) -> None:
        self.tokens = tokens
        self.window = window
        self.without = set(without)
        self._cache: dict[Message, Encoded] = {}

    def windows(self, conversation: Conversation) -> Iterator[Example]:
        """Yield the windows of one conversation in order.

        Raises:
            RowTooLongError: The system message and the newest message together do not fit into the window.
            EmptyMaskError: The conversation has no answer to learn.
        """
        tools = [spec for spec in conversation.tools if spec.name not in self.without]
        system = self.tokens.opening(conversation.system, tools) if conversation.system or tools else []
        messages, taught = self._kept(conversation)
        encoded = [self._encoded(message) for message in messages]
        sizes = [len(ids) for ids, _ in encoded]
        first, learnt = 0, 0
        held = len(system)
        for index, message in enumerate(messages):
            room = min(self.window.room, self.window.seq_len - sizes[index])
            if message.role == "assistant" and held > room:
                if (stop := _last_taught(taught, index)) > learnt:
                    yield self._example(system, encoded, taught, (first, learnt, stop))
                first += self.window.first(len(system), sizes[first:index], messages[first:index])
                held, learnt = len(system) + sum(sizes[first:index]), index
                if held > room:
                    raise RowTooLongError(
                        f"{conversation.name}: the system message ({len(system)} tokens) and the newest message "
                        f"({held - len(system)}) do not fit into {max(0, room)} tokens: raise model.seq_len, or offer "
                        "fewer tools"
                    )
            held += sizes[index]
        if not any(taught):
            raise EmptyMaskError(f"{conversation.name} has no answer that could be learnt")
        if (stop := _last_taught(taught, len(messages))) > learnt:
            yield self._example(system, encoded, taught, (first, learnt, stop))

    def learns(self, conversation: Conversation) -> bool:
        """Return whether a conversation has an answer to learn that is no call of a tool that is removed."""
        return any(
            taught and (message.call is None or message.call.name not in self.without)
            for message, taught in zip(conversation.messages, conversation.taught, strict=True)
        )

    def _example(
        self, system: list[int], encoded: Sequence[Encoded], taught: Sequence[bool], span: tuple[int, int, int]
    ) -> Example:
        """Make the window of a span of messages: its first, the first with labels, and the one after its last."""
        first, learnt, stop = span
        ids, labels = list(system), [IGNORED] * len(system)
        for index in range(first, stop):
            tokens, mask = encoded[index]
            ids += tokens
            on = index >= learnt and taught[index]
            labels += [token if on and one else IGNORED for token, one in zip(tokens, mask, strict=True)]
        if all(label == IGNORED for label in labels):
            raise EmptyMaskError(
                "the loss mask is empty: use a chat template with {% generation %} marks and an episode with calls"
            )
        return Example(ids, labels)

    def _encoded(self, message: Message) -> Encoded:
        encoded = self._cache.get(key := replace(message, call=None))
        if encoded is None:
            if message.role == "assistant":
                encoded = self.tokens.learnt(message)
            else:
                ids = self.tokens.message(message)[0]
                encoded = ids, [0] * len(ids)
            if len(self._cache) > 1 << 14:
                self._cache.clear()
            self._cache[key] = encoded
        return encoded

    def _kept(self, conversation: Conversation) -> tuple[list[Message], list[bool]]:
        """Return the messages as they would be without the removed tools, and which of them are learnt."""
        if not self.without:
            return list(conversation.messages), list(conversation.taught)
        kept: list[Message] = []
        learnt: list[bool] = []
        dropping = False
        for message, taught in zip(conversation.messages, conversation.taught, strict=True):
            if message.role == "assistant":
                dropping = message.call is not None and message.call.name in self.without
            if message.role != "assistant" and message.observed:
                dropping = False
                kept.append(replace(message, content=_bare(message.content)))
                learnt.append(False)
            elif not dropping:
                kept.append(message)
                learnt.append(taught)
        return kept, learnt


def _last_taught(taught: Sequence[bool], stop: int) -> int:
    """Return the index after the last answer before ``stop`` that is learnt; 0 if there is none."""
    return max((index + 1 for index in range(stop) if taught[index]), default=0)


def _bare(text: str) -> str:
    for note in (KNOWN, STRANGE):
        text = text.removeprefix(f"{note}\n")
    return text
