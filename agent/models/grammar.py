"""The toolbox as a grammar, under which a malformed call can't be written."""

import json
import math
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from llguidance import LLExecutor, LLMatcher
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par
from numpy.typing import NDArray

from agent.errors import ModelError
from agent.models.tokenizer import FastTokenizer
from tools import ToolSpec

PROBE = '{"name":"recall","arguments":{"cue":"the red ball, 2 steps left – ünïcode"}}'
"""A call that tests whether the grammar decodes a tokenizer's tokens correctly."""

COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}

NOTHING = "no tool can be called now: offer at least one action"

MAX_WORDS = 1000
"""Most word forms that an extractive argument can be made of; if the window holds more, the newest are taken."""

MAX_RUN = 6
"""Most words in an extractive argument."""

LARGEST = 10**15
"""Greatest number that a model writes where the schema sets no bound."""

FINEST = 1e-6
"""Finest step of a number that a model writes, unless the schema has finer ones or bounds that need them."""

LONGEST = 200
"""Most characters of one text that a model writes into a call, whatever more the tool takes."""

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_EDGES = ".,;:!?…\"'`“”‘’«»()[]{}<>*"
_PARTS = re.compile(r"[-_/&+.,:;@'’]")
_ABBREVIATION = re.compile(r"\w{1,3}\.")
_NAMED = re.compile(r'\{"name":"([^"]+)"')
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def words_of(texts: Sequence[str]) -> list[str]:
    """Return the words of texts, oldest first, as written and in lower case; at most the newest :data:`MAX_WORDS`.

    A word is what stands between spaces, without the punctuation around it; ``grey-blue`` also gives its parts, and
    ``Ada's`` gives Ada. The result is empty if a text is in a script without spaces between words (Chinese, Japanese,
    Thai ...).
    """
    if any(map(_UNSPACED.search, texts)):
        return []
    chunks = (chunk for text in reversed(texts) for chunk in reversed(unicodedata.normalize("NFC", text).split()))
    forms = (form for chunk in dict.fromkeys(chunks) for word in _forms(chunk) for form in (word, word.lower()))
    return list(islice(dict.fromkeys(forms), MAX_WORDS))[::-1]


def _forms(chunk: str) -> Iterator[str]:
    bare = re.sub("['’][sS]$", "", chunk.strip(_EDGES))
    if any(sign in bare for sign in '"\\') or not bare.isprintable():
        return
    if _ABBREVIATION.fullmatch(chunk):
        yield chunk
    if bare:
        yield bare
        yield from filter(None, _PARTS.split(bare))


