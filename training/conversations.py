"""Conversations to learn from: the log of an episode, or a row of a data set with ``messages`` and ``tools``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from agent.chat import Chat, Message
from agent.logs.events import Event, Start
from agent.shown import MAX_RESULT
from memory.clean import clean_data
from tools import ToolCall, ToolSpec
from training.datasets import transcript
from training.errors import TrainConfigError

ROLES = {
    "human": "user", "gpt": "assistant", "model": "assistant", "function_call": "assistant", "developer": "system",
    "function": "tool", "ipython": "tool", "observation": "tool",
}  # fmt: skip
"""Names that data sets use for the four roles."""

FORM = '{"messages":[{"role":"user","content":...},{"role":"assistant",...}],"tools":[...]}'


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation to learn from.

    Attributes:
        name: What it is called in errors.
        system: Words of the system message, without the tools.
        tools: The tools that are listed in it.
        messages: The messages after it. An answer has one call at most.
        taught: For each message, whether it is learnt; only answers are.
    """

    name: str
    system: str
    tools: tuple[ToolSpec, ...]
    messages: tuple[Message, ...]
    taught: tuple[bool, ...]

    def key(self) -> str:
        """Return a text that is the same for the same conversation."""
        turns = [[m.role, m.content, taught] for m, taught in zip(self.messages, self.taught, strict=True)]
        return json.dumps([self.system, [spec.openai() for spec in self.tools], turns])


def of_log(events: Sequence[Event], max_result: int = MAX_RESULT) -> Conversation:
    """Make a conversation from the events of one episode.

    Args:
        events: The events, with a start.
        max_result: Greatest length of a tool result in characters; used for logs that do not record what was shown.
    """
    start = next(event for event in events if isinstance(event, Start))
    messages = tuple(transcript(events, max_result))
    taught = tuple(message.role == "assistant" for message in messages)
    system = str(Chat(start.mission, ()).system()["content"])
    tools = tuple(map(spec_of, start.tools))
    return Conversation(f"episode {start.episode} of {start.env}", system, tools, messages, taught)


def of_row(row: Mapping[str, Any], name: str) -> Conversation:
    """Make a conversation from a row in TRL's conversational form.

    Of ``prompt`` and ``completion`` only the completion is learnt; of messages with a ``weight`` of 0, nothing. Several
    calls in one message become several answers, each followed by its own result; words beside a call are left out.

    Args:
        row: ``messages`` (or ``conversations``, or ``prompt`` and ``completion``) and ``tools``; others are ignored.
        name: What it is called in errors.

    Raises:
        TrainConfigError: The row has another form.
    """
    from trl import maybe_convert_to_chatml

    row = maybe_convert_to_chatml(_cleaned(row, name))
    first, second = row.get("prompt"), row.get("completion")
    split = isinstance(first, list) and isinstance(second, list)
    found = {"messages": [*first, *second]} if split else {"messages": row.get("messages")}  # type: ignore[misc]
    try:
        read = _Row.model_validate(found | {"tools": row.get("tools")})
    except RecursionError as error:
        raise TrainConfigError(f"{name}: it is nested too deeply") from error
    except ValidationError as error:
        one = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, one["loc"]))
        words = one["msg"].removeprefix("Value error, ")
        if place == "messages" and row.get("messages") is None:
            words = f"the row has {', '.join(row) or 'nothing'} instead"
        raise TrainConfigError(f"{name}: {place}: {words[:1].lower()}{words[1:]}; expected {FORM}") from error
    ours = isinstance(row.get("provenance"), Mapping)
    learnt = [not split or at >= len(first) for at in range(len(read.messages))]  # type: ignore[arg-type]
    has_system = read.messages[0].role == "system"
    beside = row.get("system")  # ShareGPT's place for it
    system = read.messages[0].content if has_system else beside if isinstance(beside, str) else ""
    turns = list(_turns(read.messages[has_system:], learnt[has_system:], ours))
    tools = tuple(tool.spec() for tool in read.tools)
    return Conversation(name, system, tools, tuple(turn for turn, _ in turns), tuple(taught for _, taught in turns))


def _cleaned(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Copy a row, which TRL's conversion changes in place, with all its texts clean."""
    try:
        copied = clean_data({str(key): value for key, value in row.items()})
    except RecursionError as error:
        raise TrainConfigError(f"{name}: it is nested too deeply") from error
    return cast(dict[str, Any], copied)


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} are no JSON: {text[:60]!r}") from error


