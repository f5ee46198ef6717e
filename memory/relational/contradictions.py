"""Contradictions: pairs of facts that can't both be true, and names that may be two."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from memory.relational.endings import OPPOSITES
from memory.relational.language.nouns import fits
from memory.relational.language.tense import PLAN_END
from memory.relational.names import document_of
from memory.relational.namesakes import FIXED, PARTNER, unlike
from memory.relational.tuples import COLUMNS, Fact
from memory.relational.validity import TOLD_INTERVAL, Validity


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two facts that can't both be true.

    Attributes:
        entity: The entity that they are about.
        relation: A functional relation, or one with opposites.
        facts: Both facts, the older first.
        reason: ``"same time"``: both began at the same time; ``"both hold"``: neither ended the other; ``"may be
            two"``: they
            are about entities of one name, which two documents tell of differently (``kg.merge`` joins what is one).
    """

    entity: str
    relation: str
    facts: tuple[Fact, Fact]
    reason: str


class Contradictions:
    """Finder of contradictions among the facts of one graph.

    Args:
        validity: Rules that place facts in time.
    """

    def __init__(self, validity: Validity) -> None:
        self.validity = validity

    def all(self) -> list[Contradiction]:
        """Return the pairs of facts that can't both be true: of functional relations, opposites, and namesakes."""
        conflicts = [*self._opposite_facts(), *self._fixed(), *self.namesakes()]
        for relation in sorted(self.validity.functional):
            groups: dict[str, list[Fact]] = {}
            rows = self.validity.store.db.execute(
                f"SELECT {COLUMNS} FROM facts WHERE relation = ? ORDER BY valid_from, id", (relation,)
            )
            for row in rows.fetchall():
                groups.setdefault(self.validity.aliases.entity(row[1]), []).append(Fact(*row))
            told = self._momentary(relation)
            for entity, facts in groups.items():
                conflicts += self._conflicts(entity, relation, facts, told)
        return conflicts

    def _momentary(self, relation: str) -> set[int]:
        """Return the facts of which only is known that they are over, and plans: they contradict nothing."""
        rows = self.validity.store.db.execute(
            f"SELECT id FROM facts WHERE relation = ? AND {TOLD_INTERVAL} AND (valid_to = valid_from OR valid_to = ?)",
            (relation, PLAN_END),
        )
        return {int(row[0]) for row in rows.fetchall()}

    def _opposite_facts(self) -> list[Contradiction]:
        """Return the pairs of opposites that both hold, or began at the same time."""
        conflicts = []
        for relation in sorted({*OPPOSITES, "is"}):
            for row in self.validity.store.db.execute(
                f"SELECT {COLUMNS} FROM facts WHERE relation = ? AND valid_to IS NULL ORDER BY id", (relation,)
            ).fetchall():
                fact = Fact(*row)
                others = [n for n, _ in self.validity.opposites(fact.head, relation, fact.tail) if n < fact.id]
                others += [
                    n
                    for (n,) in self.validity.store.db.execute(
                        "SELECT id FROM facts WHERE superseded_by = ? AND valid_from = ?"
                        " AND (relation != ? OR tail != ?)"
                        " AND relation NOT IN (SELECT value FROM json_each(?))",
                        (fact.id, fact.valid_from, relation, fact.tail, json.dumps(sorted(self.validity.functional))),
                    ).fetchall()
                ]
                for other in others:
                    row = self.validity.store.db.execute(
                        f"SELECT {COLUMNS} FROM facts WHERE id = ?", (other,)
                    ).fetchone()
                    reason = "same time" if row[6] == fact.valid_from else "both hold"
                    conflicts.append(
                        Contradiction(self.validity.aliases.entity(fact.head), relation, (Fact(*row), fact), reason)
                    )
        return conflicts

    def _conflicts(
        self, entity: str, relation: str, facts: Sequence[Fact], told: Collection[int]
    ) -> list[Contradiction]:
        conflicts = []
        for earlier, later in pairwise([fact for fact in facts if fact.id not in told and fits(relation, fact.tail)]):
            if not self.validity.exclusion.excludes(relation, earlier.tail, later.tail):
                continue
            if earlier.valid_from < later.valid_from and (
                earlier.valid_to == earlier.valid_from or later.valid_to == later.valid_from
            ):
                continue  # one of them was overruled at the moment it began
            if earlier.valid_from == later.valid_from:
                conflicts.append(Contradiction(entity, relation, (earlier, later), "same time"))
            elif earlier.valid_to is None or earlier.valid_to > later.valid_from:
                conflicts.append(Contradiction(entity, relation, (earlier, later), "both hold"))
        return conflicts

    def _fixed(self) -> Iterator[Contradiction]:
        """Yield pairs of facts of which only one can ever be true, such as two years of birth."""
        for relation in sorted(FIXED):
            rows = self.validity.store.db.execute(
                f"SELECT {COLUMNS} FROM facts WHERE relation = ? AND valid_to IS NULL ORDER BY id", (relation,)
            )
            known: dict[str, list[Fact]] = {}
            for fact in (Fact(*row) for row in rows.fetchall()):
                others = known.setdefault(self.validity.aliases.entity(fact.head), [])
                for other in others:
                    if unlike(fact.tail, other.tail):
                        yield Contradiction(other.head, relation, (other, fact), "both hold")
                others.append(fact)

    def namesakes(self) -> list[Contradiction]:
        """Return the facts by which entities of one name were told apart, unless they were joined since."""
        db, entity = self.validity.store.db, self.validity.aliases.entity
        found: list[Contradiction] = []
        relations = {*self.validity.functional, *FIXED, *PARTNER, "is_a"}
        rows = db.execute(f"SELECT {COLUMNS} FROM facts WHERE valid_to IS NULL AND head LIKE '% (%)' ORDER BY id")
        for fact in (Fact(*row) for row in rows.fetchall()):
            name, _, document = fact.head.rpartition(" (")
            if (
                fact.relation not in relations
                or entity(name) == entity(fact.head)
                or not self._told_in(fact, document[:-1])
            ):
                continue
            others = db.execute(
                f"SELECT {COLUMNS} FROM facts WHERE valid_to IS NULL AND head = ? AND relation = ? AND tail != ?"
                " ORDER BY id",
                (name, fact.relation, fact.tail),
            )
            pairs = ((Fact(*row), fact) for row in others.fetchall())
            found += [Contradiction(name, fact.relation, pair, "may be two") for pair in pairs]
        return found

    def _told_in(self, fact: Fact, document: str) -> bool:
        """Return whether a document told a fact: its head was then told apart by that document."""
        rows = self.validity.store.db.execute(
            "SELECT doc_id FROM provenance WHERE item_table = 'facts' AND item_id = ? AND role = 'said'", (fact.id,)
        )
        return any(document_of(told).lower() == document for (told,) in rows.fetchall())
