"""Grammar-constrained decoding of calls, for several conversations at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from llguidance import LLMatcher

from agent.errors import ModelError
from agent.models.engine import Computed, Engine, Pending, Row
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
        done: Whether all tokens of the call are known.
        read: Whether its prompt has passed through the model.
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
    read: bool = False

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to compute."""
        return self.read and self.done

    def row(self, temperature: float) -> Row:
        """Return the tokens that pass through the model next."""
        seed = 0 if temperature <= 0 else int(self.rng.integers(2**63))
        return Row(self.kept.slot, len(self.kept.tokens), self.feed, self.scored, not self.done, temperature, seed)

    def passed(self, computed: Computed) -> None:
        """Take in what the pass gave."""
        self.kept.tokens += self.feed
        self.feed, self.read = [], True
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


class Writer:
    """Writes the calls of several conversations at once: new ones join, and complete ones leave, after every pass.

    Args:
        engine: Computes the tokens.
        grammar: The grammar's masks.
    """

    def __init__(self, engine: Engine, grammar: Grammar) -> None:
        self.engine = engine
        self.grammar = grammar
        self._pending: Pending | None = None
        self._passing: list[Job] = []

    def advance(self, jobs: Sequence[Job], temperature: float) -> None:
        """Wait for the pass under way, and begin the next one with all calls that are not complete.

        Where a GPU computes, the first pass takes only half of the calls: afterwards one half is computed while the
        other half acts.

        Args:
            jobs: The calls that are being written; those that are left out of one call are not written on.
            temperature: 0: greedy; above 0: sampling with each job's ``rng``.
        """
        under_way = self._pending is not None
        self.land()
        open_jobs = [job for job in jobs if not job.complete]
        if not under_way and len(open_jobs) > 1 and self.engine.device.startswith("cuda"):
            open_jobs = open_jobs[: len(open_jobs) // 2]
        if open_jobs:
            self._begin(open_jobs, temperature)

    def land(self) -> None:
        """Wait for the pass under way, if there is one."""
        if self._pending is None:
            return
        try:
            found = self._pending()
        except Exception:
            self._pending = None
            raise  # after an interruption the answer is still to come: it is waited for again
        self._pending = None
        for job, computed in zip(self._passing, found, strict=True):
            job.passed(computed)

    def _begin(self, jobs: list[Job], temperature: float) -> None:
        rows = [job.row(temperature) for job in jobs]
        choosing = [job.matcher for job in jobs if not job.done]
        self._passing = jobs
        self._pending = self.engine.begin(rows, lambda: self.grammar.masks(choosing))
