"""Surprise: how unexpected an observation was to the model that read it."""

import math
from collections.abc import Sequence


def surprise_of(logprobs: Sequence[float]) -> float | None:
    """Return ``1 - exp(mean log p)``: 0 for a text that was certain, near 1 for one that nobody could expect.

    It is one minus the geometric mean of the probabilities of the tokens, so that long texts compare with short ones.

    Args:
        logprobs: Natural-log probability of each token of the observation, each given all tokens before it.

    Returns:
        The surprise in [0, 1]; ``None`` if there is no token.
    """
    return 1.0 - math.exp(sum(logprobs) / len(logprobs)) if logprobs else None
