"""Cost of decisions: floating-point operations and key-value cache, from a model's shape and its tokens."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.logs.events import Decided

HALF = 2
"""Size of a bfloat16 number in bytes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a decoder.

    Attributes:
        layers: Number of layers.
        hidden: Width of the residual stream.
        intermediate: Width of the gated feed-forward layers.
        heads: Number of attention heads.
        kv_heads: Number of heads of keys and values, which the attention heads share.
        head_dim: Width of a head.
        vocab: Number of tokens in the vocabulary.
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
        """Read the shape of the model in a folder from its ``config.json``."""
        read = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = read["num_attention_heads"]
        return cls(
            read["num_hidden_layers"],
            read["hidden_size"],
            read["intermediate_size"],
            heads,
            read.get("num_key_value_heads") or heads,
            read.get("head_dim") or read["hidden_size"] // heads,
            read["vocab_size"],
        )

    @property
    def flops_per_token(self) -> int:
        """Operations for one token without attention to other tokens: two for each weight (Kaplan et al. 2020)."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        return 2 * (self.layers * (attention + 3 * self.hidden * self.intermediate) + self.hidden * self.vocab)

    def flops(self, new: int, before: int) -> int:
        """Return the operations for ``new`` tokens after ``before`` cached ones."""
        attended = new * before + new * (new + 1) // 2
        return new * self.flops_per_token + 4 * self.layers * self.heads * self.head_dim * attended

    def kv_bytes(self, tokens: int) -> int:
        """Return the size of the key-value cache in bfloat16, in bytes."""
        return 2 * self.layers * self.kv_heads * self.head_dim * HALF * tokens


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of the decisions of an episode.

    Attributes:
        flops: Floating-point operations.
        context: Greatest number of tokens in the window.
        kv_bytes: Size of the key-value cache for that many tokens, in bytes.
    """

    flops: int = 0
    context: int = 0
    kv_bytes: int = 0


def cost_of(decisions: Iterable[Decided], shape: Shape) -> Cost:
    """Sum up the cost of an episode; after messages were dropped, the window is computed anew."""
    flops = context = most = 0
    for decision in decisions:
        context = 0 if decision.dropped_messages else context
        new = decision.prefill_tokens + decision.decode_tokens + decision.forced_tokens
        flops += shape.flops(new, context)
        context += new
        most = max(most, context)
    return Cost(flops, most, shape.kv_bytes(most))
