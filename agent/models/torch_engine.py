"""A Transformers model as an engine: rows packed without padding, keys and values in slots, CUDA graphs on a GPU."""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.errors import ConfigError
from agent.models.engine import Computed, Masks, Pending, Row, check_length, draw
from agent.models.graphs import GraphedPass, shape_of
from agent.models.ragged import SlotCache, has_kernel, packed, ragged_attention, unpacked

LARGEST = 16_384
"""Most tokens of one pass on a GPU."""

LOGITS = 100_000_000
"""Logits that are held at once when observations are scored."""


class TorchEngine:
    """A Transformers model that decides for many conversations at once.

    Args:
        model: The causal language model; may be one of PEFT.
        slot_length: Most tokens of a conversation.

    Attributes:
        record: Whether passes are recorded as CUDA graphs, where there is a GPU.
    """

    name = "torch"

    def __init__(self, model: Any, slot_length: int) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        config = base.config
        self.decoder = base.get_decoder()
        self._config = self.decoder.config
        self.head = base.get_output_embeddings()
        self._device: torch.device = model.device
        self._vocab_size = int(config.vocab_size)
        self._dtype: torch.dtype = self.decoder.get_input_embeddings().weight.dtype
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        length = -(-slot_length // 64) * 64
        _refuse_other_attention(config, slot_length)
        self._cache = SlotCache(config.num_hidden_layers, heads, size, length, self._dtype, self._device)
        self._kernel = self._device.type == "cuda" and has_kernel(self._device, self._dtype, size)
        self._graphed: GraphedPass | None = None
        self.record = True
        if self._device.type == "cuda" and not self._kernel:
            reason = f"no FlashAttention for {str(self._dtype).removeprefix('torch.')} on this GPU"
            warnings.warn(f"{reason}: conversations are computed one by one, which is slower", stacklevel=2)
        if self._kernel:
            self._graphed = GraphedPass(self._hidden, config.hidden_size, LARGEST, self._dtype, self._device)

    @property
    def vocab_size(self) -> int:
        """Width of the model's logits."""
        return self._vocab_size

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self._device)

    @property
    def graphs(self) -> GraphedPass | None:
        """The recorded passes; ``None`` where none are recorded."""
        return self._graphed

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` conversations, numbered from 0; what is kept stays.

        Raises:
            ConfigError: There is not enough memory on the card; the message says what fits.
        """
        spare = int(self._device.type == "cuda")  # where the padding of a pass is written
        if slots + spare <= self._cache.slots:
            return
        if spare:
            self._check_memory(slots)
        self._cache.grow(slots + spare)
        if self._graphed is not None:
            self._graphed.forget()

    def _check_memory(self, slots: int) -> None:
        free = torch.cuda.mem_get_info(self._device)[0]
        free += torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        tokens = min(LARGEST, (slots + 1) * self._cache.length)
        working = 12 * LOGITS + tokens * 64 * int(self._config.hidden_size)
        each = self._cache.slot_bytes
        kept = self._cache.slots * each  # copied to a larger place: both are held for a moment
        if (slots + 1) * each + working > free:
            fits = max(0, (free - working) // each - 1)
            raise ConfigError(
                f"{slots:,} worlds at once need {((slots + 1) * each + working) / 2**30:.1f} GiB of the card's memory, "
                f"{each / 2**20:.0f} MiB each, and {free / 2**30:.1f} GiB are free: at most "
                f"batch={max(fits, kept // each - 1)}, or a smaller model.seq_len"
            )

    @torch.inference_mode()
    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        """Begin a pass of tokens of several conversations; see :meth:`agent.models.engine.Engine.begin`.

        Raises:
            ModelError: A row is longer than its slot.
        """
        for row in rows:
            check_length(row, self._cache.length)
        self.reserve(max(row.slot for row in rows) + 1)
        last: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        for part in _parts(rows):
            starts = np.cumsum([0, *(len(row.ids) for row in part)])
            ends = self._there([int(end) - 1 for row, end in zip(part, starts[1:], strict=True) if row.chooses])
            places = self._there([at + i for row, at in zip(part, starts.tolist(), strict=False) for i in row.places])
            targets = self._there([row.ids[i] for row in part for i in row.places])
            hidden = self._pass(part)
            last.append(hidden[ends])
            scores += self._scores(hidden, places, targets)
        choosing = [row for row in rows if row.chooses]
        logits = self._logits(torch.cat(last), masks) if choosing else None
        best = logits.argmax(-1) if logits is not None else None

        def computed() -> list[Computed]:
            logprobs = torch.cat(scores).tolist() if scores else []
            chosen = iter(enumerate([] if best is None else best.tolist()))
            found, at = [], 0
            for row in rows:
                token, count = -1, len(row.places)
                if row.chooses:
                    index, token = next(chosen)
                    if row.temperature > 0 and logits is not None:
                        token = draw(logits[index].cpu().numpy(), row.temperature, row.seed)
                found.append(Computed(token, tuple(logprobs[at : at + count])))
                at += count
            return found

        return computed

    def _there(self, values: Sequence[int] | NDArray[np.int32]) -> torch.Tensor:
        """Return whole numbers on the device, without waiting for it."""
        tensor = torch.as_tensor(values, dtype=None if isinstance(values, np.ndarray) else torch.long)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)

    def _pass(self, rows: Sequence[Row]) -> torch.Tensor:
        """Return the hidden states of the rows' tokens, ``[tokens or more, width]``."""
        sizes = [len(row.ids) for row in rows]
        shape = (sum(sizes), len(rows), max(sizes))
        if self._kernel:
            shape = shape_of(*shape, largest=LARGEST)
        length = self._cache.length
        blob = packed(rows, length, *shape[:2], spare=self._cache.slots - 1)
        if self._graphed is not None and self.record and shape[0] <= LARGEST:
            return self._graphed(blob, shape)
        ends = np.cumsum([0, *sizes]).tolist()
        bounds = tuple(
            (begin, end, row.slot * length, row.start + end - begin)
            for row, begin, end in zip(rows, ends, ends[1:], strict=False)
        )
        return self._hidden(self._there(blob), *shape, bounds)

    def _hidden(
        self,
        blob: torch.Tensor,
        tokens: int,
        count: int,
        longest: int,
        bounds: tuple[tuple[int, int, int, int], ...] = (),
    ) -> torch.Tensor:
        ids, positions, layout = unpacked(blob, tokens, count, longest, bounds)
        self._cache.layout = layout
        with ragged_attention(self._config):
            hidden: torch.Tensor = self.decoder(
                input_ids=ids, position_ids=positions, past_key_values=self._cache, use_cache=True, ragged=layout
            ).last_hidden_state
        return hidden[0]

    def _scores(self, hidden: torch.Tensor, places: torch.Tensor, targets: torch.Tensor) -> list[torch.Tensor]:
        """Return the log-probabilities of tokens from the hidden states before their places."""
        if not len(places):
            return []
        return [
            -torch.nn.functional.cross_entropy(self.head(hidden[part - 1]).float(), target, reduction="none")
            for part, target in zip(*(x.split(LOGITS // self._vocab_size) for x in (places, targets)), strict=True)
        ]

    def _logits(self, hidden: torch.Tensor, masks: Masks) -> torch.Tensor:
        """Return the logits of the next tokens, minus infinity for those that may not come; ``[rows, vocabulary]``."""
        logits: torch.Tensor = self.head(hidden).float()
        bits = self._there(masks())
        shifts = torch.arange(32, device=self._device, dtype=torch.int32)
        allowed = ((bits[:, :, None] >> shifts) & 1).flatten(1)[:, : logits.shape[1]].bool()
        return logits.masked_fill(~allowed, -math.inf)


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Divide rows into passes of at most :data:`LARGEST` tokens."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and size + len(row.ids) > LARGEST:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.ids)
    yield part


def _refuse_other_attention(config: Any, length: int) -> None:
    """Refuse models whose attention is not over all earlier tokens.

    Raises:
        ConfigError: The model attends to fewer tokens than a conversation may have, or changes its scores.
    """
    window = getattr(config, "sliding_window", None)
    if window is not None and window < length and getattr(config, "use_sliding_window", True):
        raise ConfigError(f"this model attends to the last {window} tokens only: set model.seq_len to less than that")
    if getattr(config, "attn_logit_softcapping", None):
        raise ConfigError("models that cap the scores of their attention (Gemma 2) are not supported: choose another")
