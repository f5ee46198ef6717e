"""A model as an engine on a CPU, by ONNX Runtime: twice as fast there as PyTorch, in the same precision (float32).

What runs is prepared once from the weights with the adapter added (:mod:`agent.models.prepared`).
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import CatalogError, ConfigError
from agent.models import prepared
from agent.models.engine import Computed, Masks, Pending, Row, check_length, draw

OPTIONS = {
    "inter_op_num_threads": 1,
    "session.intra_op.allow_spinning": "0",  # other processes get their turn
}

MARGIN = 64
"""Tokens by which a conversation may be longer than the window: those that open an answer."""


class OnnxEngine:
    """A prepared model, with a generator of ONNX Runtime GenAI for each conversation.

    Args:
        folder: The prepared model.
        slot_length: Most tokens of a conversation.
        threads: Threads to compute with.

    Raises:
        CatalogError: The prepared model is damaged.
        ConfigError: The model reads fewer tokens than a conversation may have.
    """

    name = "onnx"
    device = "cpu"

    def __init__(self, folder: Path, slot_length: int, threads: int) -> None:
        import onnxruntime_genai as og

        if not prepared.is_prepared(folder):
            raise CatalogError(f"{folder} is damaged or incomplete: run `hippo models prepare` again")
        settings = {"intra_op_num_threads": threads, **OPTIONS}
        config = og.Config(str(folder))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": settings}}}))
        about = json.loads((folder / "genai_config.json").read_text())["model"]
        most = int(about["context_length"])
        if most + MARGIN < slot_length:
            raise ConfigError(f"model.seq_len: this model reads at most {most} tokens, got more: lower it")
        self._model = og.Model(config)
        self._length = min(slot_length, most)
        self._generators: dict[int, Any] = {}
        self._og = og
        self.vocab_size = int(about["vocab_size"])

    def reserve(self, slots: int) -> None:
        """Do nothing: each conversation takes its memory when it begins."""

    def _generator(self, slot: int) -> Any:
        if slot not in self._generators:
            params = self._og.GeneratorParams(self._model)
            params.set_search_options(max_length=self._length, batch_size=1)
            self._generators[slot] = self._og.Generator(self._model, params)
        return self._generators[slot]

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        """Take tokens of several conversations; see :meth:`agent.models.engine.Engine.begin`.

        They are computed when they are waited for: nothing else is idle meanwhile.

        Raises:
            ModelError: A row is longer than its slot.
        """
        for row in rows:
            check_length(row, self._length)
        return partial(self._step, rows, masks)

    def _step(self, rows: Sequence[Row], masks: Masks) -> list[Computed]:
        passed = [self._pass(row) for row in rows]
        allowed = iter(masks() if any(row.chooses for row in rows) else ())
        return [
            Computed(_choose(row, last, next(allowed)) if row.chooses else -1, scores)
            for row, (last, scores) in zip(rows, passed, strict=True)
        ]

    def _pass(self, row: Row) -> tuple[NDArray[np.float32], tuple[float, ...]]:
        """Return the logits after the row's last token, and its scores."""
        generator = self._generator(row.slot)
        if generator.token_count() > row.start:
            generator.rewind_to(row.start)
        generator.append_tokens(np.asarray([row.ids], np.int32))
        logits: NDArray[np.float32] = np.asarray(generator.get_output("logits"))[0]
        last = logits[-1].copy()
        return last, _scores(row, logits)


def _scores(row: Row, logits: NDArray[np.float32]) -> tuple[float, ...]:
    """Return the natural-log probabilities of a row's scored tokens from the logits before them."""
    places = row.places
    if not places:
        return ()
    before = logits[places.start - 1 : places.stop - 1]
    before -= before.max(1, keepdims=True)
    wanted = before[np.arange(len(before)), list(row.ids[places.start : places.stop])].copy()
    total = np.exp(before, out=before).sum(1, dtype=np.float64)
    return tuple((wanted - np.log(total)).tolist())


def _choose(row: Row, logits: NDArray[np.float32], mask: NDArray[np.int32]) -> int:
    """Return the next token among those allowed."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")[: len(logits)]
    logits[bits == 0] = -np.inf
    return draw(logits, row.temperature, row.seed) if row.temperature > 0 else int(logits.argmax())
