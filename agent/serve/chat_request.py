"""Requests in the form of OpenAI's chat API: what they ask, and what it means for an episode."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.chat import Message
from agent.errors import AgentError
from memory.clean import clean_text
from tools import Tool, ToolCall, ToolError, ToolResult
from tools.actions import answer_action
from tools.names import ANSWER
from tools.tool import plain_name

LISTEN = "listen, and keep in mind what you are told"
ASKED = "Answer in a few words. Say unknown if you were never told."
NEXT = "next"
"""Action of an agent that has nothing to say."""

MAX_MISSION = 2000
MAX_ANSWER = 2000
MAX_TOOLS = 128
MAX_MESSAGES = 1000

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


def results_of(messages: Sequence[ChatMessage]) -> dict[str, str]:
    """Return the results at the end of the messages by the ids of their calls."""
    results: dict[str, str] = {}
    for message in reversed(messages):
        if message.role != "tool":
            break
        results[message.tool_call_id or ""] = message.words()
    return dict(reversed(results.items()))


def acts(request: ChatRequest) -> bool:
    """Return whether the client has tools that may be called."""
    return bool(request.tools) and request.tool_choice != "none"


def actions_of(request: ChatRequest) -> list[Tool]:
    """Return the client's tools and the answer as actions; which may be chosen now, :func:`_allowed` says."""
    made = [_action(tool) for tool in request.tools or ()]
    return made if ANSWER in {tool.name for tool in made} else [*made, answer_action(limit=MAX_ANSWER)]


def allowed_in(request: ChatRequest) -> list[str]:
    """Return the names of the actions that a request lets the agent choose.

    Raises:
        RequestError: A tool is none, or the choice names one that there is not.
    """
    names = [_function(tool)["name"] for tool in request.tools or ()]
    choice = request.tool_choice
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or name not in names:
            raise RequestError(f"tool_choice: there is no tool {name!r}")
        return [plain_name(name)]
    if choice == "required" and not names:
        raise RequestError("tool_choice: a call is required, but there are no tools")
    if choice == "none" or not names:
        return [ANSWER, NEXT]
    made = [plain_name(name) for name in names]
    return made if choice == "required" else [*made, ANSWER]


def _function(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the function of a client's tool, which has a name.

    Raises:
        RequestError: It has none.
    """
    function = given.get("function")
    if given.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise RequestError(f"tools: expected type function, got {json.dumps(given)[:200]}")
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise RequestError("tools: a function has no name")
    return function


def _action(given: Mapping[str, Any]) -> Tool:
    function = _function(given)
    name: str = function["name"]

    def call(arguments: dict[str, Any]) -> ToolResult:
        return ToolResult.act(ToolCall(name=name, arguments=arguments))

    schema = function.get("parameters") or {"type": "object", "properties": {}}
    try:
        return Tool.from_schema(name, str(function.get("description") or name), schema, call)
    except ToolError as error:
        raise RequestError(f"tools: {error}") from error


def system_of(request: ChatRequest) -> str:
    """Return the words of the system messages."""
    return "\n".join(m.words() for m in request.messages if m.role in ("system", "developer")).strip()


def posed(request: ChatRequest, acting: bool) -> tuple[str, str, list[Message]]:
    """Return the mission, the first observation and the earlier messages of an episode."""
    system = system_of(request)
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
