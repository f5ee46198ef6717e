"""A model on any OpenAI-compatible server, such as vLLM, llama.cpp or Ollama."""

import json
import time
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.chat import Chat
from agent.models import prompt_logprobs
from agent.models.answers import Answer, read_answer
from agent.models.base import Decision, Turn, Usage
from agent.models.grammar import call_schema
from agent.models.surprise import surprise_of
from tools import ToolSpec

CHARS_PER_TOKEN = 4
"""Rough length of a token, for a server whose tokenizer is not known."""

MAX_QUEUED = 8
"""Greatest number of further calls of one answer that are kept to be made in order."""


class EndpointConfig(BaseModel):
    """Settings of a served model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("default", description="The model's name on the server.")
    url: str = Field("http://127.0.0.1:8000/v1", description="Base address of the server.")
    api_key: SecretStr | None = Field(None, description="Bearer token, if the server wants one.")
    seq_len: int = Field(4096, ge=128, description="Window in tokens, estimated from characters.")
    temperature: float = Field(0.0, ge=0)
    timeout: float = Field(60.0, gt=0, description="Seconds for one answer.")
    retries: int = Field(4, ge=0, description="How often a request is repeated after a passing failure.")
    backoff: float = Field(0.5, ge=0, description="Seconds before the first repetition; doubled each time.")
    max_call_tokens: int = Field(160, ge=16)
    calls: Literal["auto", "schema", "tools"] = Field(
        "auto",
        description="schema: JSON under the grammar's schema, as trained; tools: the server's own tool calls; auto: the"
        " first where the server keeps to schemas.",
    )
    stream: bool = Field(False, description="Have answers streamed; the timeout is then for each piece.")
    surprise: bool = Field(True, description="Ask for the probabilities of observations, where the server gives them.")
    restart: float = Field(60.0, ge=0, description="Seconds to wait for a server that answered before and is gone.")


@dataclass
class _Kept:
    """What is kept of one chat: calls still to be made, and the reasoning of earlier answers by message."""

    queued: deque[str] = field(default_factory=deque)
    reasoning: dict[int, str] = field(default_factory=dict)


def _name_of(text: str) -> str | None:
    """Return the name of the tool in a call, ``None`` if the call is malformed; the loop then says so to the model."""
    try:
        return str(json.loads(text)["name"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def listed(tools: Sequence[ToolSpec]) -> str:
    """Return the list of tools in the words of our chat templates."""
    return "\n".join(["Tools:", *(spec.line() for spec in tools), 'Answer with {"name":tool,"arguments":{...}}'])


class EndpointModel:
    """A model behind ``/chat/completions``.

    Calls are read wherever servers put them: in ``tool_calls``, in fences, in tags, after a thought. They are not
    repaired: a malformed call stays malformed, and the loop says so to the model. Several calls in one answer are made
    one after another. Passing failures are repeated; what a server does not take, such as a system role, it is asked
    without.

    Args:
        config: Settings.

    Attributes:
        note: What the server does not offer, in a sentence; empty while nothing is missing.
    """

    def __init__(self, config: EndpointConfig | None = None) -> None:
        from agent.models.server import Server  # it imports httpx

        self.config = config or EndpointConfig()
        self.name = self.config.name
        key = self.config.api_key
        self._server = Server(
            self.config.url,
            key.get_secret_value() if key else None,
            self.config.timeout,
            self.config.retries,
            self.config.backoff,
            self.config.restart,
        )
        self._calls = "tools" if self.config.calls == "tools" else "schema"
        self._keeps = False  # whether it answered under a schema
        self._asks_surprise = self.config.surprise
        self.note = ""
        self._kept: weakref.WeakKeyDictionary[Chat, _Kept] = weakref.WeakKeyDictionary()

    def describe(self) -> dict[str, object]:
        """Return the settings without the key."""
        return {"kind": "endpoint", **self.config.model_dump(exclude={"api_key"})}

    @property
    def calls(self) -> str:
        """How calls are asked for: ``schema`` or ``tools``."""
        return self._calls

    def release(self, chat: Chat) -> None:
        """Forget the calls that were still to be made; the server keeps no state of a chat."""
        self._kept.pop(chat, None)

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn, one request each.

        Raises:
            ServerError: The server can't be reached, refuses, or answers with something else.
        """
        return [self._decide(turn) for turn in turns]

    def _decide(self, turn: Turn) -> Decision:
        began = time.perf_counter()
        kept = self._kept.setdefault(turn.chat, _Kept())
        names = [spec.name for spec in turn.offer]
        while kept.queued:  # the rest of an answer with several calls
            text = kept.queued.popleft()
            if _name_of(text) in (None, *names):
                return Decision(text, seconds=time.perf_counter() - began)
        dropped = self._turn_over(turn.chat)
        answer = self._ask(turn, kept, names)
        if answer.reasoning:
            kept.reasoning[len(turn.chat.messages)] = answer.reasoning
        kept.queued.extend(answer.further[:MAX_QUEUED])
        usage = Usage(answer.prompt_tokens, answer.completion_tokens, 0, dropped)
        return Decision(
            answer.text,
            surprise_of(answer.logprobs),
            answer.logprobs,
            cut=answer.cut,
            usage=usage,
            seconds=time.perf_counter() - began,
        )

    def _ask(self, turn: Turn, kept: _Kept, names: Sequence[str]) -> Answer:
        """Ask the server; with ``calls=auto`` once more in the other way, where it does not keep to schemas."""
        answer = self._asked(turn, kept, names)
        if self.config.calls != "auto" or self._calls != "schema" or self._keeps or answer.cut:
            return answer
        written = answer.text.lstrip().startswith("{")  # under the schema, be there a mistake in it or not
        self._keeps = not self._server.lacks("response_format") and (written or _name_of(answer.text) in names)
        if self._keeps:
            return answer
        self._calls = "tools"
        again = self._asked(turn, kept, names)
        return replace(
            again,
            prompt_tokens=answer.prompt_tokens + again.prompt_tokens,
            completion_tokens=answer.completion_tokens + again.completion_tokens,
        )

    def _asked(self, turn: Turn, kept: _Kept, names: Sequence[str]) -> Answer:
        asked = self._with_schema(turn) if self._calls == "schema" else self._with_tools(turn, kept)
        request = asked | {
            "model": self.config.name,
            "max_tokens": self.config.max_call_tokens,
            "temperature": self.config.temperature,
            "seed": turn.chat.seed,
        }
        newest = turn.chat.messages[-1]
        observed = newest.content if newest.observed else ""
        if self._asks_surprise and observed:
            request |= prompt_logprobs.REQUEST
        if self.config.stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        body = self._server.complete(request)
        answer = replace(read_answer(body, names), logprobs=prompt_logprobs.logprobs_of(body, observed))
        if self._asks_surprise and observed and not prompt_logprobs.given(body):
            self._asks_surprise = False
            self.note = (
                f"{self._server.url} gives no probabilities of the prompt: surprise is not measured, and the write gate"
                " goes by novelty and reward"
            )
        return answer

    def _with_tools(self, turn: Turn, kept: _Kept) -> dict[str, Any]:
        """Return the part of a request that leaves the form of calls to the server."""
        return {
            "messages": self._messages(turn.chat, kept),
            "tools": [spec.openai() for spec in turn.offer],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }

    @staticmethod
    def _with_schema(turn: Turn) -> dict[str, Any]:
        """Return the part of a request that has the server write a call as JSON, under the schema of what is offered.

        The tools stand in the system message, and calls are plain words, as our chat templates have them.
        """
        system = turn.chat.system()
        messages = [{**system, "content": f"{system['content']}\n{listed(turn.chat.tools)}"}]
        for message in turn.chat.visible():
            role = "assistant" if message.role == "assistant" else "user"
            messages.append({"role": role, "content": message.content})
        schema = {"name": "call", "strict": True, "schema": call_schema(turn.offer)}
        return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": schema}}

    def _messages(self, chat: Chat, kept: _Kept) -> list[dict[str, Any]]:
        """Return the messages in the window as servers take them, each call with an id."""
        messages: list[dict[str, Any]] = [chat.system(), *(message.render() for message in chat.visible())]
        for index, message in enumerate(messages):
            for call in message.get("tool_calls", ()):
                call["id"] = f"call_{index}"
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
            if (thought := kept.reasoning.get(chat.start + index - 1)) and message["role"] == "assistant":
                message["reasoning_content"] = thought
            if message["role"] == "tool":
                answers = messages[index - 1].get("tool_calls")
                message.update({"tool_call_id": f"call_{index - 1}"} if answers else {"role": "user"})
        return messages

    def _turn_over(self, chat: Chat) -> int:
        """Drop the oldest steps when the estimated length exceeds the window."""
        budget = self.config.seq_len * CHARS_PER_TOKEN
        shown = listed(chat.tools) if self._calls == "schema" else json.dumps(chat.openai_tools())
        fixed = len(shown) + len(chat.system()["content"])
        sizes = [len(message.content) for message in chat.visible()]
        if fixed + sum(sizes) <= budget:
            return 0
        start = len(chat.messages) - 1
        total = fixed + sizes[-1]
        for index in range(len(sizes) - 2, -1, -1):
            total += sizes[index]
            if total > budget // 2:
                break
            if chat.messages[chat.start + index].role != "assistant":
                start = chat.start + index
        return chat.drop_to(start)
