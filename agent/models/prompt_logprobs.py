"""Probabilities of the prompt's tokens, where a server gives them (vLLM's ``prompt_logprobs``)."""

from collections.abc import Mapping
from typing import Any

REQUEST = {"prompt_logprobs": 0}
"""What a request has to ask for them: those of the tokens that are there, and of no others."""


def logprobs_of(body: Any, words: str) -> tuple[float, ...]:
    """Return the natural-log probabilities of the tokens of the last place in the prompt that has these words.

    Args:
        body: The decoded answer.
        words: An observation.

    Returns:
        One for each token that overlaps with the words; none if the server gave no probabilities.
    """
    given = body.get("prompt_logprobs") if isinstance(body, Mapping) else None
    if not isinstance(given, list) or not words:
        return ()
    text, tokens = "", list[tuple[int, float]]()
    for entry in given:
        told = next(iter(entry.values()), None) if isinstance(entry, Mapping) and entry else None
        if not isinstance(told, Mapping):  # the first token has none
            continue
        piece, logprob = told.get("decoded_token"), told.get("logprob")
        if not isinstance(piece, str) or not isinstance(logprob, int | float):
            return ()
        tokens.append((len(text), float(logprob)))
        text += piece
    start = text.rfind(words)
    if start < 0:
        return ()
    ends = [*(begin for begin, _ in tokens[1:]), len(text)]
    stop = start + len(words)
    return tuple(p for (begin, p), end in zip(tokens, ends, strict=True) if begin < stop and end > start)