def call_schema(offer: Sequence[ToolSpec], words: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON schema of one call to any of the offered tools, without free white space.

    Args:
        offer: The tools.
        words: Words that extractive arguments may be made of; without words these arguments are free.
    """
    return {"x-guidance": COMPACT, "anyOf": [_one(spec.name, bounded(_extractive(spec, words))) for spec in offer]}


def bounded(node: Any) -> Any:
    """Return a JSON schema in which numbers have few digits and free texts an end that fits into a call.

    A model without a bound may write a number of a thousand digits. Bounds that the schema has are kept.
    """
    if isinstance(node, list):
        return [bounded(item) for item in node]
    if not isinstance(node, dict) or {"enum", "const"} & set(node):
        return node
    found = {
        key: {name: bounded(part) for name, part in value.items()}  # one of which may be called enum
        if key == "properties" and isinstance(value, dict)
        else bounded(value)
        for key, value in node.items()
        if key not in ("description", "default")  # words, which a grammar has no use for
    }
    kind = node.get("type")
    if kind in ("number", "integer"):
        given = [abs(float(node[key])) for key in _BOUNDS if isinstance(node.get(key), int | float)]
        most = max([LARGEST, *(10 * value for value in given)])
        if not {"minimum", "exclusiveMinimum"} & set(node):
            found["minimum"] = -most
        if not {"maximum", "exclusiveMaximum"} & set(node):
            found["maximum"] = most
        if kind == "number" and "multipleOf" not in node:
            found["multipleOf"] = min([FINEST, *(float(f"1e{math.floor(math.log10(v)) - 3}") for v in given if v)])
    elif kind == "string" and node.get("maxLength", 0) > LONGEST and node.get("minLength", 0) <= LONGEST:
        found["maxLength"] = LONGEST
    return found


def _pattern(words: Sequence[str]) -> str:
    """Return a regular expression for one to :data:`MAX_RUN` words with a space between, each also as a possessive."""
    word = f"(?:{'|'.join(map(re.escape, words))})(?:'s)?"
    return f"^{word}(?: {word}){{0,{MAX_RUN - 1}}}$"


def _extractive(spec: ToolSpec, words: Sequence[str]) -> Mapping[str, Any]:
    """Return the tool's parameters, with the extractive ones limited to ``words``.

    An extractive parameter for which no word is short enough stays free.
    """
    properties = dict(spec.parameters.get("properties", {}))
    for name in spec.extractive:
        node = properties[name]
        fitting = [word for word in words if len(word) <= node.get("maxLength", len(word))]
        if fitting and not {"enum", "const", "pattern"} & set(node):
            properties[name] = {**node, "pattern": _pattern(fitting)}
    return {**spec.parameters, "properties": properties} if spec.extractive else spec.parameters


def _one(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": dict(parameters)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def named_in(beginning: str) -> str:
    """Return the name of the tool in the beginning of a call; an empty text if it is not whole yet."""
    found = _NAMED.match(beginning)
    return found[1] if found else ""


class Grammar:
    """Compiler of offered tools into matchers over one tokenizer's vocabulary (llguidance).

    Args:
        tokenizer: A fast tokenizer of Transformers, or a :class:`~agent.models.tokenizer.FastTokenizer`.
        vocab_size: Width of the model's logits, which may exceed the tokenizer's vocabulary.
        cache_size: Number of compiled grammars to keep.

    Raises:
        ModelError: The grammar decodes the tokenizer's tokens to a wrong text.
    """

    def __init__(self, tokenizer: Any, vocab_size: int, cache_size: int = 256) -> None:
        fast = FastTokenizer.of(tokenizer)
        self.vocab_size = vocab_size
        self._tokenizer = fast.for_grammars(vocab_size)
        ids = fast.encoded(PROBE)[0]
        if (decoded := self.text(ids)) != PROBE:
            raise ModelError(
                f"the grammar reads this tokenizer wrongly ({decoded!r} for {PROBE!r}): make tokenizer.json again with "
                "transformers 5.23 or newer"
            )
        self._executor = LLExecutor()
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._cache_size = cache_size

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text that tokens spell, byte for byte."""
        spelled: bytes = self._tokenizer.decode_bytes(list(tokens))
        return spelled.decode("utf-8", "replace")

    def matcher(self, offer: Sequence[ToolSpec], words: Sequence[str] = ()) -> LLMatcher:
        """Return a fresh matcher for one call to any of the offered tools.

        Args:
            offer: The tools.
            words: Words that extractive arguments may be made of.

        Raises:
            ModelError: No tool is offered, or the grammar can't express a schema.
        """
        if not offer:
            raise ModelError(NOTHING)
        key = json.dumps(call_schema(offer, words))
        if words:  # they differ at every decision: a cache would not help
            return self._compile(key)
        if key not in self._compiled:
            self._compiled[key] = self._compile(key)
            if len(self._compiled) > self._cache_size:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return self._compiled[key].deep_copy()

    def after(self, spec: ToolSpec, words: Sequence[str], tokens: Sequence[int]) -> LLMatcher | None:
        """Return a matcher for a call to one tool that begins with ``tokens``; ``None`` if none does.

        Args:
            spec: The tool.
            words: Words that its extractive arguments may be made of.
            tokens: The beginning of the call.

        Raises:
            ModelError: The grammar can't express the tool's schema.
        """
        matcher = self._compile(json.dumps(call_schema([spec], words)))
        return matcher if matcher.try_consume_tokens(list(tokens)) == len(tokens) else None

    def _compile(self, schema: str) -> LLMatcher:
        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_json_schema(schema), log_level=0)
        if matcher.is_error():
            raise ModelError(f"the tools' schemas have no grammar: {matcher.get_error()}")
        return matcher

    def masks(self, matchers: Sequence[LLMatcher]) -> NDArray[np.int32]:
        """Return which tokens may come next: int32 ``[len(matchers), ceil(vocab_size / 32)]``, one bit per token."""
        bitmask: NDArray[np.int32] = allocate_token_bitmask(len(matchers), self.vocab_size)
        pairs = [(matcher, row) for row, matcher in enumerate(matchers)]
        fill_next_token_bitmask_par(self._executor, pairs, bitmask)
        return bitmask
