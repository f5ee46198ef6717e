"""Tuples, which are told to the graph, and facts, which it holds."""

import math
from dataclasses import dataclass, replace

from memory.errors import InvalidItemError
from memory.provenance import Provenance, origin_of
from memory.relational.names import normalise, relation_name

MAX_NAME = 500
"""Greatest number of characters of a name in the graph."""


@dataclass(frozen=True, slots=True)
class Tuple:
    """One statement to be told to the graph: ``head relation tail``.

    Attributes:
        head: Name of an entity.
        relation: Verb or role, as ``lives_in``.
        tail: Name of another entity, or a value.
        context: Further information from the sentence. A :class:`~memory.Provenance` here is taken for the
            provenance, which stood in this place in earlier releases, before context and confidence.
        time: When the fact began to hold, in seconds since the epoch; ``None`` for the provenance's time.
        conf: Confidence that the text states this, in [0, 1].
        provenance: Who says so, where and when; a string is the name of a source, and the caller's line of code is the
            source by default.
        since: When it began to hold, in seconds since the epoch, if that is not when it was told. A beginning after
            the telling makes it a plan: it is kept, but it is not a fact that holds now.
        until: When it stopped to hold; such a fact belongs to the past and never ends another one.
        event: Whether it tells that it began at ``since``, not that it still holds: "moved to Paris in 2012" leaves a
            home that is known for later as it is.
        beside: Other tails of the same head and relation that were told together with it, and hold together with it:
            two owners, two homes. ``"*"`` among them stands for every tail: "also works at Nokia".
    """

    head: str
    relation: str
    tail: str
    context: str | Provenance = ""
    time: float | None = None
    conf: float = 1.0
    provenance: Provenance | str | None = None
    since: float | None = None
    until: float | None = None
    event: bool = False
    beside: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Make the provenance complete."""
        given = self.provenance
        if isinstance(self.context, Provenance):  # the order of earlier releases: provenance, context, confidence
            if given is not None:
                raise InvalidItemError("a tuple has one provenance, got a second one in the place of the context")
            given, context = self.context, "" if self.time is None else self.time
            object.__setattr__(self, "context", context)
            object.__setattr__(self, "time", None)
        origin = origin_of(given)
        if self.time is not None:
            origin = replace(origin, time=float(self.time))
        object.__setattr__(self, "provenance", origin)
        if not all(moment is None or math.isfinite(moment) for moment in (self.since, self.until)):
            raise InvalidItemError(f"a tuple's since and until must be finite seconds, got {self.since}, {self.until}")
        if self.since is not None and self.until is not None and self.until < self.since:
            raise InvalidItemError(f"a tuple's until must not be before its since, got {self.since} to {self.until}")

    @property
    def planned(self) -> bool:
        """Whether it begins to hold later than it is told."""
        return self.since is not None and self.since > self.origin.time

    @property
    def origin(self) -> Provenance:
        """The provenance, complete."""
        assert isinstance(self.provenance, Provenance)
        return self.provenance

    def names(self) -> tuple[str, str, str]:
        """Return head, relation and tail as they are stored.

        Raises:
            InvalidItemError: One of them is empty, too long or not a string, or the confidence is outside [0, 1].
        """
        parts = (self.head, self.relation, self.tail)
        if not all(isinstance(part, str) for part in parts):
            raise InvalidItemError(f"a tuple's head, relation and tail must be texts, got {parts}")
        head, relation, tail = normalise(self.head), relation_name(self.relation), normalise(self.tail)
        if not (head and relation and tail):
            raise InvalidItemError(f"a tuple needs head, relation and tail, got {parts}")
        try:
            "".join((*parts, self.context)).encode()  # type: ignore[arg-type]
        except (UnicodeEncodeError, TypeError) as error:
            raise InvalidItemError(f"a tuple's texts must be valid Unicode, got {parts!r}: {error}") from error
        if max(map(len, (head, relation, tail))) > MAX_NAME:
            raise InvalidItemError(f"names have at most {MAX_NAME} characters, got one of {max(map(len, parts))}")
        if not 0.0 <= self.conf <= 1.0:
            raise InvalidItemError(f"a tuple's conf must be in [0, 1], got {self.conf}")
        return head, relation, tail


COLUMNS = "id, head, relation, tail, context, conf, valid_from, valid_to, strength"
"""Columns of ``facts`` in the order of :class:`Fact`."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of ``facts``; times are in seconds since the epoch, and ``valid_to`` is ``None`` while it holds."""

    id: int
    head: str
    relation: str
    tail: str
    context: str
    conf: float
    valid_from: float
    valid_to: float | None
    strength: int

    def __str__(self) -> str:
        """Return the fact as a short sentence."""
        return f"{self.head} {self.relation.replace('_', ' ')} {self.tail}"
