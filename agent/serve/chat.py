"""Chats with an agent: messages in OpenAI's form become episodes, the client's tools their actions."""

import hashlib
import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.chat import Message
from agent.errors import AgentError, ConfigError, EpisodeEndedError, ServerError
from agent.logs.events import Decided, Event, Returned, Wrote
from agent.logs.log import EventLog
from agent.loop import Agent
from memory import Memory
from memory.clean import clean_text
from memory.episodic.gate import SHUT
from tools import Tool, Toolbox, ToolCall, ToolError, ToolResult
from tools.actions import answer_action, named_action
from tools.names import ANSWER

LISTEN = "listen, and keep in mind what you are told"
ASKED = "Answer in a few words. Say unknown if you were never told."
NOTED, HEARD = "Noted.", "Heard."
"""Answers to what is no question, where the model has nothing to say: it was remembered, or not."""

NEXT = "next"
"""Action of an agent that has nothing to say."""

MAX_MISSION = 2000
MAX_ANSWER = 2000
MAX_TOOLS = 128
MAX_MESSAGES = 1000

MOST_WAITING = 16
"""Most episodes that wait for a client to run its tool; of more, the oldest ends."""

QUESTION = re.compile("[?\uff1f\u061f\u037e]")
"""Marks of questions: Latin, Chinese and Japanese, Arabic, Greek."""

