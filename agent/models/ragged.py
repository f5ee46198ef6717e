"""Attention of rows of different lengths, packed one after the other, over keys and values that are kept in slots."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from agent.models.engine import Row

NAME = "hippo_ragged"
"""Name of the attention among those of Transformers."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tokens of a pass are.

    Attributes:
        write: int64 ``[tokens]``, where each token's key and value go.
        ends: int32 ``[rows + 1]``, where each row's tokens begin, and where the last ends.
        keys: int32 ``[rows + 1]``, where each row's keys begin; the last number says nothing.
        used: int32 ``[rows]``, how many keys each row has, with those of this pass.
        longest: Most tokens of a row.
        bounds: For devices without a kernel for rows: start and end of each row's tokens, first key, number of keys.
    """

    write: torch.Tensor
    ends: torch.Tensor
    keys: torch.Tensor
    used: torch.Tensor
    longest: int
    bounds: tuple[tuple[int, int, int, int], ...] = ()


class SlotCache:
    """Keys and values of conversations, each in a slot of its own; it takes the place of a Transformers cache.

    Args:
        layers: Number of layers.
        heads: Heads of keys and values.
        size: Width of a head.
        length: Tokens of a slot.
        dtype: Precision.
        device: Where they are kept.
    """

    def __init__(
        self, layers: int, heads: int, size: int, length: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.length = length
        self.slots = 0
        self._shape = (heads, size)
        self._options = {"dtype": dtype, "device": device}
        self.keys = [torch.zeros((0, *self._shape), **self._options) for _ in range(layers)]
        self.values = [torch.zeros((0, *self._shape), **self._options) for _ in range(layers)]
        self.slot_bytes = 2 * layers * length * heads * size * dtype.itemsize
        self.layout: Layout | None = None

    def grow(self, slots: int) -> None:
        """Make room for ``slots`` conversations; those kept stay."""
        more = (slots - self.slots) * self.length
        for states in (self.keys, self.values):
            for layer, kept in enumerate(states):
                states[layer] = torch.cat([kept, torch.zeros((more, *self._shape), **self._options)])
        self.slots = slots

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's new keys and values, ``[1, heads, tokens, size]``, and return all of that layer's."""
        assert self.layout is not None
        self.keys[layer].index_copy_(0, self.layout.write, keys[0].transpose(0, 1))
        self.values[layer].index_copy_(0, self.layout.write, values[0].transpose(0, 1))
        return self.keys[layer], self.values[layer]

    def get_seq_length(self, *_: Any) -> int:
        """Return 0: positions are given with the tokens."""
        return 0


def attend(
    module: Any,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    _mask: Any = None,
    scaling: float | None = None,
    ragged: Layout | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Compute causal attention of every row over its own slot.

    Args:
        module: The attention layer.
        query: ``[1, heads, tokens, size]``.
        keys: ``[slots * length, heads of keys, size]``.
        values: The same shape.
        scaling: Of the scores.
        ragged: Where the rows are.

    Returns:
        ``[1, tokens, heads, size]``.
    """
    assert ragged is not None
    scale = module.scaling if scaling is None else scaling
    if query.is_cuda and has_kernel(query.device, query.dtype, query.shape[-1]):
        out = torch.ops.aten._flash_attention_forward(
            query[0].transpose(0, 1),
            keys,
            values,
            ragged.ends,
            ragged.keys,
            max(ragged.longest, 2),
            keys.shape[0],
            0.0,
            True,
            False,
            scale=scale,
            seqused_k=ragged.used,
        )[0]
        return out[None], None
    return _row_by_row(query, keys, values, ragged, scale)[None], None


def has_kernel(device: torch.device, dtype: torch.dtype, head_size: int) -> bool:
    """Return whether PyTorch's FlashAttention for rows of different lengths runs on this device."""
    half = dtype in (torch.bfloat16, torch.float16)
    return half and head_size <= 256 and torch.cuda.get_device_capability(device) >= (8, 0)


def _row_by_row(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, ragged: Layout, scale: float
) -> torch.Tensor:
    """The same without a kernel for rows: ``[tokens, heads, size]``."""
    groups, shared = query.shape[1] // keys.shape[1], keys.shape[1]
    parts = []
    for begin, end, first, count in ragged.bounds:
        length = end - begin
        k, v = (states[first : first + count].transpose(0, 1)[None] for states in (keys, values))
        # The heads that share keys become more queries of one head, so that keys are not repeated.
        q = query[:, :, begin:end].reshape(1, shared, groups * length, -1)
        mask = None
        if length > 1:
            mask = torch.ones(length, count, dtype=torch.bool, device=q.device).tril(count - length).repeat(groups, 1)
        out = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        parts.append(out.reshape(groups * shared, length, -1).transpose(0, 1))
    return torch.cat(parts)


AttentionInterface.register(NAME, attend)


@contextmanager
def ragged_attention(config: Any) -> Iterator[None]:
    """Let a Transformers model with this configuration use :func:`attend`."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def packed(rows: Sequence[Row], slot_length: int, tokens: int, count: int, spare: int) -> NDArray[np.int32]:
    """Pack rows into one array: ids, positions and writing places ``[tokens]``, ends and keys ``[count + 1]``, used.

    Args:
        rows: The rows.
        slot_length: Tokens of a slot.
        tokens: Tokens of the pass; those that no row has are padding.
        count: Rows of the pass; those that are missing are empty.
        spare: A slot for the padding.
    """
    blob = np.zeros(3 * tokens + 3 * count + 2, np.int32)
    ids, positions, write = blob[: 3 * tokens].reshape(3, tokens)
    ends, keys = blob[3 * tokens : 3 * tokens + 2 * (count + 1)].reshape(2, count + 1)
    used = blob[-count:]
    write[:] = spare * slot_length
    at = 0
    for index, row in enumerate(rows):
        size = len(row.ids)
        place = np.arange(row.start, row.start + size, dtype=np.int32)
        ids[at : at + size] = row.ids
        positions[at : at + size] = place
        write[at : at + size] = place + row.slot * slot_length
        at += size
        ends[index + 1] = at
        keys[index] = row.slot * slot_length
        used[index] = row.start + size
    ends[len(rows) + 1 :] = at
    return blob


def unpacked(
    blob: torch.Tensor, tokens: int, count: int, longest: int, bounds: tuple[tuple[int, int, int, int], ...] = ()
) -> tuple[torch.Tensor, torch.Tensor, Layout]:
    """Return ids and positions, int64 ``[1, tokens]``, and the layout, of what :func:`packed` made."""
    ids, positions, write = blob[: 3 * tokens].view(3, tokens).long()
    ends, keys = blob[3 * tokens : 3 * tokens + 2 * (count + 1)].view(2, count + 1)
    used = blob[3 * tokens + 2 * (count + 1) :]
    return ids[None], positions[None], Layout(write, ends, keys, used, longest, bounds)
