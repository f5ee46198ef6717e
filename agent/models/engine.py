"""The interface of what computes a model's next tokens: PyTorch on a GPU or a CPU, or another runtime."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.errors import ModelError

Masks = Callable[[], NDArray[np.int32]]
"""Returns which tokens may come next, for each row that chooses one: int32 ``[rows, ceil(vocabulary / 32)]``, one bit a
token. It is called while the device computes."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens of one conversation that pass through the model.

    Attributes:
        slot: Where the conversation's keys and values are kept.
        start: How many of the tokens kept there count; those after them are overwritten.
        ids: The tokens, at least one.
        scored: Range of ``ids`` whose log-probabilities are wanted; the first token has none.
        chooses: Whether the next token is wanted.
        temperature: 0: the likeliest token; above 0: one is drawn.
        seed: Seed of the draw.
    """

    slot: int
    start: int
    ids: Sequence[int]
    scored: range = range(0)
    chooses: bool = True
    temperature: float = 0.0
    seed: int = 0

    @property
    def places(self) -> range:
        """The places of ``ids`` that are scored."""
        return range(max(self.scored.start, 1), self.scored.stop)


@dataclass(frozen=True, slots=True)
class Computed:
    """What a pass gave for one row.

    Attributes:
        token: The next token; -1 if none was wanted.
        logprobs: Natural-log probabilities of the scored tokens.
    """

    token: int = -1
    logprobs: tuple[float, ...] = ()


Pending = Callable[[], list[Computed]]
"""Waits for a pass that was begun, and returns what it gave for each row."""


class Engine(Protocol):
    """Keeps keys and values of several conversations, and passes tokens through a model."""

    @property
    def name(self) -> str:
        """Name of what computes, as ``model.backend=`` takes it."""
        ...

    @property
    def vocab_size(self) -> int:
        """Width of the model's logits."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, in words."""
        ...

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` conversations, numbered from 0; what is kept stays.

        Raises:
            ConfigError: There is not enough memory; the message says what fits.
        """
        ...

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        """Begin to pass tokens of several conversations, of different slots, through the model once.

        The caller may do other things before it waits for what is returned, but begins no other pass.

        Args:
            rows: The tokens.
            masks: What may come next in the rows that choose, in their order; not called if none does.
        """
        ...


def check_length(row: Row, most: int) -> None:
    """Refuse a row that is longer than its slot.

    Raises:
        ModelError: It is; ``most`` is the length of a slot in tokens.
    """
    if (length := row.start + len(row.ids)) > most:
        raise ModelError(f"a conversation of {length} tokens does not fit into {most}: raise model.seq_len")


def draw(logits: NDArray[np.float32], temperature: float, seed: int) -> int:
    """Draw a token from its logits, float32 ``[vocabulary]``, minus infinity where it may not come (Gumbel's trick)."""
    allowed = np.flatnonzero(np.isfinite(logits))
    noise = np.random.default_rng(seed).gumbel(size=len(allowed))
    return int(allowed[np.argmax(logits[allowed] / temperature + noise)])
