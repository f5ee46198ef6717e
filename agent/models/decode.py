"""Grammar-constrained decoding of calls, for several conversations at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from llguidance import LLMatcher

from agent.errors import ModelError
from agent.models.engine import Computed, Engine, Row
from agent.models.grammar import Grammar
from agent.models.slots import Kept

Narrow = Callable[[Sequence[int]], LLMatcher | None]


@dataclass(eq=False)
class Job:
    """One call to be written.

    Attributes:
        kept: Where the conversation is kept.
        feed: Tokens that have to pass through the model next; at first the new tokens of the prompt; when the
            call is complete, those of its tokens that are not kept yet.
        scored: Range of ``feed`` whose log-probabilities are wanted.
        matcher: The grammar's state.
        rng: Source of randomness when sampling.
        max_tokens: Greatest length of the call in tokens.
        narrow: Returns a narrower grammar once the tool is known, such as one whose words stand in the window; it is
            called when the call has changed, until it returns one.
        tokens: The call so far.
        chosen: How many tokens of the call were chosen.
        forced: How many tokens of the call the grammar left no choice about.
        logprobs: Natural-log probabilities of the scored tokens.
        done: Whether the call is complete.
    """

    kept: Kept
    feed: list[int]
    scored: range
    matcher: LLMatcher
    rng: np.random.Generator
    max_tokens: int
    narrow: Narrow | None = None
    tokens: list[int] = field(default_factory=list)
    chosen: int = 0
    forced: int = 0
    logprobs: tuple[float, ...] = ()
    done: bool = False

    def row(self, temperature: float) -> Row:
        """Return the tokens that pass through the model next."""
        seed = 0 if temperature <= 0 else int(self.rng.integers(2**63))
        return Row(self.kept.slot, len(self.kept.tokens), self.feed, self.scored, not self.done, temperature, seed)

    def passed(self, computed: Computed) -> None:
        """Take in what the pass gave."""
        self.kept.tokens += self.feed
        self.feed = []
        if self.scored:
            self.logprobs, self.scored = computed.logprobs, range(0)
        if not self.done:
            self.choose(computed.token)

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
        self._append_forced()
        if self.narrow is not None and (narrower := self.narrow(self.tokens)) is not None:
            self.matcher, self.narrow = narrower, None
            self._append_forced()
        if self.matcher.is_error():
            raise ModelError(f"the grammar broke off after {len(self.tokens)} tokens: {self.matcher.get_error()}")
        self.done = self.matcher.is_stopped() or len(self.tokens) >= self.max_tokens

    def _append_forced(self) -> None:
        tokens = self.matcher.compute_ff_tokens()
        if tokens:
            self.matcher.consume_tokens(tokens)
            self.tokens += tokens
            self.feed += tokens
            self.forced += len(tokens)


def write(jobs: Sequence[Job], engine: Engine, grammar: Grammar, temperature: float) -> None:
    """Write every job's call, and store the results in the jobs.

    Args:
        jobs: Calls to be written, of different conversations.
        engine: Computes the tokens.
        grammar: The grammar's masks.
        temperature: 0: greedy; above 0: sampling with each job's ``rng``.
    """
    for job in jobs:
        job.force()
    waiting = list(jobs)
    while waiting:
        rows = [job.row(temperature) for job in waiting]
        choosing = [job.matcher for job in waiting if not job.done]
        for job, computed in zip(waiting, engine.step(rows, lambda: grammar.masks(choosing)), strict=True):  # noqa: B023
            job.passed(computed)
        waiting = [job for job in waiting if not job.done]
