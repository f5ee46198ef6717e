"""Testing of tools without weights: calls drawn at random under the grammar, and a model that makes them all."""

import json
import random
from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from agent.models.grammar import call_schema
from agent.models.scripted import ScriptedModel
from tools import Tool, Toolbox, ToolCall, ToolSpec

_BYTES = LLTokenizer("byte")
_SHORT = 150
"""From this many characters on, what is open is closed where it can be."""


def drawn_call(spec: ToolSpec, seed: int = 0) -> ToolCall:
    """Return a call of an offered tool with arguments that the grammar allows, drawn at random.

    Args:
        spec: The tool, as :meth:`~tools.Toolbox.offer` returns it.
        seed: The same seed gives the same call.

    Raises:
        ModelError: The grammar can't express the tool's schema.
    """
    rng = random.Random(f"{spec.name} {seed}")  # noqa: S311
    schema = json.dumps(call_schema([spec]), default=float)
    matcher = LLMatcher(_BYTES, LLMatcher.grammar_from_json_schema(schema), log_level=0)
    if matcher.is_error():
        raise ModelError(f"the schema of {spec.name!r} has no grammar: {matcher.get_error()}")
    mask, text = allocate_token_bitmask(1, _BYTES.vocab_size), bytearray()
    while not matcher.is_stopped():
        fill_next_token_bitmask(matcher, mask)
        allowed = np.unpackbits(mask.view(np.uint8), bitorder="little")[:256].nonzero()[0].tolist()
        plain = [code for code in allowed if 32 <= code < 127 and chr(code) != "\\"] or allowed
        if not plain:
            break
        closing = [code for code in plain if chr(code) in '"}],']
        code = rng.choice(closing if closing and (len(text) > _SHORT or rng.random() < 0.2) else plain)
        matcher.consume_token(code)
        text.append(code)
    return ToolCall.parse(text.decode("utf-8", "replace"))


def drawn_calls(tools: Iterable[Tool], each: int = 20, seed: int = 0) -> Iterator[ToolCall]:
    """Yield some calls of every tool that is offered now.

    Args:
        tools: The tools.
        each: How many calls of each.
        seed: The same seed gives the same calls.
    """
    for spec in Toolbox(tools).offer():
        yield from (drawn_call(spec, seed + number) for number in range(each))


class EveryTool(ScriptedModel):
    """A model without weights that calls every tool of an episode once, and then tools at random.

    The arguments are drawn under the grammar, as a language model's would be. Tools are called once they are offered,
    those of the memory and of plugins before the world's actions, which may end the episode.

    Args:
        seed: The same seed makes the same calls in the same episode.

    Attributes:
        called: Names of the tools that were called, in the order of their first calls.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(self._next, name="every-tool")
        self.seed = seed
        self.called: list[str] = []
        self._done: WeakKeyDictionary[Chat, set[str]] = WeakKeyDictionary()

    def _next(self, turn: Turn) -> ToolCall:
        done = self._done.setdefault(turn.chat, set())
        number = self.seed + len(turn.chat.messages)
        fresh = [spec for spec in turn.offer if spec.name not in done]
        spec = fresh[-1] if fresh else random.Random(number).choice(list(turn.offer))  # noqa: S311
        done.add(spec.name)
        if spec.name not in self.called:
            self.called.append(spec.name)
        return drawn_call(spec, number)
