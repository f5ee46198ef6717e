"""The train, validation and test splits of seeds, wordings and layouts.

The seed decides: seeds below one million are for training, the next million for validation, all higher ones for tests.
Wordings, names and layout of a world follow from the split of its seed. A world of several visits belongs to the split
of its first seed. The only exception is a maze that is selected by ``maze_seed``: its layout may be of any split.
"""

import zlib
from collections.abc import Sequence
from typing import Literal, TypeVar

from envs.errors import EnvConfigError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SEEDS = 1_000_000
"""Number of seeds in the train and in the validation split."""

_BUCKETS: tuple[Split, ...] = ("train", "train", "train", "validation", "test")

T = TypeVar("T")


def split_of(seed: int) -> Split:
    """Return the split that a seed belongs to."""
    return SPLITS[min(seed // SEEDS, len(SPLITS) - 1)]


def seeds_of(split: str) -> range:
    """Return the seeds of a split.

    Raises:
        EnvConfigError: There is no such split.
    """
    if split not in SPLITS:
        raise EnvConfigError(f"unknown split {split!r}: expected {', '.join(SPLITS)}")
    first = SPLITS.index(split) * SEEDS
    return range(first, first + SEEDS if split != SPLITS[-1] else 2**31)


def part(items: Sequence[T], split: Split) -> list[T]:
    """Return the items of a list that belong to a split: three fifths to train, one fifth to each other split."""
    return [item for index, item in enumerate(items) if _BUCKETS[index % len(_BUCKETS)] == split]


def layout_split(layout: bytes) -> Split:
    """Return the split that a layout belongs to, by its checksum; generators redraw until it is the seed's split."""
    return _BUCKETS[zlib.crc32(layout) % len(_BUCKETS)]
