"""A tokenizer without Transformers, whose import takes seconds: the Rust tokenizer that a fast one of theirs wraps."""

import json
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

from llguidance import LLTokenizer
from tokenizers import Tokenizer

FILE, ENDS = "hippo_tokenizer.json", "hippo_tokenizer_ends.json"
"""Names of the files of a tokenizer that was kept by :meth:`FastTokenizer.save`."""


class FastTokenizer:
    """A tokenizer of Hugging Face's ``tokenizers``.

    Args:
        backend: The tokenizer, without padding and truncation.
        eos_token_id: The token that ends an answer.
        bos_token: Text of the token that begins a prompt.
    """

    def __init__(self, backend: Tokenizer, eos_token_id: int | None, bos_token: str | None) -> None:
        self.backend = backend
        self.eos_token_id = eos_token_id
        self.bos_token = bos_token

    @classmethod
    def of(cls, tokenizer: Any) -> "FastTokenizer":
        """Return the same tokenizer without Transformers."""
        if isinstance(tokenizer, cls):
            return tokenizer
        backend = copy(tokenizer.backend_tokenizer)
        backend.no_padding()
        backend.no_truncation()
        return cls(backend, tokenizer.eos_token_id, tokenizer.bos_token)

    @classmethod
    def load(cls, folder: Path) -> "FastTokenizer":
        """Return the tokenizer that :meth:`save` wrote into a folder."""
        ends = json.loads((folder / ENDS).read_text(encoding="utf-8"))
        return cls(Tokenizer.from_file(str(folder / FILE)), ends["eos_token_id"], ends["bos_token"])

    def parts(self) -> tuple[str, int | None, str | None]:
        """Return what :meth:`of_parts` makes the tokenizer of, in another process."""
        return self.backend.to_str(), self.eos_token_id, self.bos_token

    @classmethod
    def of_parts(cls, backend: str, eos_token_id: int | None, bos_token: str | None) -> "FastTokenizer":
        """Return the tokenizer that :meth:`parts` took apart."""
        return cls(Tokenizer.from_str(backend), eos_token_id, bos_token)

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a folder."""
        ends = {"eos_token_id": self.eos_token_id, "bos_token": self.bos_token}
        (folder / ENDS).write_text(json.dumps(ends), encoding="utf-8")
        self.backend.save(str(folder / FILE), pretty=False)

    def encoded(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the tokens of a text without special tokens around them, and where each begins and ends in it."""
        found = self.backend.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    def vocabulary(self) -> Mapping[str, int]:
        """Return the number of every token."""
        words: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        return words

    def control_tokens(self) -> list[str]:
        """Return the special tokens, which mean something other than their letters."""
        added = self.backend.get_added_tokens_decoder().values()
        return [token.content for token in added if token.special and len(token.content) > 1]

    def for_grammars(self, vocab_size: int) -> LLTokenizer:
        """Return the tokenizer as llguidance takes it."""
        return LLTokenizer(self.backend.to_str(), n_vocab=vocab_size, eos_token=self.eos_token_id)
