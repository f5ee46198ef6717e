"""The KV cache of a batch of conversations that grow at different speeds."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

SLACK = 64
"""Empty slots that are tolerated before the cache is compacted."""


class BatchCache:
    """Keys and values of several rows, with empty slots where a row had nothing to add.

    Each forward pass appends as many slots to every row as the longest addition needs; the slots
    that a row does not fill are masked out for good. Positions count filled slots only, so a row's
    numbers do not depend on the others. Compacting moves the filled slots together.

    Attributes:
        mask: bool ``[rows, width]``, true where a slot is filled.
        lengths: Filled slots of each row.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cache: Any = DynamicCache()
        self.mask = torch.zeros((0, 0), dtype=torch.bool, device=device)
        self.lengths: list[int] = []

    def add_row(self) -> int:
        """Add an empty row, and return its index."""
        rows = len(self.lengths)
        self.lengths.append(0)
        self.mask = torch.cat([self.mask, torch.zeros((1, self.mask.shape[1]), dtype=torch.bool, device=self.device)])
        for layer in self._layers():
            layer.keys = torch.cat([layer.keys, torch.zeros_like(layer.keys[:1])])
            layer.values = torch.cat([layer.values, torch.zeros_like(layer.values[:1])])
        return rows

    def remove_row(self, row: int) -> None:
        """Remove one row; those after it move up."""
        del self.lengths[row]
        keep = torch.tensor([i for i in range(len(self.mask)) if i != row], device=self.device, dtype=torch.long)
        self.mask = self.mask[keep]
        if not len(keep):
            self.cache, self.mask = DynamicCache(), self.mask[:, :0]
            return
        for layer in self._layers():
            layer.keys, layer.values = layer.keys[keep], layer.values[keep]

    def clear_row(self, row: int) -> None:
        """Empty one row."""
        self.mask[row] = False
        self.lengths[row] = 0
        if not any(self.lengths):
            self.cache, self.mask = DynamicCache(), self.mask[:, :0]

    def adopt(self, rows: Sequence[int], other: "BatchCache") -> None:
        """Copy ``other``'s rows, in order, into these empty rows."""
        target = torch.tensor(list(rows), device=self.device)
        need = other.mask.shape[1]
        missing = need - self.mask.shape[1]
        if missing > 0:
            self.mask = torch.nn.functional.pad(self.mask, (0, missing))
            for layer in self._layers():
                layer.keys = torch.nn.functional.pad(layer.keys, (0, 0, 0, missing))
                layer.values = torch.nn.functional.pad(layer.values, (0, 0, 0, missing))
        width = self.mask.shape[1]
        for index, layer in enumerate(other.cache.layers):
            if index >= len(self._layers()):
                heads, size = layer.keys.shape[1], layer.keys.shape[3]
                empty = layer.keys.new_zeros((len(self.lengths), heads, width, size))
                self.cache.update(empty, empty.clone(), index)
            self.cache.layers[index].keys[target, :, :need] = layer.keys
            self.cache.layers[index].values[target, :, :need] = layer.values
        self.mask[target, :need] = other.mask
        for row, length in zip(rows, other.lengths, strict=True):
            self.lengths[row] = length

    def extend(self, additions: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Make room for new tokens.

        Args:
            additions: Token ids to append to each row; may be empty for some.

        Returns:
            ``input_ids`` and ``position_ids``, int64 ``[rows, width of the longest addition]``.
        """
        width = max(len(tokens) for tokens in additions)
        ids = torch.zeros((len(additions), width), dtype=torch.long)
        filled = torch.zeros((len(additions), width), dtype=torch.bool)
        for row, tokens in enumerate(additions):
            ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            filled[row, : len(tokens)] = True
        positions = torch.tensor(self.lengths)[:, None] + filled.long().cumsum(1) - 1
        self.lengths = [length + len(tokens) for length, tokens in zip(self.lengths, additions, strict=True)]
        self.mask = torch.cat([self.mask, filled.to(self.device)], dim=1)
        return ids.to(self.device), positions.clamp(min=0).to(self.device)

    def compact(self) -> None:
        """Remove the empty slots, if there are enough of them to make it worthwhile."""
        if not self.mask.numel():
            return
        longest = max(self.lengths)
        width = self.mask.shape[1]
        if width - longest <= max(SLACK, longest // 4):
            return
        order = torch.argsort(self.mask.to(torch.uint8), dim=1, descending=True, stable=True)[:, :longest]
        for layer in self._layers():
            index = order[:, None, :, None].expand(-1, layer.keys.shape[1], -1, layer.keys.shape[3])
            layer.keys, layer.values = layer.keys.gather(2, index), layer.values.gather(2, index)
        self.mask = self.mask.gather(1, order)

    def _layers(self) -> list[Any]:
        return [layer for layer in self.cache.layers if layer.is_initialized]
