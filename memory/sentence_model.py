"""The network of the sentence embedder, in PyTorch or prepared for ONNX Runtime, where it takes half the time."""

import os
import warnings
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory.errors import EmbedderError

FILE = "model.onnx"
"""Name of the prepared network, beside the weights."""

LONGEST = 256
"""Tokens of a text that are read."""


class SentenceModel(Protocol):
    """Turns texts into vectors.

    Attributes:
        together: How many texts are computed in one pass.
    """

    together: int

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts."""
        ...

    def vectors(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the vectors of texts in tokens, float32 ``[rows, dim]`` of length 1."""
        ...


def load(folder: Path, device: str = "cpu") -> SentenceModel:
    """Return the network of a folder: on a CPU the prepared one, if :func:`prepare` was run since the weights came."""
    on_cpu = device == "cpu"
    ready = on_cpu and is_prepared(folder) and find_spec("onnxruntime")
    return _OnnxModel(folder) if ready else _TorchModel(folder, device)


def is_prepared(folder: Path) -> bool:
    """Return whether :func:`prepare` was run since the weights came."""
    made, weights = folder / FILE, folder / "model.safetensors"
    return made.is_file() and made.stat().st_mtime >= weights.stat().st_mtime


class _TorchModel:
    def __init__(self, folder: Path, device: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder).eval().requires_grad_(False).to(device)
        self._recorded: dict[tuple[int, ...], Any] | None = None
        if device != "cpu":
            self._recorded, self._pool = {}, torch.cuda.graph_pool_handle()
        self.together = 16 if device == "cpu" else 256

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"] if texts else []

    def vectors(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        import torch

        padded = _padded(rows, round_up=self._recorded is not None)
        ids, mask = (torch.from_numpy(part).to(self._model.device) for part in padded)
        with torch.no_grad():
            found: NDArray[np.float32] = self._pass(ids, mask)[: len(rows)].cpu().numpy()
        return found

    def _pass(self, ids: Any, mask: Any) -> Any:
        """Compute a batch; on a GPU a pass of each shape is recorded as a CUDA graph, and replayed."""
        import torch

        if self._recorded is None:
            return _pooled(self._model, ids, mask)
        if ids.shape not in self._recorded:
            try:
                compute = partial(_pooled, self._model)
                self._recorded[ids.shape] = torch.cuda.make_graphed_callables(compute, (ids, mask), pool=self._pool)
            except RuntimeError as error:
                self._recorded = None
                reason = str(error).splitlines()[0]
                warnings.warn(
                    f"the embedder can't be recorded as a CUDA graph, and is slower so: {reason}", stacklevel=2
                )
                return _pooled(self._model, ids, mask)
        return self._recorded[ids.shape](ids, mask)


class _OnnxModel:
    together = 16

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # short texts are no faster with more
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(folder / FILE), options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has errors of its own
            raise EmbedderError(f"{folder / FILE} is damaged ({error}): delete it") from error
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer.encode(text).ids for text in texts]

    def vectors(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        ids, mask = _padded(rows)
        found: NDArray[np.float32] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return found


def _padded(rows: Sequence[Sequence[int]], round_up: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids and mask, ``[rows, tokens]``; rounded up, their shapes are few."""
    count, longest = len(rows), max(map(len, rows))
    if round_up:
        count, longest = (1 << (size - 1).bit_length() for size in (count, max(longest, 16)))
    ids, mask = np.zeros((2, count, longest), np.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = row, 1
    return ids, mask


def _pooled(model: Any, ids: Any, mask: Any) -> Any:
    """Return the mean of the hidden states of each row's tokens, of length 1."""
    from torch.nn.functional import normalize

    hidden = model(
        input_ids=ids, attention_mask=(1.0 - mask[:, None, None, :].to(model.dtype)) * -1e9
    ).last_hidden_state
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return normalize((hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9), dim=-1)


def prepare(folder: Path) -> Path:
    """Convert the network for ONNX Runtime, and return the file.

    Args:
        folder: Folder with ``model.safetensors``.
    """
    if is_prepared(folder):
        return folder / FILE
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any) -> Any:
            return _pooled(self.model, ids, mask)

    target = folder / FILE
    partial = target.with_suffix(f".partial-{os.getpid()}")
    ids = torch.ones((2, 7), dtype=torch.long)
    axes = {0: "rows", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Pooled().eval(),
            (ids, torch.ones_like(ids)),
            partial,
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "vectors": {0: "rows"}},
            dynamo=False,
            opset_version=17,
        )
    partial.replace(target)
    return target
