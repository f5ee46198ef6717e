"""Logged episodes as token sequences, cut into the windows that the model will see when it plays."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.chat import Chat, Message
from agent.logs.events import Decided, Event, Start
from agent.memory_writer import KNOWN, STRANGE
from agent.models.tokens import ChatTokens
from agent.models.window import Window
from agent.shown import MAX_RESULT
from tools import ToolSpec
from training.datasets import EmptyMaskError, transcript
from training.errors import RowTooLongError

IGNORED = -100
"""Label of a token that the loss leaves out."""

Encoded = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True)
class Example:
    """One window of an episode.

    Attributes:
        input_ids: Tokens, at most as many as fit into the model's window.
        labels: The token itself where the model is to produce it, else ``IGNORED``. Each decision of an episode has
            labels in one window only: the window in which the model took it.
    """

    input_ids: list[int]
    labels: list[int]


class Encoder:
    """A converter of episodes into windows, for one tokenizer and one window size.

    Args:
        tokens: The tokenizer's chat template.
        window: The window that the model plays with.
        without: Names of tools that are removed from the episodes, with their results and with the memory's notes, to
            make data for a model that plays without them.
    """

    def __init__(self, tokens: ChatTokens, window: Window, without: Collection[str] = ()) -> None:
        self.tokens = tokens
        self.window = window
        self.without = set(without)
        self._cache: dict[Message, Encoded] = {}

    def windows(self, events: Sequence[Event], max_result: int = MAX_RESULT) -> Iterator[Example]:
        """Yield the windows of one episode in order.

        Args:
            events: Events of the episode.
            max_result: Greatest length of a tool result in characters, as in the agent's settings.

        Raises:
            RowTooLongError: The system message and the newest message together do not fit into the window.
            EmptyMaskError: The episode has no call to learn.
        """
        start = next(event for event in events if isinstance(event, Start))
        system = self._system(start)
        messages = transcript(events, max_result)
        messages = self._without(messages) if self.without else messages
        encoded = [self._encoded(message) for message in messages]
        sizes = [len(ids) for ids, _ in encoded]
        first, learnt, count = 0, 0, 0
        held = len(system)
        for index, message in enumerate(messages):
            if message.role == "assistant":
                if held > self.window.room:
                    if (stop := _last_call(messages, index)) > learnt:
                        yield self._example(system, encoded, first, learnt, stop)
                    first += self.window.first(len(system), sizes[first:index], messages[first:index])
                    held, learnt = len(system) + sum(sizes[first:index]), index
                    if held > self.window.room:
                        raise RowTooLongError(
                            f"episode {start.episode} of {start.env}: the system message ({len(system)} tokens) and "
                            f"the newest message ({held - len(system)}) do not fit into {self.window.room} tokens: "
                            "raise model.seq_len, or offer fewer tools"
                        )
                count += 1
            held += sizes[index]
        if not count:
            raise EmptyMaskError(f"episode {start.episode} of {start.env} has no call that could be learnt")
        if (stop := _last_call(messages, len(messages))) > learnt:
            yield self._example(system, encoded, first, learnt, stop)

    def learns(self, events: Sequence[Event]) -> bool:
        """Return whether an episode has a call of a tool that is not removed."""
        return any(isinstance(event, Decided) and event.name not in self.without for event in events)

    def _example(self, system: list[int], encoded: Sequence[Encoded], first: int, learnt: int, stop: int) -> Example:
        """Make the window of the messages from ``first`` to before ``stop``; those before ``learnt`` get no labels."""
        ids, labels = list(system), [IGNORED] * len(system)
        for index in range(first, stop):
            tokens, mask = encoded[index]
            ids += tokens
            known = index < learnt
            labels += [IGNORED if known or not on else token for token, on in zip(tokens, mask, strict=True)]
        if all(label == IGNORED for label in labels):
            raise EmptyMaskError(
                "the loss mask is empty: use a chat template with {% generation %} marks and an episode with calls"
            )
        return Example(ids, labels)

    def _system(self, start: Start) -> list[int]:
        specs = [_spec(tool) for tool in start.tools if tool["function"]["name"] not in self.without]
        return self.tokens.system(Chat(start.mission, specs))

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

    def _without(self, messages: Sequence[Message]) -> list[Message]:
        """Return the conversation as it would be without the removed tools."""
        kept: list[Message] = []
        dropping = False
        for message in messages:
            if message.role == "assistant":
                dropping = message.call is not None and message.call.name in self.without
            if message.role != "assistant" and message.observed:
                dropping = False
                kept.append(replace(message, content=_bare(message.content)))
            elif not dropping:
                kept.append(message)
        return kept


def _last_call(messages: Sequence[Message], stop: int) -> int:
    """Return the index after the last answer of the model before ``stop``; 0 if there is none."""
    return max((index + 1 for index in range(stop) if messages[index].role == "assistant"), default=0)


def _bare(text: str) -> str:
    for note in (KNOWN, STRANGE):
        text = text.removeprefix(f"{note}\n")
    return text


def _spec(tool: dict[str, Any]) -> ToolSpec:
    function = tool["function"]
    return ToolSpec(function["name"], function["description"], json.loads(json.dumps(function["parameters"])))
