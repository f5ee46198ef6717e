"""The toolbox as a grammar: a malformed call can't be written."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from llguidance import LLExecutor, LLMatcher
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par
from numpy.typing import NDArray

from agent.errors import ModelError
from tools import ToolSpec

PROBE = '{"name":"recall","arguments":{"cue":"the red ball, 2 steps left – ünïcode"}}'
"""A call that every tokenizer must spell the way the grammar reads it."""

COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


MAX_WORDS = 1000
"""Words in view that an extractive argument can be made of; the newest count."""

MAX_RUN = 6
"""Words in an extractive argument."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(texts: Sequence[str]) -> list[str]:
    """The words of texts, oldest first, as they stand and in lower case; of many, the newest :data:`MAX_WORDS`."""
    newest = (word.removesuffix("'s") for text in reversed(texts) for word in reversed(_WORD.findall(text)))
    found = dict.fromkeys(form for word in newest for form in (word, word.lower()))
    return list(found)[:MAX_WORDS][::-1]


def call_schema(offer: Sequence[ToolSpec], words: Sequence[str] = ()) -> dict[str, Any]:
    """JSON schema of one call to any of the offered tools, without free white space.

    Args:
        offer: The tools.
        words: What extractive arguments are made of; without any they are free.
    """
    quoted = {"pattern": _pattern(words)} if words and any(spec.extractive for spec in offer) else {}
    return {"x-guidance": COMPACT, "anyOf": [_one(spec.name, _extractive(spec, quoted)) for spec in offer]}


def _pattern(words: Sequence[str]) -> str:
    """One to :data:`MAX_RUN` words with a space between, each also as a possessive."""
    word = f"(?:{'|'.join(map(re.escape, words))})(?:'s)?"
    return f"^{word}(?: {word}){{0,{MAX_RUN - 1}}}$"


def _extractive(spec: ToolSpec, quoted: Mapping[str, str]) -> Mapping[str, Any]:
    properties = spec.parameters.get("properties", {})
    free = [name for name in spec.extractive if not {"enum", "pattern"} & set(properties[name])]
    limited = {name: {**properties[name], **quoted} for name in free}
    return {**spec.parameters, "properties": {**properties, **limited}} if limited else spec.parameters


def _one(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": dict(parameters)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


class Grammar:
    """Compiles offers into matchers over one tokenizer's vocabulary (llguidance).

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        vocab_size: Width of the model's logits, which may exceed the tokenizer's vocabulary.
        cache_size: How many compiled offers to keep.

    Raises:
        ModelError: The grammar reads the tokenizer's tokens as other words than they are.
    """

    def __init__(self, tokenizer: Any, vocab_size: int, cache_size: int = 256) -> None:
        self.vocab_size = vocab_size
        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocab_size)
        ids = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
        if (read := self.text(ids)) != PROBE:
            raise ModelError(
                f"the grammar reads this tokenizer wrongly ({read!r} for {PROBE!r}): make tokenizer.json again with "
                "transformers 5.23 or newer"
            )
        self._executor = LLExecutor()
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._cache_size = cache_size

    def text(self, tokens: Sequence[int]) -> str:
        """The words that tokens spell, byte for byte."""
        spelled: bytes = self._tokenizer.decode_bytes(list(tokens))
        return spelled.decode("utf-8", "replace")

    def matcher(self, offer: Sequence[ToolSpec], words: Sequence[str] = ()) -> LLMatcher:
        """A fresh matcher for one call to any of the offered tools.

        Args:
            offer: The tools.
            words: What extractive arguments are made of.

        Raises:
            ModelError: Nothing is offered, or a schema has what the grammar can't express.
        """
        if not offer:
            raise ModelError("no tool can be called now: offer at least one action")
        key = json.dumps(call_schema(offer, words))
        found = self._compiled.get(key)
        if found is None:
            found = LLMatcher(self._tokenizer, LLMatcher.grammar_from_json_schema(key), log_level=0)
            if found.is_error():
                raise ModelError(f"the tools' schemas have no grammar: {found.get_error()}")
            self._compiled[key] = found
            if len(self._compiled) > self._cache_size:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return found.deep_copy()

    def masks(self, matchers: Sequence[LLMatcher]) -> NDArray[np.int32]:
        """Which tokens may come next: int32 ``[len(matchers), ceil(vocab_size / 32)]``, a bit a token."""
        bitmask: NDArray[np.int32] = allocate_token_bitmask(len(matchers), self.vocab_size)
        pairs = [(matcher, row) for row, matcher in enumerate(matchers)]
        fill_next_token_bitmask_par(self._executor, pairs, bitmask)
        return bitmask
