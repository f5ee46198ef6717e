"""What a sentence states: a head, a relation, a tail, and when it holds."""

from collections.abc import Iterator
from dataclasses import dataclass

Named = tuple[str, float]
"""A name, and the confidence that it is meant."""

SURE, OBLIQUE = 0.95, 0.9
"""Confidence of a statement from subject and object, and with a preposition."""


@dataclass(frozen=True, slots=True)
class Stated:
    """One statement of a sentence.

    Attributes:
        head: As it is told.
        relation: Of head and tail.
        tail: As it is told.
        conf: Confidence that the sentence states it.
        since: When it began to hold, if a date tells it, in seconds since the epoch.
        until: When it stopped to hold, likewise.
        past: Whether it is told in the past tense without a date.
        event: Whether it tells that something began, as "moved" does.
        heads: The heads that the sentence tells together, this one among them: "Ada and Bo own the shop".
        tails: The tails that it tells together, likewise.
        more: Whether it holds beside what is known already: "also works at Nokia".
    """

    head: str
    relation: str
    tail: str
    conf: float
    since: float | None = None
    until: float | None = None
    past: bool = False
    event: bool = False
    heads: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    more: bool = False


def every(heads: list[Named], relation: str, tails: list[Named], conf: float) -> Iterator[Stated]:
    """Yield the statement of each head with each tail."""
    together = tuple(name for name, _ in heads), tuple(name for name, _ in tails)
    for head, sure in heads:
        for tail, known in tails:
            yield Stated(head, relation, tail, round(min(conf, sure, known), 3), heads=together[0], tails=together[1])