class _Call(BaseModel):
    id: str | None = None
    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """Take the call out of its envelope, and its arguments out of their JSON string."""
        if isinstance(value, dict) and isinstance(value.get("function"), dict):
            value = {"id": value.get("id"), **value["function"]}
        if isinstance(value, dict) and isinstance(value.get("arguments"), str):
            value = value | {"arguments": _parsed(value["arguments"] or "{}", "arguments")}
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class _Message(BaseModel):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: list[_Call] = Field(default_factory=list, alias="tool_calls")
    name: str | None = None
    tool_call_id: str | None = None
    weight: float = 1.0

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = {key: item for key, item in value.items() if item is not None}
        if "function_call" in value and not value.get("tool_calls"):  # the older form
            value["tool_calls"] = [value["function_call"]]
        role = value.get("role")
        return value | {"role": ROLES.get(role, role) if isinstance(role, str) else role}

    @field_validator("content", mode="before")
    @classmethod
    def _text(cls, content: Any) -> Any:
        """Join the parts of a text; there is no model here for pictures."""
        if not isinstance(content, list):
            return content
        kinds = {str(part.get("type")) if isinstance(part, dict) else type(part).__name__ for part in content} - {
            "text"
        }
        if kinds:
            raise ValueError(
                f"only text can be learnt, and this has {', '.join(sorted(map(str, kinds)))}: leave the row out"
            )
        texts = [part.get("text") for part in content]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a part of type text has no text")
        return "".join(texts)


class _Tool(BaseModel):
    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("function"), dict):
            value = value["function"]
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value

    @field_validator("parameters")
    @classmethod
    def _named(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(parameters.get("properties", {}), dict):
            raise ValueError("properties are no JSON object")
        return parameters

    def spec(self) -> ToolSpec:
        """Return the tool as a model sees it; bare arguments get the schema of an object around them."""
        given = self.parameters
        bare = "properties" not in given and not isinstance(given.get("type"), str)
        return ToolSpec(self.name, self.description, {"type": "object", "properties": given} if bare else given)


def spec_of(tool: Any) -> ToolSpec:
    """Return a tool in OpenAI's form as a model sees it.

    Raises:
        ValueError: It is no tool.
    """
    return _Tool.model_validate(tool).spec()


def tool_specs(file: Path) -> Iterator[ToolSpec]:
    """Yield the tools of a JSON file in OpenAI's form.

    Raises:
        TrainConfigError: The file can't be read, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        yield from map(spec_of, found)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise TrainConfigError(f"{file}: expected a JSON list of tools in OpenAI's form ({reason})") from error


class _Row(BaseModel):
    messages: list[_Message] = Field(min_length=1)
    tools: list[_Tool]

    @field_validator("tools", mode="before")
    @classmethod
    def _listed(cls, tools: Any) -> Any:
        return (_parsed(tools, "tools") if isinstance(tools, str) and tools else tools) or []


def _turns(messages: Sequence[_Message], learnt: Sequence[bool], ours: bool) -> Iterator[tuple[Message, bool]]:
    """Yield the messages as the agent's loop has them, and whether each is learnt.

    The results of tools in our own rows have the tool's name, and observations have none; in others, what the user says
    is what is observed.
    """
    at = 0
    while at < len(messages):
        message, taught = messages[at], learnt[at] and messages[at].weight > 0
        at += 1
        if message.role != "assistant":
            yield _heard(message, ours), False
        elif not message.calls:
            content = message.content.lstrip()  # white space would become one token with the end of the prompt
            yield Message("assistant", content), taught and bool(content)
        else:
            stop = at
            while stop < len(messages) and messages[stop].role == "tool" and len(message.calls) > 1:
                stop += 1
            results = list(messages[at:stop])
            at = stop
            for call in message.calls:
                made = ToolCall(name=call.name, arguments=call.arguments)
                yield Message("assistant", made.text(), made), taught
                if (own := _own(call, message.calls, results)) is not None:
                    results.remove(own)
                    yield _heard(own, ours), False
            yield from ((_heard(result, ours), False) for result in results)


def _own(call: _Call, calls: Sequence[_Call], results: Sequence[_Message]) -> _Message | None:
    """Return the result of one of several calls: by its id, else by its name, else the first that is no other's."""
    ids = {one.id for one in calls if one.id}
    by_id = [result for result in results if call.id and result.tool_call_id == call.id]
    free = [result for result in results if result.tool_call_id not in ids]
    named = [result for result in free if result.name == call.name]
    unnamed = [result for result in free if result.name not in {one.name for one in calls}]
    return next(iter(by_id or named or unnamed), None)


def _heard(message: _Message, ours: bool) -> Message:
    role: Literal["user", "tool"] = "tool" if message.role == "tool" else "user"
    return Message(role, message.content, observed=message.name is None if ours else role == "user")
