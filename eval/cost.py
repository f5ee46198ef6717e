"""What decisions cost: floating-point operations and key-value cache, from a model's shape and the tokens it met."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.logs.events import Decided

HALF = 2
"""Bytes of a number in bfloat16."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's shape.

    Attributes:
        layers: Its layers.
        hidden: Width of the residual stream.
        intermediate: Width of the gated feed-forward layers.
        heads: Attention heads.
        kv_heads: Heads of keys and values, which those share.
        head_dim: Width of a head.
        vocab: Tokens of the vocabulary.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int

    @classmethod
    def of(cls, folder: Path) -> "Shape":
        """The shape of the model in a folder, from its ``config.json``."""
        read = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = read["num_attention_heads"]
        return cls(
            read["num_hidden_layers"], read["hidden_size"], read["intermediate_size"], heads,
            read.get("num_key_value_heads") or heads, read.get("head_dim") or read["hidden_size"] // heads,
            read["vocab_size"],
        )  # fmt: skip

    @property
    def flops_per_token(self) -> int:
        """Operations for one token, attention over others left out: two for each weight (Kaplan et al. 2020)."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        return 2 * (self.layers * (attention + 3 * self.hidden * self.intermediate) + self.hidden * self.vocab)

    def flops(self, new: int, before: int) -> int:
        """Operations for ``new`` tokens after ``before`` cached ones."""
        attended = new * before + new * (new + 1) // 2
        return new * self.flops_per_token + 4 * self.layers * self.heads * self.head_dim * attended

    def kv_bytes(self, tokens: int) -> int:
        """Size of the key-value cache in bfloat16."""
        return 2 * self.layers * self.kv_heads * self.head_dim * HALF * tokens


@dataclass(frozen=True, slots=True)
class Cost:
    """What an episode's decisions cost.

    Attributes:
        flops: Operations.
        context: Most tokens in the window.
        kv_bytes: Size of the cache then.
    """

    flops: int = 0
    context: int = 0
    kv_bytes: int = 0


def cost_of(decisions: Iterable[Decided], shape: Shape) -> Cost:
    """Sum up an episode; where messages were dropped, the window was computed anew."""
    flops = context = most = 0
    for one in decisions:
        context = 0 if one.dropped_messages else context
        new = one.prefill_tokens + one.decode_tokens + one.forced_tokens
        flops += shape.flops(new, context)
        context += new
        most = max(most, context)
    return Cost(flops, most, shape.kv_bytes(most))
