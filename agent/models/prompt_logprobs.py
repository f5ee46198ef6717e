"""Probabilities of the prompt's tokens, where a server gives them (vLLM's ``prompt_logprobs``)."""

import math
from collections.abc import Mapping
from typing import Any

REQUEST = {"prompt_logprobs": 0}
"""What a request has to ask for them: those of the tokens that are there, and of no others."""


def given(body: Any) -> bool:
    """Return whether a server gave probabilities of its prompt."""
    return isinstance(body, Mapping) and isinstance(body.get("prompt_logprobs"), list)


def logprobs_of(body: Any, words: str) -> tuple[float, ...]:
    """Return the natural-log probabilities of the tokens of the last place in the prompt that has these words.

    Args:
        body: The decoded answer.
        words: An observation.

    Returns:
        One for each token that overlaps with the words; none if the server gave no probabilities.
    """
    if not given(body) or not words.strip():
        return ()
    text, tokens = "", list[tuple[int, float]]()
    for entry in body["prompt_logprobs"]:
        told = next(iter(entry.values()), None) if isinstance(entry, Mapping) and entry else None
        if not isinstance(told, Mapping):  # the first token has none
            continue
        piece, logprob = told.get("decoded_token"), told.get("logprob")
        if not isinstance(piece, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            return ()
        if not math.isfinite(logprob):
            return ()
        tokens.append((len(text), float(logprob)))
        text += piece
    words = words.strip()  # templates trim what they show
    start = text.rfind(words)
    if start < 0:
        return ()
    ends = [*(begin for begin, _ in tokens[1:]), len(text)]
    stop = start + len(words)
    return tuple(p for (begin, p), end in zip(tokens, ends, strict=True) if begin < stop and end > start)
