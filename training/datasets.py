"""Logged episodes as rows that TRL can train on: ``messages`` and ``tools``."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from agent.chat import Message, Role
from agent.errors import LogError
from agent.logs.events import (
    Decided,
    End,
    Event,
    Observed,
    Returned,
    Start,
    conversation,
)
from agent.shown import MAX_RESULT, shown_in
from tools import ToolCall


class EmptyMaskError(ValueError):
    """A row in which the loss is taken over no token."""


class Row(TypedDict):
    """One episode in TRL's conversational form.

    ``tools`` and every call's ``arguments`` are JSON strings: columnar formats would merge the
    arguments of different tools into one struct full of nulls.
    """

    messages: list[dict[str, Any]]
    tools: str
    provenance: dict[str, Any]


def row_of(events: Sequence[Event]) -> Row:
    """Make a row from the events of one episode.

    Raises:
        LogError: The log has no start or no end.
    """
    start = next((e for e in events if isinstance(e, Start)), None)
    end = next((e for e in events if isinstance(e, End)), None)
    if start is None or end is None:
        raise LogError("an episode needs a start and an end to become a training row; this log lacks one of them")
    system: dict[str, Any] = {"role": "system", "content": start.system}
    messages = [system, *_rendered(transcript(events))]
    provenance = {
        "env": start.env, "kind": start.kind, "seed": start.seed, "episode": start.episode, "world": start.world,
        "success": end.success, "steps": end.steps, "optimal_steps": start.optimal_steps,
    }  # fmt: skip
    return Row(messages=messages, tools=json.dumps(start.tools), provenance=provenance)


def transcript(events: Sequence[Event], max_result: int = MAX_RESULT) -> list[Message]:
    """Return the messages after the system message, as the model saw them.

    Args:
        events: Events of one episode.
        max_result: Greatest length of a result in characters; used for logs of earlier releases, which do not record
            what the model was shown.
    """
    messages: list[Message] = []
    for event in conversation(events):
        if isinstance(event, Observed):
            role: Role = "user" if event.turn == 0 and not messages else "tool"
            messages.append(Message(role, shown_in(event), observed=True))
        elif isinstance(event, Decided):
            call = ToolCall(name=event.name, arguments=event.arguments or {}) if event.name is not None else None
            messages.append(Message("assistant", event.text, call))
        elif isinstance(event, Returned):
            messages.append(Message("tool", shown_in(event, max_result)))
    return messages


def _rendered(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Yield the messages as data; the result of a tool has the tool's name, and an observation has none."""
    name = ""
    for message in messages:
        rendered = message.render()
        for call in rendered.get("tool_calls", ()):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], separators=(",", ":"))
        if message.role == "assistant":
            name = message.call.name if message.call else "none"
        elif message.role == "tool" and not message.observed:
            rendered["name"] = name
        yield rendered


def assistant_mask(row: Row, tokenizer: Any, template: str) -> tuple[list[int], list[int]]:
    """Return the tokens of an exported row and its loss mask, which is 1 for the assistant's own tokens.

    It is for training with other tools; ``hippo train`` makes its labels in :mod:`training.windows`.

    Args:
        row: The row.
        tokenizer: A fast Hugging Face tokenizer.
        template: A chat template with generation marks.

    Returns:
        Token ids and a mask of 0 and 1, of the same length.

    Raises:
        EmptyMaskError: The mask is empty: the template has no generation marks, or the row has no calls.
    """
    encoded = tokenizer.apply_chat_template(
        row["messages"],
        tools=json.loads(row["tools"]),
        chat_template=template,
        return_assistant_tokens_mask=True,
        return_dict=True,
    )
    ids, mask = list(encoded["input_ids"]), list(encoded["assistant_masks"])
    if not any(mask):
        raise EmptyMaskError(
            "the loss mask is empty: use a chat template with {% generation %} marks and an episode with calls"
        )
    return ids, mask
