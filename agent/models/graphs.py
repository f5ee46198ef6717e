"""CUDA graphs: a pass through the model is recorded once for each shape, and replayed without Python."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

Pass = Callable[[torch.Tensor, int, int, int], torch.Tensor]
"""Computes hidden states ``[tokens, width]`` from a packed array, its tokens, its rows and the longest row."""

MOST_GRAPHS = 192
"""Graphs that are kept; other shapes are computed without."""

_GROWTH = 1.2


def shape_of(tokens: int, rows: int, longest: int, largest: int) -> tuple[int, int, int]:
    """Return the shape in which a pass is computed: at least as large, one of few.

    Args:
        tokens: Tokens of the pass.
        rows: Rows of the pass.
        longest: Most tokens of a row.
        largest: Most tokens of any pass.
    """
    size = 16
    while size < tokens:
        size = -(-int(size * _GROWTH) // 16) * 16
    count = 1
    while count < rows:
        count *= 4
    width = 128
    while width < longest:
        width *= 8
    return max(min(size, largest), tokens), count, width


class GraphedPass:
    """A pass that is recorded for the shapes that come up a second time.

    A model that can't be recorded is computed without: that is said once.

    Args:
        compute: The pass; it keeps what it writes at fixed addresses.
        width: Width of the hidden states.
        largest: Most tokens of a pass.
        dtype: Precision of the hidden states.
        device: The GPU.

    Attributes:
        broken: Whether the model can't be recorded.
        computed: How many passes were computed without a recording.
    """

    def __init__(self, compute: Pass, width: int, largest: int, dtype: torch.dtype, device: torch.device) -> None:
        self.compute = compute
        self.device = device
        self.broken = False
        self.computed = 0
        self._hidden = torch.zeros((largest, width), dtype=dtype, device=device)
        self._seen: set[tuple[int, int, int]] = set()
        self._graphs: dict[tuple[int, int, int], tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def forget(self) -> None:
        """Forget the recordings, because what they write was moved."""
        self._graphs.clear()
        self._seen.clear()
        self._pool = torch.cuda.graph_pool_handle()  # the memory of the old one went with its last recording

    @property
    def recorded(self) -> int:
        """How many shapes are recorded."""
        return len(self._graphs)

    def __call__(self, blob: NDArray[np.int32], shape: tuple[int, int, int]) -> torch.Tensor:
        """Compute a pass; the result is overwritten by the next."""
        packed = torch.from_numpy(blob).pin_memory()
        if shape in self._graphs:
            graph, static = self._graphs[shape]
            static.copy_(packed, non_blocking=True)
            graph.replay()
            return self._hidden[: shape[0]]
        if shape in self._seen and not self.broken and len(self._graphs) < MOST_GRAPHS and self._record(packed, shape):
            return self(blob, shape)
        self._seen.add(shape)
        self.computed += 1
        return self.compute(packed.to(self.device, non_blocking=True), *shape)

    def _record(self, packed: torch.Tensor, shape: tuple[int, int, int]) -> bool:
        static = packed.to(self.device)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                self._hidden[: shape[0]].copy_(self.compute(static, *shape))
        except RuntimeError as error:
            self.broken = True
            reason = str(error).splitlines()[0]
            warnings.warn(f"this model can't be recorded as a CUDA graph, and is slower so: {reason}", stacklevel=2)
            return False
        self._graphs[shape] = (graph, static)
        return True
