"""Attention over packed rows that stays within each document, with kernels that ship with torch."""

import inspect
from typing import Any

import torch

from training.errors import TrainingError

NAME = "varlen"
"""Value of ``attn_implementation`` under which Transformers finds this attention."""


def attention_for(device: torch.device) -> str:
    """Return the name of the fastest attention that keeps packed documents apart.

    That is FlashAttention's varlen kernel where it runs, else SDPA with a mask.

    Attention that is computed only within documents makes packing free: 32 rows of 1,024 tokens, flattened into one
    sequence, cost as much as the same rows one by one. ``torch.nn.attention.varlen`` has the kernel since torch 2.10.
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device)[0] < 8:
        return "sdpa"
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return "sdpa"
    _register(varlen_attn)
    return NAME


def _register(kernel: Any) -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    known = inspect.signature(kernel).parameters
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if "enable_gqa" in known:
        options["enable_gqa"] = True

    def forward(
        module: torch.nn.Module,  # noqa: ARG001
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,  # noqa: ARG001
        scaling: float | None = None,
        dropout: float = 0.0,  # noqa: ARG001
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Compute attention within documents; tensors are ``[rows, heads, tokens, size]``."""
        if "cu_seq_lens_q" not in kwargs:
            raise TrainingError(f"attention {NAME!r} needs packed rows: play with the model under attention 'sdpa'")
        flat = [states.transpose(1, 2).reshape(-1, states.shape[1], states.shape[3]) for states in (query, key, value)]
        flat = [states.to(torch.bfloat16) if states.dtype == torch.float32 else states for states in flat]
        if "enable_gqa" not in known and query.shape[1] != key.shape[1]:
            groups = query.shape[1] // key.shape[1]
            flat[1:] = [states.repeat_interleave(groups, dim=1) for states in flat[1:]]
        scale = {"scale": scaling} if "scale" in known else {}
        bounds, longest = kwargs["cu_seq_lens_q"], int(kwargs["max_length_q"])
        out = kernel(*flat, bounds, bounds, longest, longest, **options, **scale)
        return out.reshape(query.shape[0], query.shape[2], query.shape[1], query.shape[3]).to(query.dtype), None

    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    """Return no mask: the kernel is told where documents begin."""
