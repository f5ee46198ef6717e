"""A model on any OpenAI-compatible server, such as vLLM, llama.cpp or Ollama."""

import json
import time
from collections.abc import Sequence
from typing import Any

from huggingface_hub import InferenceClient
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Decision, Turn, Usage

CHARS_PER_TOKEN = 4
"""Rough length of a token, for a server whose tokenizer is not known."""


class EndpointConfig(BaseModel):
    """Settings of a served model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("default", description="The model's name on the server.")
    url: str = Field("http://127.0.0.1:8000/v1", description="Base address of the server.")
    api_key: SecretStr | None = Field(None, description="Bearer token, if the server wants one.")
    seq_len: int = Field(4096, ge=128, description="Window in tokens, estimated from characters.")
    temperature: float = Field(0.0, ge=0)
    timeout: float = Field(60.0, gt=0, description="Seconds for one answer.")
    max_call_tokens: int = Field(160, ge=16)


class EndpointModel:
    """A model behind ``/chat/completions``. Its answers are not repaired: a malformed call stays malformed.

    Args:
        config: Settings.
    """

    def __init__(self, config: EndpointConfig | None = None) -> None:
        self.config = config or EndpointConfig()
        self.name = self.config.name
        key = self.config.api_key
        self._client = InferenceClient(
            base_url=self.config.url, api_key=key.get_secret_value() if key else "none", timeout=self.config.timeout
        )

    def describe(self) -> dict[str, object]:
        """Return the settings without the key."""
        return {"kind": "endpoint", **self.config.model_dump(exclude={"api_key"})}

    def release(self, chat: Chat) -> None:
        """Do nothing: the server keeps no state of a chat."""

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn, one request each.

        Raises:
            ModelError: The server can't be reached, refuses, or answers with something else.
        """
        return [self._decide(turn) for turn in turns]

    def _decide(self, turn: Turn) -> Decision:
        began = time.perf_counter()
        dropped = self._turn_over(turn.chat)
        messages: list[dict[str, Any]] = [turn.chat.system(), *(m.render() for m in turn.chat.visible())]
        for index, message in enumerate(messages):
            for call in message.get("tool_calls", ()):
                call["id"] = f"call_{index}"
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
            if message["role"] == "tool":
                answers = messages[index - 1].get("tool_calls")
                message.update({"tool_call_id": f"call_{index - 1}"} if answers else {"role": "user"})
        try:
            answer = self._client.chat_completion(
                messages,
                model=self.config.name,
                tools=[spec.openai() for spec in turn.offer],
                tool_choice="required",
                max_tokens=self.config.max_call_tokens,
                temperature=self.config.temperature,
                seed=turn.chat.seed,
            )
            message = answer.choices[0].message
        except Exception as error:  # the boundary: a server may answer anything
            raise ModelError(f"{self.config.url} gave no answer: {error}") from error
        usage = answer.usage
        tokens = Usage(usage.prompt_tokens, usage.completion_tokens, 0, dropped) if usage else Usage(dropped=dropped)
        return Decision(_text(message), usage=tokens, seconds=time.perf_counter() - began)

    def _turn_over(self, chat: Chat) -> int:
        """Drop the oldest steps when the estimated length exceeds the window."""
        budget = self.config.seq_len * CHARS_PER_TOKEN
        fixed = len(json.dumps(chat.openai_tools())) + len(chat.system()["content"])
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


def _text(message: Any) -> str:
    """Return the answer as one call in our JSON form; words that are not a call are returned as they are."""
    calls = message.tool_calls or []
    if len(calls) > 1:
        return f"{len(calls)} calls at once: {', '.join(call.function.name for call in calls)}"
    if not calls:
        return str(message.content or "")
    function = calls[0].function
    arguments = function.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return f'{{"name":{json.dumps(function.name)},"arguments":{arguments}}}'
    return json.dumps({"name": function.name, "arguments": arguments or {}}, separators=(",", ":"))
