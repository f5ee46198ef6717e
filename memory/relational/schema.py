"""Schemas: usual relations of kinds of entities, declared or learnt from facts, and how well statements fit them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from memory import provenance
from memory.embedding import Embedder
from memory.errors import InvalidItemError
from memory.provenance import Provenance
from memory.relational.names import normalise, relation_name
from memory.store import Store

Vectors = NDArray[np.float32]

_SAMPLE = 256
_TRUSTED_FROM = 3


class Routing(BaseModel):
    """Settings that decide which facts count at once and which must be told or replayed again first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(False, description="Score new statements by the schemas; if off, all count at once.")
    fit_min: float = Field(0.6, ge=0, le=1, description="Least fit at which a statement counts at once.")
    exposures: int = Field(3, ge=1, description="How often other statements must be told or replayed to count.")

    def consolidated(self, fit: float, strength: int) -> bool:
        """Return whether a fact counts in full."""
        return not self.enabled or fit >= self.fit_min or strength >= self.exposures


@dataclass(frozen=True, slots=True)
class Frame:
    """A kind of entity and its usual relations.

    Attributes:
        name: The kind, as in ``X is_a NAME``.
        slots: For each relation the kind of its tail; empty if any kind fits.
    """

    name: str
    slots: Mapping[str, str]


class SchemaIndex:
    """Index that scores how well statements fit what is known about their relation.

    A declared frame applies if the kind of the head is known (``is_a``). In addition each relation has learnt
    prototypes: embeddings of the heads and tails of its facts that hold. They are computed from the facts and
    never stored, so forgotten facts leave no trace in them.

    Args:
        store: The database.
        embedder: Turns names into vectors.
        routing: Decides which facts count in full and make prototypes.
    """

    def __init__(self, store: Store, embedder: Embedder, routing: Routing | None = None) -> None:
        self.routing = routing or Routing()
        self.store = store
        self.embedder = embedder
        self._stamp: object = None
        self._prototypes: dict[str, tuple[int, Vectors, Vectors] | None] = {}

    def declare(self, name: str, slots: Mapping[str, str], origin: Provenance | str | None = None) -> int:
        """Add or replace a frame and return its row.

        Args:
            name: The kind, as ``"person"``.
            slots: For each relation the kind of its tail, as ``{"lives_in": "place"}``; ``""`` for any kind.
            origin: Who says so.

        Raises:
            InvalidItemError: An empty name or no slots.
        """
        kind = normalise(name)
        typed = {relation_name(relation): normalise(of) for relation, of in slots.items()}
        if not kind or not typed or not all(typed):
            raise InvalidItemError(f"a frame needs a name and slots of relations, got {name!r} and {dict(slots)}")
        with self.store.write() as db:
            row, strength = db.execute(
                "INSERT INTO frames(name, slots) VALUES (?, ?) ON CONFLICT(name)"
                " DO UPDATE SET slots = excluded.slots, strength = strength + 1 RETURNING id, strength",
                (kind, json.dumps(typed)),
            ).fetchone()
            contribution = {"slots": json.dumps(typed)}
            provenance.add(db, ("frames", row), provenance.origin_of(origin), contribution, fresh=strength == 1)
        return int(row)

    def frames(self) -> list[Frame]:
        """Return the declared frames, oldest first."""
        rows = self.store.db.execute("SELECT name, slots FROM frames ORDER BY id").fetchall()
        return [Frame(name, json.loads(slots)) for name, slots in rows]

    def fits(self, statements: Sequence[tuple[str, str, str]]) -> list[float]:
        """Return the fit of each ``(head, relation, tail)``, in [0, 1]; 0 if nothing is known about its relation."""
        if not statements:
            return []
        self._sync()
        frames = {frame.name: frame.slots for frame in self.frames()}
        names = list(dict.fromkeys(name for head, _, tail in statements for name in (head, tail)))
        vectors = dict(zip(names, self.embedder.embed(names), strict=True))
        return [
            max(
                self._declared(statement, frames), self._learnt(statement, vectors[statement[0]], vectors[statement[2]])
            )
            for statement in statements
        ]

    def _declared(self, statement: tuple[str, str, str], frames: Mapping[str, Mapping[str, str]]) -> float:
        head, relation, tail = statement
        if not frames:
            return 0.0
        best = 0.0
        for kind in self._kinds(head):
            slots = frames.get(kind, {})
            if relation in slots:
                wanted, kinds = slots[relation], self._kinds(tail)
                best = max(best, 1.0 if not wanted or wanted in kinds else (0.5 if not kinds else 0.0))
        return best

    def _kinds(self, name: str) -> list[str]:
        rows = self.store.db.execute(
            "SELECT tail FROM facts WHERE head = ? AND relation = 'is_a' AND valid_to IS NULL", (name,)
        )
        return [kind for row in rows.fetchall() for kind in {row[0], row[0].rpartition(" ")[2]}]

    def _learnt(self, statement: tuple[str, str, str], head: Vectors, tail: Vectors) -> float:
        """Return the similarity to the relation's prototypes, scaled down while few facts made them."""
        known = self._prototype(statement[1])
        if known is None:
            return 0.0
        count, heads, tails = known
        near = min(float((heads @ head).max()), float((tails @ tail).max()))
        far = min(float(heads.mean(0) @ head), float(tails.mean(0) @ tail))
        return float(np.clip(near + far, 0.0, 1.0)) * min(1.0, count / _TRUSTED_FROM)

    def _prototype(self, relation: str) -> tuple[int, Vectors, Vectors] | None:
        if relation not in self._prototypes:
            rows = self.store.db.execute(
                "SELECT head, tail FROM facts WHERE relation = ? AND valid_to IS NULL"
                " AND (fit >= ? OR strength + rehearsals >= ?) ORDER BY id DESC LIMIT ?",
                (relation, self.routing.fit_min, self.routing.exposures, _SAMPLE),
            ).fetchall()
            self._prototypes[relation] = (
                (len(rows), self.embedder.embed([r[0] for r in rows]), self.embedder.embed([r[1] for r in rows]))
                if rows
                else None
            )
        return self._prototypes[relation]

    def refresh(self) -> None:
        """Discard the prototypes; they are computed again when needed."""
        self._stamp = None

    def _sync(self) -> None:
        stamp = (self.store.stamp, self.store.db.total_changes)
        if stamp != self._stamp:
            self._prototypes, self._stamp = {}, stamp
