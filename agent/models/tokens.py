"""A chat as tokens, message by message; the result equals that of rendering the whole chat at once."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.chat import Chat, Message
from agent.errors import ModelError
from agent.models.tokenizer import FastTokenizer
from agent.prompts import template
from tools import ToolSpec

FAMILIES = {"<|im_start|>": "chatml", "<|start_header_id|>": "llama3", "<|assistant|>": "phi3"}
"""Special token that tells which of our chat templates fits a tokenizer, with the name of that template."""


def _as_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """Return a value as JSON, as Transformers' chat templates write it: HTML's signs stay."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


_ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters["tojson"] = _as_json


def plain_template(marked: str) -> str:
    """Return a chat template without the marks of what the assistant writes, which only training needs.

    Other programs than Transformers do not know them. What they do to the spaces around them stays.
    """
    return re.sub(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}", r"{#\1 \2#}", marked)


def tokenizer_of(folder: Path) -> Any:
    """Return the tokenizer of a model's folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


class ChatTokens:
    """Renderer and tokenizer of messages, with our own chat template for the tokenizer's family.

    Our templates render every message by itself, so tokens can be appended without rendering or
    tokenising again what came before.

    Args:
        tokenizer: A fast tokenizer of Transformers, or a :class:`~agent.models.tokenizer.FastTokenizer`, which can't
            tell what is learnt (:meth:`learnt`).

    Raises:
        ModelError: None of our templates fits the tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._fast = FastTokenizer.of(tokenizer)
        vocabulary = self._fast.vocabulary()
        families = [family for token, family in FAMILIES.items() if token in vocabulary]
        if not families:
            raise ModelError(
                f"no chat template for this tokenizer: it has none of {', '.join(FAMILIES)}; "
                "choose an instruct model of the ChatML, Llama 3 or Phi-3 family"
            )
        self.template = template(f"chat/{families[0]}.jinja")
        self._compiled = _ENVIRONMENT.from_string(plain_template(self.template))
        self._control = self._fast.control_tokens()
        mark = "\x00"
        opening = [{"role": "user", "content": mark}]
        prompted = self._render(opening, add_generation_prompt=True)
        self.generation_prompt = self.ids(prompted.removeprefix(self._render(opening)))
        whole = self._render([{"role": "assistant", "content": mark}])
        self.closing = self.ids(whole.partition(mark)[2])
        self._cache: dict[tuple[str, str], tuple[list[int], range]] = {}

    def _render(self, messages: list[dict[str, Any]], **options: Any) -> str:
        return self._compiled.render(messages=messages, bos_token=self._fast.bos_token, **options)

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a piece of the prompt; special tokens in the text stay special."""
        return self._fast.encoded(text)[0]

    def _plain(self, words: str) -> str:
        """Return the words with the model's control tokens broken up: ``<|im_end|>`` becomes ``< |im_end|>``."""
        for token in self._control:
            words = words.replace(token, f"{token[0]} {token[1:]}")
        return words

    def _rendered(self, message: Message) -> dict[str, Any]:
        content = self._plain(message.content)
        return message.render() if content == message.content else {"role": message.role, "content": content}

    def text(self, chat: Chat) -> str:
        """Return the visible prompt as the model reads it, up to where its answer begins."""
        system = {"role": "system", "content": self._plain(str(chat.system()["content"]))}
        messages = [system, *(self._rendered(m) for m in chat.visible())]
        return self._render(messages, tools=chat.openai_tools(), add_generation_prompt=True)

    def system(self, chat: Chat) -> list[int]:
        """Return the tokens of a chat's system message.

        Raises:
            ModelError: A tool's name is missing from the prompt.
        """
        return self.opening(str(chat.system()["content"]), chat.tools)

    def opening(self, words: str, tools: Sequence[ToolSpec]) -> list[int]:
        """Return the tokens of a system message with these words and tools.

        Raises:
            ModelError: A tool's name is missing from the prompt.
        """
        system = {"role": "system", "content": self._plain(words)}
        listed = [json.loads(self._plain(json.dumps(spec.openai()))) for spec in tools]
        text = self._render([system], tools=listed)
        missing = [tool["function"]["name"] for tool in listed if f"{tool['function']['name']}(" not in text]
        if missing:
            raise ModelError(f"the chat template does not show these tools: {', '.join(missing)}")
        return self.ids(text)

    def learnt(self, message: Message) -> tuple[list[int], list[int]]:
        """Return the tokens of one message, and 1 for each that a model is trained to produce, 0 for the others.

        The template's generation marks say which these are.
        """
        encoded = self.tokenizer.apply_chat_template(
            [self._rendered(message)],
            chat_template=self.template,
            return_assistant_tokens_mask=True,
            return_dict=True,
        )
        return list(encoded["input_ids"]), list(encoded["assistant_masks"])

    def message(self, message: Message) -> tuple[list[int], range]:
        """Return the tokens of one message, and the range of those that are its content."""
        key = (message.role, message.content)
        if key not in self._cache:
            text = self._render([self._rendered(message)])
            ids, offsets = self._fast.encoded(text)
            content = self._plain(message.content)
            start = text.rfind(content)
            stop = start + len(content)
            inside = [i for i, (a, b) in enumerate(offsets) if a < stop and b > start]
            span = range(inside[0], inside[-1] + 1) if inside and start >= 0 else range(0)
            if len(self._cache) > 4096:
                self._cache.clear()
            self._cache[key] = (ids, span)
        return self._cache[key]
