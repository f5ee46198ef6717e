"""Reading of a server's answer: the call is where servers put it, in ``tool_calls`` or somewhere in the words."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import ServerError
from memory.clean import MAX_ERROR, clean_text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        text: The first call as compact JSON, or the model's words if they hold no call.
        further: The other calls of the answer, in order.
        reasoning: What the model thought before, if the server says it.
        cut: Whether the answer ran into its limit.
        prompt_tokens: As the server counts; 0 if it does not say.
        completion_tokens: Likewise.
        logprobs: Natural-log probabilities of the tokens of the newest observation, if the server gives them.
    """

    text: str
    further: tuple[str, ...] = ()
    reasoning: str = ""
    cut: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: tuple[float, ...] = ()


def read_answer(body: Any, names: Sequence[str]) -> Answer:
    """Read the body of a ``/chat/completions`` response.

    Args:
        body: The decoded JSON.
        names: Names of the offered tools, by which a call in plain words is known.

    Raises:
        ServerError: The body is no completion.
    """
    try:
        choice = body["choices"][0]
        message = choice["message"]
        if not isinstance(message, Mapping):
            raise TypeError(f"its message is {type(message).__name__}")
    except (KeyError, IndexError, TypeError) as error:
        shown = clean_text(json.dumps(body, ensure_ascii=False))[:MAX_ERROR]
        raise ServerError(f"the server's answer is no completion (expected choices[0].message): {shown}") from error
    words = _words(message.get("content"))
    calls = list(_listed(message)) or list(_in_words(words, names))
    usage = body.get("usage") if isinstance(body.get("usage"), Mapping) else {}
    return Answer(
        calls[0] if calls else words,
        tuple(calls[1:]),
        _words(message.get("reasoning_content") or message.get("reasoning")),
        choice.get("finish_reason") == "length" and not calls,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _words(content: Any) -> str:
    """Return the content of a message, which may be a text, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (part.get("text", "") if isinstance(part, Mapping) else part for part in content)
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _listed(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the calls in ``tool_calls``, or in the older ``function_call``."""
    listed = message.get("tool_calls")
    if isinstance(listed, Mapping):
        listed = [listed]
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        listed = []
    if not listed and isinstance(message.get("function_call"), Mapping):
        listed = [{"function": message["function_call"]}]
    for item in listed:
        function = item.get("function", item) if isinstance(item, Mapping) else {}
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str) and name:
            yield _call(name, function.get("arguments", function.get("parameters")))


def _call(name: str, arguments: Any) -> str:
    """Return a call as compact JSON; arguments that are no JSON are put in as they are, so that they stay malformed."""
    name = name.removeprefix("functions.")
    for _ in range(2):  # some servers encode twice
        if isinstance(arguments, str):
            if not arguments.strip():
                arguments = {}
                break
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                return f'{{"name":{json.dumps(name)},"arguments":{arguments}}}'
    return json.dumps({"name": name, "arguments": {} if arguments is None else arguments}, separators=(",", ":"))


_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?</\1>|^.*?</(?:think|thinking|reasoning)>", re.DOTALL)
_TAGGED = re.compile(r"<(tool_call|function_call|tool|functioncall)>\s*(.*?)\s*(?:</\1>|$)", re.DOTALL)
_FENCED = re.compile(r"```(?:json|tool_call|tool_code|python|xml)?\s*\n?(.*?)```", re.DOTALL)
_NAMED_TAG = re.compile(r"<function=([\w.-]+)>\s*(.*?)\s*(?:</function>|$)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>\s*(.*?)\s*(?:</parameter>|$)", re.DOTALL)
_MARKS = re.compile(r"\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>|<\|tool_calls_section_begin\|>|functools")


def _in_words(words: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the calls that the words hold: in tags, in fences, or as the whole of them."""
    plain = _THOUGHT.sub("", words).strip()
    if tagged := _NAMED_TAG.findall(plain):
        for name, inside in tagged:
            values = _PARAMETER.findall(inside)
            yield _call(name, {key: _value(value) for key, value in values} if values else inside)
        return
    parts = [inside for _, inside in _TAGGED.findall(plain)] or _FENCED.findall(plain) or [_MARKS.sub("", plain)]
    for part in parts:
        yield from _calls_in(part.strip(), names)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _calls_in(text: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the calls that a text is: JSON objects, one or several or in a list, or ``name(key=value)``."""
    decoder = json.JSONDecoder()
    found, at = [], 0
    while at < len(text) and text[at] in "{[":
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        found += value if isinstance(value, list) else [value]
        at = end + len(text[end:]) - len(text[end:].lstrip(" \n\t\r,;"))
    for item in found:
        function = item.get("function", item) if isinstance(item, dict) else None
        if isinstance(function, str):  # {"function": "name", "parameters": {...}}
            function = {**item, "name": function}
        if isinstance(function, dict) and isinstance(function.get("name") or function.get("tool"), str):
            name = function.get("name") or function["tool"]
            arguments: Any = next(
                (function[k] for k in ("arguments", "parameters", "args", "input") if k in function), {}
            )
            yield _call(name, arguments)
    if not found and (match := re.fullmatch(r"([A-Za-z_][\w.]*)\((.*)\)", text, re.DOTALL)) and match[1] in names:
        try:
            call = ast.parse(text, mode="eval").body
            assert isinstance(call, ast.Call) and not call.args
            yield _call(match[1], {key.arg: ast.literal_eval(key.value) for key in call.keywords if key.arg})
        except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError):
            return
