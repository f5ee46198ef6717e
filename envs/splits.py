"""Train, validation and test: which seeds, words and layouts belong to which.

A seed decides: those below a million are for training, the next million for validation, all above for tests.
What a world says, whom it names and how it is laid out follow from the split of its seed; a world of several
visits belongs to the split of its first. Only a maze that is asked for by its own seed is outside of this.
"""

import zlib
from collections.abc import Sequence
from typing import Literal, TypeVar

from envs.errors import EnvConfigError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SEEDS = 1_000_000
"""Seeds of each split."""

_BUCKETS: tuple[Split, ...] = ("train", "train", "train", "validation", "test")

T = TypeVar("T")


def split_of(seed: int) -> Split:
    """The split that a seed belongs to."""
    return SPLITS[min(seed // SEEDS, len(SPLITS) - 1)]


def seeds_of(split: str) -> range:
    """The seeds of a split.

    Raises:
        EnvConfigError: There is no such split.
    """
    if split not in SPLITS:
        raise EnvConfigError(f"unknown split {split!r}: expected {', '.join(SPLITS)}")
    first = SPLITS.index(split) * SEEDS
    return range(first, first + SEEDS if split != SPLITS[-1] else 2**31)


def part(items: Sequence[T], split: Split) -> list[T]:
    """The items of a list that belong to a split: three fifths to train, a fifth to each of the others."""
    return [item for index, item in enumerate(items) if _BUCKETS[index % len(_BUCKETS)] == split]


def layout_split(layout: bytes) -> Split:
    """The split that a layout belongs to, by its checksum; a generator draws again until it is the seed's."""
    return _BUCKETS[zlib.crc32(layout) % len(_BUCKETS)]