QUOTED = re.compile(r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb|\u300c[^\u300d]*\u300d")
"""What somebody else said: a question in it is not asked here."""


class RequestError(AgentError, ValueError):
    """A request of a client can't be answered; the message says what was expected."""


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ChatMessage(_Loose):
    """A message of a request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    def words(self) -> str:
        """Return the text of the content.

        Raises:
            RequestError: A part is no text.
        """
        if self.content is None or isinstance(self.content, str):
            return clean_text(self.content or "")
        parts = [part for part in self.content if part.get("type") != "refusal"]
        if odd := [part.get("type") for part in parts if not isinstance(part.get("text"), str)]:
            raise RequestError(f"content of type {odd[0]!r} can't be read: this model reads text only")
        return clean_text("".join(part["text"] for part in parts))


class ChatRequest(_Loose):
    """The body of a request to ``/v1/chat/completions``; what is not named here is ignored."""

    model: str = ""
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    tools: list[dict[str, Any]] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int | None = Field(None, ge=1, le=1)
    user: str | None = Field(None, max_length=200)

    @classmethod
    def read(cls, body: Any) -> "ChatRequest":
        """Read the decoded body of a request.

        Raises:
            RequestError: It is none.
        """
        try:
            request = cls.model_validate(body)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "the body"
            raise RequestError(f"{place}: {problem['msg'][:1].lower()}{problem['msg'][1:]}") from error
        if request.response_format and request.response_format.get("type", "text") != "text":
            raise RequestError("response_format: an agent answers in words: leave it out")
        if request.messages[-1].role not in ("user", "tool"):
            raise RequestError(f"messages end with role {request.messages[-1].role!r}: expected user or tool")
        return request


@dataclass
class Reply:
    """What a client is answered.

    Attributes:
        content: The answer; ``None`` if the client is to run its tool.
        call: The call of the client's tool.
        call_id: Its id.
        finish: Why the answer ends, in OpenAI's words.
        memory_calls: What the agent called in between: name, arguments, status.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
    """

    content: str | None = None
    call: ToolCall | None = None
    call_id: str = ""
    finish: Literal["stop", "tool_calls", "length"] = "stop"
    memory_calls: list[dict[str, Any]] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0


MakeAgent = Callable[[Memory, str], Agent]
OpenMemory = Callable[[], Memory]


@dataclass
class _Turn:
    """An agent under way, with the memory that it has to itself."""

    agent: Agent
    memory: Memory
    reply: Reply
    log: EventLog | None
    wrote: bool = False
    hear: Callable[[str], None] | None = None

    def emit(self, event: Event) -> None:
        if self.log is not None:
            self.log.write(event)
        self.wrote |= isinstance(event, Wrote)
        if isinstance(event, Decided):
            self.reply.prompt_tokens += event.prefill_tokens
            self.reply.completion_tokens += event.decode_tokens + event.forced_tokens
            if event.name is not None:
                made = {"name": event.name, "arguments": event.arguments, "status": ""}
                self.reply.memory_calls.append(made)
                if self.hear is not None:
                    self.hear(event.name)
        elif isinstance(event, Returned) and self.reply.memory_calls:
            last = self.reply.memory_calls[-1]
            last["status"] = last["status"] or (event.status if event.name == last["name"] else "")


class ChatService:
    """An agent that many clients talk to, one decision at a time.

    Every turn is an episode. A question begins one with the mission to answer it; what is no question is listened to,
    and remembered where the write gate opens. With tools of the client, the system message is the mission, the user's
    words are the first observation, the tools are the actions, and their results what is observed next.

    Args:
        make_agent: Makes an agent with a memory and a name.
        open_memory: Opens the memory; each episode under way has an opened one of its own.
        logs: Folder for the logs of episodes, if they are kept.
    """

    def __init__(self, make_agent: MakeAgent, open_memory: OpenMemory, logs: Path | None = None) -> None:
        self._make_agent = make_agent
        self._open_memory = open_memory
        self._logs = logs
        self._idle: list[Memory] = []
        self._waiting: OrderedDict[str, _Turn] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False

    def answer(self, request: ChatRequest, session: str = "", hear: Callable[[str], None] | None = None) -> Reply:
        """Answer one request.

        Args:
            request: The request.
            session: Who talks: becomes part of the provenance of what is remembered.
            hear: Told the name of each tool that the agent calls.

        Raises:
            RequestError: The request can't be answered.
            ServerError: The agent's model is on a server, and that failed.
        """
        with self._lock:
            if self._closed:
                raise ServerError("the server is ending")
            turn, observation = self._resumed(request) or self._begun(request, session)
            turn.hear = hear
            kept = False
            try:
                kept = self._decide(turn, observation, _allowed(request))
            finally:
                if not kept:
                    self._end(turn)
            return turn.reply

    def close(self, seconds: float = 5.0) -> bool:
        """End the episodes that wait, and close the memory.

        Args:
            seconds: How long the answer under way is waited for.

        Returns:
            Whether it ended in time; else the memory is left open, and what was written is on disk.
        """
        self._closed = True
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            while self._waiting:
                self._end(self._waiting.popitem()[1])
            while self._idle:
                self._idle.pop().close()
        finally:
            self._lock.release()
        return True

    def check(self, request: ChatRequest) -> None:
        """Refuse a request that can't be answered, before an answer begins.

        Raises:
            RequestError: It can't.
        """
        try:
            Toolbox(_actions(request))
        except ToolError as error:
            raise RequestError(f"tools: {error}") from error
        _posed(request, _acts(request))

    def _resumed(self, request: ChatRequest) -> tuple[_Turn, str] | None:
        """Return the episode that waits for the results in a request, and what is observed."""
        results = _results(request.messages)
        key = next((key for key in results if key in self._waiting), None)
        if key is None:
            return None
        turn = self._waiting.pop(key)
        turn.reply = Reply()
        return turn, results[key]

    def _begun(self, request: ChatRequest, session: str) -> tuple[_Turn, str]:
        """Begin an episode."""
        actions = _actions(request)
        acting = _acts(request)
        mission, observation, earlier = _posed(request, acting)
        if not acting:
            actions = [named_action(NEXT, "", "hear what comes next"), *actions]
        memory = self._idle.pop() if self._idle else self._open_memory()
        with ExitStack() as stack:
            stack.callback(self._idle.append, memory)
            session = " ".join("".join(one if one.isprintable() else " " for one in clean_text(session)).split())
            label = session or hashlib.sha256(request.messages[0].words().encode()).hexdigest()[:8]
            self._count += 1
            agent = self._make_agent(memory, f"chat {label} {datetime.now().astimezone():%Y-%m-%d}")
            if observation in (ASKED, _system(request)) and not acting:
                agent.gate = SHUT  # what is asked is not remembered as if it had happened
            log = None
            if self._logs is not None:
                log = stack.enter_context(EventLog(self._logs / f"{self._count:06}" / "events.jsonl"))
            turn = _Turn(agent, memory, Reply(), log)
            try:
                seed, place = abs(request.seed or 0), f"chat:{label}"
                agent.reset(mission, actions, seed, place, turn.emit, earlier, place, mapped=False)
            except (ToolError, ConfigError) as error:
                raise RequestError(f"tools: {error}") from error
            stack.pop_all()
        return turn, observation

    def _decide(self, turn: _Turn, observation: str, allowed: Sequence[str]) -> bool:
        """Let the agent decide; return whether its episode goes on with the client's next request.

        Args:
            turn: The agent.
            observation: What is observed.
            allowed: Names of the actions that may be chosen.
        """
        try:
            action = turn.agent.act(observation, info={"available_actions": allowed})
        except EpisodeEndedError as error:  # it went round in circles, or had no more decisions
            if error.ending not in ("looping", "out_of_steps"):
                raise
            turn.reply.content, turn.reply.finish = f"(no answer: {error.reason})", "length"
            return False
        if turn.reply.memory_calls:
            turn.reply.memory_calls.pop()  # the action itself, unless a macro chose it
        if isinstance(action, str):
            turn.reply.content = action or (NOTED if turn.wrote else HEARD)
            return False
        turn.reply.call, turn.reply.finish = action, "tool_calls"
        turn.reply.call_id = f"call_{secrets.token_hex(12)}"
        self._waiting[turn.reply.call_id] = turn
        while len(self._waiting) > MOST_WAITING:
            self._end(self._waiting.popitem(last=False)[1])
        return True

    def _end(self, turn: _Turn) -> None:
        try:
            turn.agent.close()
        finally:
            if turn.log is not None:
                turn.log.__exit__(None, None, None)
            self._idle.append(turn.memory)


def _results(messages: Sequence[ChatMessage]) -> dict[str, str]:
    """Return the results at the end of the messages by the ids of their calls."""
    results: dict[str, str] = {}
    for message in reversed(messages):
        if message.role != "tool":
            break
        results[message.tool_call_id or ""] = message.words()
    return dict(reversed(results.items()))


def _acts(request: ChatRequest) -> bool:
    """Return whether the client has tools that may be called."""
    return bool(request.tools) and request.tool_choice != "none"


def _actions(request: ChatRequest) -> list[Tool]:
    """Return the client's tools and the answer as actions; which may be chosen now, :func:`_allowed` says."""
    return [*(_action(tool) for tool in request.tools or ()), answer_action(limit=MAX_ANSWER)]


def _allowed(request: ChatRequest) -> list[str]:
    """Return the names of the actions that a request lets the agent choose.

    Raises:
        RequestError: A tool is none, or the choice names one that there is not.
    """
    made = [_action(tool) for tool in request.tools or ()]
    choice = request.tool_choice
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        made = [tool for tool in made if (tool.original or tool.name) == name]
        if not made:
            raise RequestError(f"tool_choice: there is no tool {name!r}")
        return [tool.name for tool in made]
    if choice == "required":
        if not made:
            raise RequestError("tool_choice: a call is required, but there are no tools")
        return [tool.name for tool in made]
    if choice == "none" or not made:
        return [ANSWER, NEXT]
    return [*(tool.name for tool in made), ANSWER]


def _action(given: Mapping[str, Any]) -> Tool:
    function = given.get("function")
    if given.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise RequestError(f"tools: expected type function, got {json.dumps(given)[:200]}")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError("tools: a function has no name")

    def call(arguments: dict[str, Any]) -> ToolResult:
        return ToolResult.act(ToolCall(name=name, arguments=arguments))

    schema = function.get("parameters") or {"type": "object", "properties": {}}
    try:
        return Tool.from_schema(name, str(function.get("description") or name), schema, call)
    except ToolError as error:
        raise RequestError(f"tools: {error}") from error


def _system(request: ChatRequest) -> str:
    return "\n".join(m.words() for m in request.messages if m.role in ("system", "developer")).strip()


def _posed(request: ChatRequest, acting: bool) -> tuple[str, str, list[Message]]:
    """Return the mission, the first observation and the earlier messages of an episode."""
    system = _system(request)
    spoken = [message for message in request.messages if message.role not in ("system", "developer")]
    words = spoken[-1].words().strip()
    earlier = [message for one in spoken[:-1] for message in _earlier(one)]
    if acting:
        asked = next((m.words() for m in reversed(spoken) if m.role == "user"), words)
        return (system or asked)[-MAX_MISSION:], words, earlier
    if QUESTION.search(QUOTED.sub("", words)):
        if len(words) > MAX_MISSION:
            raise RequestError(f"a question has at most {MAX_MISSION:,} characters, got {len(words):,}")
        return f"answer: {words}", system or ASKED, earlier
    return system[-MAX_MISSION:] or LISTEN, words, earlier


def _earlier(message: ChatMessage) -> list[Message]:
    """Return a message of a client as the agent's own conversation has it."""
    words = message.words()
    if message.role != "assistant":
        return [Message("user", words)] if words else []
    calls = [_call(one) for one in message.tool_calls or ()] or [ToolCall(name=ANSWER, arguments={"text": words})]
    return [Message("assistant", call.text(), call) for call in calls]


def _call(given: Mapping[str, Any]) -> ToolCall:
    function = given.get("function")
    try:
        if not isinstance(function, Mapping):
            raise TypeError("it has no function")
        return ToolCall(name=function.get("name", ""), arguments=json.loads(function.get("arguments") or "{}"))
    except (ValueError, TypeError) as error:
        raise RequestError(f"messages: a tool call of the assistant is none: {json.dumps(given)[:200]}") from error
