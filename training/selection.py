"""Which logged episodes are learnt from, for every way to learn from them."""

from typing import Literal

from agent.logs.episodes import Logged
from envs.splits import Split, split_of

Refusal = Literal["unfinished", "of another split", "unsolved"]
"""Why an episode is left out."""


def refusal(episode: Logged | None, split: Split | None, solved: bool) -> Refusal | None:
    """Return why an episode is left out; ``None`` if it is taken.

    Args:
        episode: The beginning and the end of its log; ``None`` if the log lacks a beginning.
        split: Split that its world must belong to; ``None`` for any.
        solved: Whether it must have succeeded.
    """
    if episode is None or episode.end is None:
        return "unfinished"
    return refusal_of(episode.start.seed or 0, episode.end.success, split, solved)


def refusal_of(seed: int | None, success: bool, split: Split | None, solved: bool) -> Refusal | None:
    """Return why an episode with this seed and outcome is left out; without a seed it belongs to every split."""
    if split is not None and seed is not None and split_of(seed) != split:
        return "of another split"
    return "unsolved" if solved and not success else None
