"""Grammar-constrained decoding of calls, for a batch of rows that share one KV cache."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher
from numpy.typing import NDArray

from agent.errors import ModelError
from agent.models.grammar import Grammar
from agent.models.kv import BatchCache

LOGIT_ROWS = 2048
"""Positions whose logits are held at once when observations are scored."""


@dataclass(eq=False)
class Job:
    """One call to be written.

    Attributes:
        row: Row of the cache.
        feed: Tokens that have to pass through the model next; at first the new tokens of the prompt; when the
            call is complete, those of its tokens that are not in the cache yet.
        scored: Range of ``feed`` whose log-probabilities are wanted.
        matcher: The grammar's state.
        rng: Source of randomness when sampling.
        max_tokens: Greatest length of the call in tokens.
        tokens: The call so far.
        chosen: How many tokens of the call were chosen.
        forced: How many tokens of the call the grammar left no choice about.
        logprobs: Natural-log probabilities of the scored tokens.
        done: Whether the call is complete.
    """

    row: int
    feed: list[int]
    scored: range
    matcher: LLMatcher
    rng: np.random.Generator
    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    chosen: int = 0
    forced: int = 0
    logprobs: tuple[float, ...] = ()
    done: bool = False

    @property
    def cut(self) -> bool:
        """Whether the call ran into its limit before it was complete."""
        return self.done and not self.matcher.is_stopped()

    def choose(self, token: int) -> None:
        """Append a chosen token."""
        self.matcher.consume_token(token)
        self.tokens.append(token)
        self.feed.append(token)
        self.chosen += 1
        self.force()

    def force(self) -> None:
        """Append the tokens that the grammar leaves no choice about."""
        tokens = self.matcher.compute_ff_tokens()
        if tokens:
            self.matcher.consume_tokens(tokens)
            self.tokens += tokens
            self.feed += tokens
            self.forced += len(tokens)
        if self.matcher.is_error():
            raise ModelError(f"the grammar broke off after {len(self.tokens)} tokens: {self.matcher.get_error()}")
        self.done = self.matcher.is_stopped() or len(self.tokens) >= self.max_tokens


class BatchDecoder:
    """Prefill and decoding for many rows at once.

    Args:
        decoder: The model without its head: token ids to hidden states.
        head: Hidden states to logits.
        grammar: The grammar's masks.
        device: Where the model is.
    """

    def __init__(self, decoder: Any, head: Any, grammar: Grammar, device: torch.device) -> None:
        self.decoder = decoder
        self.head = head
        self.grammar = grammar
        self.cache = BatchCache(device)

    def write(self, jobs: Sequence[Job], temperature: float) -> None:
        """Write every job's call, and store the results in the jobs.

        Args:
            jobs: Calls to be written, of different rows.
            temperature: 0: greedy; above 0: sampling with each job's ``rng``.
        """
        for job in jobs:
            job.force()
        # Rows without a cache have the longest prompts: they are prefilled first and by themselves, so
        # that the others are not padded to their length.
        new = [job for job in jobs if self.cache.lengths[job.row] == 0]
        if new:
            self._step(new, temperature, BatchCache(self.cache.device), range(len(new)))
        going_on = [job for job in jobs if job not in new]
        if going_on:
            self._step(going_on, temperature, self.cache, [job.row for job in going_on])
        while writing := [job for job in jobs if not job.done]:
            self._step(writing, temperature, self.cache, [job.row for job in writing])
        self.cache.compact()

    def _step(self, jobs: Sequence[Job], temperature: float, cache: BatchCache, rows: Sequence[int]) -> None:
        """Pass the jobs' tokens through the model once and choose the next token of each."""
        while len(cache.lengths) <= max(rows):
            cache.add_row()
        additions: list[list[int]] = [[] for _ in cache.lengths]
        for job, row in zip(jobs, rows, strict=True):
            additions[row], job.feed = job.feed, []
        ids, positions = cache.extend(additions)
        hidden = self.decoder(
            input_ids=ids,
            attention_mask=cache.mask,
            position_ids=positions,
            past_key_values=cache.cache,
            use_cache=True,
        ).last_hidden_state
        if cache is not self.cache:
            self.cache.adopt([job.row for job in jobs], cache)
        self._score(jobs, rows, hidden, ids)
        writing = [(job, row) for job, row in zip(jobs, rows, strict=True) if not job.done]
        if writing:
            last = hidden[[row for _, row in writing], [len(additions[row]) - 1 for _, row in writing]]
            for (job, _), token in zip(writing, self._next([j for j, _ in writing], last, temperature), strict=True):
                job.choose(token)

    def _score(self, jobs: Sequence[Job], rows: Sequence[int], hidden: torch.Tensor, ids: torch.Tensor) -> None:
        """Compute the log-probabilities of the scored tokens from the hidden states before them.

        Args:
            jobs: The jobs; what was scored is not scored again.
            rows: Row of each in ``hidden``.
            hidden: ``[rows, width, hidden size]``.
            ids: int64 ``[rows, width]``.
        """
        places = [[(row, i) for i in job.scored if i > 0] for job, row in zip(jobs, rows, strict=True)]
        flat = torch.tensor([p for group in places for p in group], device=ids.device, dtype=torch.long).reshape(-1, 2)
        scores: list[float] = []
        for part in flat.split(LOGIT_ROWS):
            logits = self.head(hidden[part[:, 0], part[:, 1] - 1]).float()
            targets = ids[part[:, 0], part[:, 1]]
            scores += logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].tolist()
        score_iterator = iter(scores)
        for job, group in zip(jobs, places, strict=True):
            if group:
                job.logprobs, job.scored = tuple(islice(score_iterator, len(group))), range(0)

    def _next(self, jobs: Sequence[Job], hidden: torch.Tensor, temperature: float) -> list[int]:
        """Return each job's next token among those its grammar allows; ``hidden`` is ``[jobs, hidden size]``."""
        logits = self.head(hidden).float()
        bits = torch.from_numpy(self.grammar.masks([job.matcher for job in jobs])).to(logits.device)
        shifts = torch.arange(32, device=logits.device, dtype=torch.int32)
        allowed = ((bits[:, :, None] >> shifts) & 1).flatten(1)[:, : logits.shape[1]].bool()
        logits = logits.masked_fill(~allowed, -math.inf)
        if temperature <= 0:
            best: list[int] = logits.argmax(-1).tolist()
            return best
        scores: NDArray[np.float32] = logits.cpu().numpy() / temperature
        return [int(np.argmax(s + job.rng.gumbel(size=s.shape))) for s, job in zip(scores, jobs, strict=True)]
