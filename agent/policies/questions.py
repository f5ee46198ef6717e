"""Experts of question answering: what is told goes into a memory, what is asked comes out of it."""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from tools import ToolCall

UNKNOWN, DISPUTED = "unknown", "disputed"
MAX_CUE = 60


class Meaning(Protocol):
    """What a sentence says, as environments tell it."""

    kind: str
    slots: Any


Understand = Callable[[str], Sequence[Meaning]]

T = TypeVar("T")
Calls = Generator[ToolCall, None, T]
"""Some calls, and what came of them at last."""


def offered(turn: Turn) -> set[str]:
    """Names of the tools that can be called."""
    return {spec.name for spec in turn.offer}


def observations(chat: Chat) -> list[str]:
    """What the world has said so far, as far as it can still be read."""
    return [message.content for message in chat.visible() if message.observed]


def can_ask(turn: Turn, tool: str, argument: str, value: str) -> bool:
    """Whether a tool is offered and takes a value: one that exists, or any where too many do."""
    for spec in turn.offer:
        if spec.name == tool:
            schema = spec.parameters["properties"][argument]
            return "enum" not in schema or any(same_name(value, one) for one in schema["enum"])
    return False


def answer(text: str) -> ToolCall:
    """The call that answers."""
    return ToolCall(name="answer", arguments={"text": text})


def ask_graph(entity: str) -> ToolCall:
    """The call that asks the graph."""
    return ToolCall(name="ask_graph", arguments={"entity": entity})


def recall(cue: str) -> ToolCall:
    """The call that searches what happened."""
    return ToolCall(name="recall", arguments={"cue": cue[:MAX_CUE]})


def same_name(one: str, other: str) -> bool:
    """Whether two names are one to the graph, which shows them as they were told."""
    return one.lower() == other.lower()


def facts_in(text: str, relation: str) -> list[tuple[str, str]]:
    """Heads and tails of the facts of one relation that ``ask_graph`` told."""
    words = f" {relation} "
    pairs = (fact.split(words, 1) for fact in text.split("; ") if words in fact)
    return [(head, tail) for head, tail in pairs]


class Play:
    """Does one thing after the other: a generator for each episode that yields calls and is sent what came of them.

    Args:
        understand: Reads the environment's sentences.
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
        """Let go of an episode that has ended."""
        self._plays.pop(chat, None)

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """The calls of one episode; ``chat``'s last message is what came of the call before."""
        raise NotImplementedError


class EventReader(Play):
    """Hears events, which the write gate keeps, and recalls the one that a question is about."""

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Hear on while something is told; recall and answer when asked."""
        while "answer" not in offered(self.turn):
            yield ToolCall(name="next")
        question = self.understand(chat.mission)[0]
        found = ""
        cues = (" ".join(question.slots.values()), chat.mission.removeprefix("answer: "))
        for cue in cues if "recall" in offered(self.turn) else ():
            yield recall(cue)
            found = self._matching(chat.messages[-1].content, question)
            if found:
                break
        yield answer(found or UNKNOWN)

    def _matching(self, recalled: str, question: Meaning) -> str:
        for line in recalled.split("\n"):
            for event in self.understand(re.sub(r"^\[[^\]]*\] | \(without: [^)]*\)$", "", line)):
                if question.slots.items() <= event.slots.items():
                    return str(event.slots.get(question.kind, ""))
        return ""


class FactReader(Play):
    """Tells the graph every fact that it hears, and follows a chain of facts when asked."""

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Tell and hear on while something is told; ask the graph and answer when asked."""
        while "answer" not in offered(self.turn):
            for fact in self.understand(chat.messages[-1].content) if "tell" in offered(self.turn) else ():
                slots = fact.slots
                yield ToolCall(
                    name="tell",
                    arguments={"head": slots["subject"], "relation": slots["relation"], "tail": slots["value"]},
                )
            yield ToolCall(name="next")
        question = self.understand(chat.mission)[0]
        subject = question.slots["subject"]
        for relation in question.slots["chain"].split(" > "):
            if not can_ask(self.turn, "ask_graph", "entity", subject):
                subject = UNKNOWN
                break
            yield ask_graph(subject)
            tails = [tail for head, tail in facts_in(chat.messages[-1].content, relation) if same_name(head, subject)]
            subject = UNKNOWN if not tails else tails[0] if len(tails) == 1 else DISPUTED
        yield answer(subject)


class DocumentReader(Play):
    """Answers rightly if the right answer's words were recalled: what a perfect reader could do with this memory.

    Args:
        answers: Gives the right answers.
    """

    def __init__(self, answers: Callable[[], Sequence[str]]) -> None:
        super().__init__(lambda _text: ())
        self._answers = answers

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Hear on while something is told; recall what the question and then what its parts bring up, and answer."""
        while "answer" not in offered(self.turn):
            yield ToolCall(name="next")
        words = chat.mission.removeprefix("answer: ")
        cues = deque(dict.fromkeys((words[:MAX_CUE], words[-MAX_CUE:])))
        said = ""
        while cues and "recall" in offered(self.turn):
            yield recall(cues.popleft())
            said = f"{said} {chat.messages[-1].content}".lower()
        found = [right for right in self._answers() if right.lower() in said]
        yield answer(found[0] if found else UNKNOWN)
