"""Experts for question answering: they store what they are told in a memory, and answer questions from it."""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from tools import ToolCall
from tools import names as tool_names

UNKNOWN, DISPUTED = "unknown", "disputed"
MAX_CUE = 60


class Meaning(Protocol):
    """The meaning of one sentence, as an environment parses it."""

    kind: str
    slots: Any


Understand = Callable[[str], Sequence[Meaning]]

T = TypeVar("T")
Calls = Generator[ToolCall, None, T]
"""A generator that yields calls and returns a result at its end."""


def offered(turn: Turn) -> set[str]:
    """Return the names of the tools that can be called."""
    return {spec.name for spec in turn.offer}


def observations(chat: Chat) -> list[str]:
    """Return the environment's texts that are still in the window."""
    return [message.content for message in chat.visible() if message.observed]


def can_ask(turn: Turn, tool: str, argument: str, value: str) -> bool:
    """Return whether a tool is offered and takes a value: one that exists, or any if too many exist to be listed."""
    for spec in turn.offer:
        if spec.name == tool:
            schema = spec.parameters["properties"][argument]
            return "enum" not in schema or any(same_name(value, known_name) for known_name in schema["enum"])
    return False


def answer(text: str) -> ToolCall:
    """Return the call that gives an answer."""
    return ToolCall(name=tool_names.ANSWER, arguments={"text": text})


def ask_graph(entity: str) -> ToolCall:
    """Return the call that asks the graph about an entity."""
    return ToolCall(name=tool_names.ASK_GRAPH, arguments={"entity": entity})


def recall(cue: str) -> ToolCall:
    """Return the call that searches the episodic memory."""
    return ToolCall(name=tool_names.RECALL, arguments={"cue": cue[:MAX_CUE]})


def same_name(one: str, other: str) -> bool:
    """Return whether the graph treats two names as one; it ignores case, but shows names as they were told."""
    return one.lower() == other.lower()


def facts_in(text: str, relation: str) -> list[tuple[str, str]]:
    """Return head and tail of each fact of one relation in an answer of ``ask_graph``."""
    words = f" {relation} "
    pairs = (fact.split(words, 1) for fact in text.split("; ") if words in fact)
    return [(head, tail) for head, tail in pairs]


class Play:
    """Base of experts that make the calls of an episode, one after another, with a generator.

    There is one generator for each episode. Between two calls it reads the result of the first from the chat.

    Args:
        understand: Parses the environment's sentences into meanings.
    """

    def __init__(self, understand: Understand) -> None:
        self.understand = understand
        self._plays: dict[Chat, Iterator[ToolCall]] = {}
        self.turn: Turn

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn."""
        self.turn = turn
        if turn.chat not in self._plays:
            self._plays[turn.chat] = self.play(turn.chat)
        call = next(self._plays[turn.chat], None)
        if call is None:
            raise ModelError("the expert has done all that it knows, and the episode goes on")
        return call

    def forget(self, chat: Chat) -> None:
        """Drop the generator of an episode that has ended."""
        self._plays.pop(chat, None)

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Yield the calls of one episode; ``chat``'s last message is the result of the call before."""
        raise NotImplementedError


class EventReader(Play):
    """Expert that listens to events, which the write gate keeps, and recalls the one that a question is about."""

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Listen while something is told; recall and answer when a question is asked."""
        while tool_names.ANSWER not in offered(self.turn):
            yield ToolCall(name="next")
        question = self.understand(chat.mission)[0]
        reply = ""
        cues = (" ".join(question.slots.values()), chat.mission.removeprefix("answer: "))
        for cue in cues if tool_names.RECALL in offered(self.turn) else ():
            yield recall(cue)
            reply = self._matching(chat.messages[-1].content, question)
            if reply:
                break
        yield answer(reply or UNKNOWN)

    def _matching(self, recalled: str, question: Meaning) -> str:
        for line in recalled.split("\n"):
            for event in self.understand(re.sub(r"^\[[^\]]*\] | \(without: [^)]*\)$", "", line)):
                if question.slots.items() <= event.slots.items():
                    return str(event.slots.get(question.kind, ""))
        return ""


class FactReader(Play):
    """Expert that tells the graph every fact that it hears, and follows a chain of facts to answer a question."""

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Tell the graph what is heard while something is told; ask the graph and answer when a question is asked."""
        while tool_names.ANSWER not in offered(self.turn):
            for fact in self.understand(chat.messages[-1].content) if tool_names.TELL in offered(self.turn) else ():
                slots = fact.slots
                yield ToolCall(
                    name=tool_names.TELL,
                    arguments={"head": slots["subject"], "relation": slots["relation"], "tail": slots["value"]},
                )
            yield ToolCall(name="next")
        question = self.understand(chat.mission)[0]
        subject = question.slots["subject"]
        for relation in question.slots["chain"].split(" > "):
            if not can_ask(self.turn, tool_names.ASK_GRAPH, "entity", subject):
                subject = UNKNOWN
                break
            yield ask_graph(subject)
            tails = [tail for head, tail in facts_in(chat.messages[-1].content, relation) if same_name(head, subject)]
            subject = UNKNOWN if not tails else tails[0] if len(tails) == 1 else DISPUTED
        yield answer(subject)


class DocumentReader(Play):
    """Expert that answers correctly if the words of a right answer were recalled.

    This is what a perfect reader could do with the memory.

    Args:
        answers: Returns the right answers.
    """

    def __init__(self, answers: Callable[[], Sequence[str]]) -> None:
        super().__init__(lambda _text: ())
        self._answers = answers

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Listen while something is told; recall with the start and the end of the question, and answer."""
        while tool_names.ANSWER not in offered(self.turn):
            yield ToolCall(name="next")
        words = chat.mission.removeprefix("answer: ")
        cues = deque(dict.fromkeys((words[:MAX_CUE], words[-MAX_CUE:])))
        recalled = ""
        while cues and tool_names.RECALL in offered(self.turn):
            yield recall(cues.popleft())
            recalled = f"{recalled} {chat.messages[-1].content}".lower()
        right_answers = [right for right in self._answers() if right.lower() in recalled]
        yield answer(right_answers[0] if right_answers else UNKNOWN)
