"""Validity of facts: the versions of one head and relation, facts told late or again, and contradictions."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from memory import provenance, rows
from memory.relational.aliases import Aliases
from memory.relational.endings import OPPOSITE_STATES, OPPOSITES, SYMMETRIC, Ending
from memory.relational.exclusion import Exclusion
from memory.relational.language.nouns import fits
from memory.relational.names import INVERSE_OF, normalise
from memory.relational.tuples import COLUMNS, Fact
from memory.store import Store

TOLD_INTERVAL = (
    "EXISTS (SELECT 1 FROM provenance WHERE item_table = 'facts' AND item_id = facts.id AND role = 'said'"
    " AND said LIKE '%\"until\":%')"
)
"""Condition on ``facts``: its interval was told, as for the past and for plans, and not made by another fact."""

SUPERSEDE_MIN = 0.5
"""Least confidence at which a statement may end another."""


@dataclass(frozen=True, slots=True)
class Version:
    """One interval in which a head had a tail; ``end`` is ``None`` while it lasts."""

    id: int
    tail: str
    start: float
    end: float | None
    conf: float


class Validity:
    """Rules that place a statement in time among the others of its head and relation.

    Args:
        store: The database.
        aliases: Groups of names that stand for one entity.
        functional: Relations with one tail at a time.
    """

    def __init__(self, store: Store, aliases: Aliases, functional: Collection[str]) -> None:
        self.store = store
        self.aliases = aliases
        self.functional = functional
        self.exclusion = Exclusion(store, aliases)

    def one_at_a_time(self, relation: str, tail: str) -> bool:
        """Return whether a statement takes part in the order of its relation: functional, with a tail that fits it."""
        return relation in self.functional and fits(relation, tail)

    def versions(self, head: str, relation: str, every: bool = False) -> list[Version]:
        """Return the versions of a relation of a head, under any of its names, oldest first.

        Args:
            head: Normalised.
            relation: Its name.
            every: Whether to return those too that take no part in the order of versions: plans, what was told of the
                past only, and tails that do not fit the relation.
        """
        heads = self.aliases.names(head)
        rows = self.store.db.execute(
            "SELECT id, tail, valid_from, valid_to, conf,"
            f" valid_to IS NOT NULL AND {TOLD_INTERVAL} FROM facts WHERE head IN ({', '.join('?' * len(heads))})"
            " AND relation = ? ORDER BY valid_from, id",
            (*heads, relation),
        )
        return [
            Version(*row) for *row, interval in rows.fetchall() if every or not (interval or not fits(relation, row[1]))
        ]

    def same(self, head: str, relation: str, tail: str, since: float, founded: float) -> int | None:
        """Return the row of a fact that states the same for the same time already, or ``None``.

        Args:
            head: Of the statement.
            relation: Of the statement.
            tail: Of the statement.
            since: When it began to hold.
            founded: Its confidence times the trust in who says so.
        """
        rows = self.store.db.execute(
            "SELECT id, valid_from, valid_to FROM facts WHERE head = ? AND relation = ? AND tail = ?"
            " AND (valid_to IS NULL OR (valid_from <= ? AND ? < valid_to"
            f" AND NOT {TOLD_INTERVAL})) ORDER BY valid_to IS NOT NULL",
            (head, relation, tail, since, since),
        ).fetchall()
        for row, start, end in rows:
            late = end is None and since < start and relation in self.functional
            if not (
                late
                and self._otherwise_between(head, relation, tail, since, start, founded)
                and self.next(head, relation, tail, since, founded)  # else it would hold until now, as the row does
            ):
                return int(row)
        return None

    def _otherwise_between(
        self, head: str, relation: str, tail: str, since: float, start: float, founded: float
    ) -> bool:
        return any(
            v.tail != tail
            and v.start < start
            and (since < v.start or (since == v.start and founded < self._founded(v.id)))
            for v in self.versions(head, relation)
        )

    def next(self, head: str, relation: str, tail: str, since: float, founded: float) -> tuple[float, int] | None:
        """Return when the version after a statement began, and its row; ``None`` if no later version ends it.

        Args:
            head: Of the statement.
            relation: Of the statement.
            tail: Of the statement.
            since: When it began to hold.
            founded: Its confidence times the trust in who says so. Of two statements for the same time, the one
                with the greater value stays; of equal ones, the one that was told later.
        """
        for version in self.versions(head, relation):
            lasts = version.start == since and (version.end is None or version.end > since)
            later = version.start > since or (lasts and founded < self._founded(version.id))
            if version.conf >= SUPERSEDE_MIN and later and self.exclusion.excludes(relation, version.tail, tail):
                return version.start, version.id
        return None

    def _founded(self, fact: int) -> float:
        conf = self.store.db.execute("SELECT conf FROM facts WHERE id = ?", (fact,)).fetchone()[0]
        return float(conf) * provenance.trust(self.store.db, ("facts", fact))

    def overtaken(self, head: str, relation: str, tail: str, since: float) -> list[Version]:
        """Return the versions with another tail that count as valid at the time when a statement began."""
        return [
            version
            for version in self.versions(head, relation)
            if version.start <= since
            and (version.end is None or since < version.end)
            and self.exclusion.excludes(relation, version.tail, tail)
        ]

    def resume(self, held: int, since: float) -> tuple[float, int] | None:
        """Split a fact that holds, because another fact that was told late began at ``since``.

        If the fact was told again after ``since``, it holds again from then on, as a new row.

        Returns:
            When it was told again, and the new row; ``None`` if it was not told again.
        """
        db = self.store.db
        again = db.execute(
            "SELECT id, time, conf, said FROM provenance WHERE item_table = 'facts' AND item_id = ? AND role = 'said'"
            " AND time > ? ORDER BY time",
            (held, since),
        ).fetchall()
        if not again:
            return None
        start, repeats = again[0][1], sum(json.loads(encoded).get("n", 1) for *_, encoded in again)
        values = rows.fetch(db, ("facts", held)) or {}
        rows.update(db, ("facts", held), {"valid_to": start, "strength": max(1, values["strength"] - repeats)})
        new = {name: value for name, value in values.items() if name != "id"}
        new |= {"valid_from": start, "strength": repeats, "conf": max(conf for _, _, conf, _ in again)}
        row = rows.insert(db, "facts", new)
        for origin, time, _, encoded in again:
            contribution = json.loads(encoded)
            if contribution.get("since", time) > since:
                moved = json.dumps(contribution | {"since": time})
                db.execute("UPDATE provenance SET item_id = ?, said = ? WHERE id = ?", (row, moved, origin))
            else:  # this origin told both intervals: the old row keeps it, and the new row gets a copy
                self._copy(origin, row, contribution | {"since": time, "n": 1})
                kept = contribution | {"n": max(1, contribution.get("n", 1) - 1)}
                db.execute(
                    "UPDATE provenance SET said = ?, time = ? WHERE id = ?", (json.dumps(kept), kept["since"], origin)
                )
        return start, row

    def _copy(self, origin: int, row: int, said: Mapping[str, Any]) -> None:
        copied = self.store.db.execute(
            "INSERT INTO provenance(item_table, item_id, role, source, doc_id, text_span, time, conf, trust, said)"
            " SELECT item_table, ?, role, source, doc_id, text_span, time, conf, trust, ? FROM provenance WHERE id = ?",
            (row, json.dumps(dict(said)), origin),
        ).lastrowid
        self.store.db.execute(
            "INSERT INTO lineage SELECT ?, parent_table, parent_id FROM lineage WHERE origin = ?", (copied, origin)
        )

    def strengthen(self, fact: int, since: float, conf: float, fit: float) -> bool:
        """Strengthen a fact that was told again; return whether it holds now."""
        db = self.store.db
        holds = db.execute(
            "UPDATE facts SET strength = strength + 1, conf = max(conf, ?), fit = max(fit, ?),"
            " valid_from = min(valid_from, ?) WHERE id = ? RETURNING valid_to IS NULL",
            (conf, fit, since, fact),
        ).fetchone()[0]
        db.execute(
            "UPDATE facts SET valid_to = max(valid_from, min(valid_to, ?)) WHERE superseded_by = ?", (since, fact)
        )
        return bool(holds)

    def reopened(self) -> list[int]:
        """Recompute the ends of facts that a fact of what is now another entity ended; return their ids."""
        db = self.store.db
        ended = db.execute(
            "SELECT f.id, f.head, f.relation, f.tail, f.valid_from, n.head FROM facts f JOIN facts n"
            " ON n.id = f.superseded_by WHERE f.head != n.head ORDER BY f.valid_from, f.id"
        ).fetchall()
        changed = []
        for fact, head, relation, tail, start, by in ended:
            if self.aliases.entity(head) == self.aliases.entity(by):
                continue
            later = self.next(head, relation, tail, start, 1.0)
            current = db.execute(
                "SELECT min(valid_from) FROM facts WHERE head = ? AND relation = ? AND tail = ? AND valid_to IS NULL",
                (head, relation, tail),
            ).fetchone()[0]
            end = later or ((max(start, current), None) if current is not None else (None, None))
            db.execute("UPDATE facts SET valid_to = ?, superseded_by = ? WHERE id = ?", (*end, fact))
            changed.append(int(fact))
        return changed

    def holding(self, head: str, relation: str, tail: str, since: float) -> list[int]:
        """Return the facts that hold now with another tail and began before ``since``."""
        return [
            version.id
            for version in self.versions(head, relation)
            if version.end is None and version.start < since and self.exclusion.excludes(relation, version.tail, tail)
        ]

    def opposed(self, head: str, relation: str, tail: str, since: float) -> list[int]:
        """Return the current facts that can't hold together with a statement, and began no later than it.

        These are opposites: ``loves`` and ``hates`` of the same tail, ``is`` with ``open`` and ``closed``.
        """
        rows = self.opposites(head, relation, tail)
        return [int(row[0]) for row in rows if row[1] <= since]

    def opposites(self, head: str, relation: str, tail: str) -> list[tuple[int, float]]:
        """Return the current facts that can't hold together with a statement, and when they began."""
        if relation == "is":
            against = OPPOSITE_STATES.get(tail) or OPPOSITE_STATES.get(tail.rpartition(" ")[2], frozenset())
            relations, tails = [relation], self._states(head, against)
        else:
            relations, tails = sorted(OPPOSITES.get(relation, ())), self.aliases.names(tail)
        if not relations or not tails:
            return []
        heads = self.aliases.names(head)
        return self.store.db.execute(
            f"SELECT id, valid_from FROM facts WHERE head IN ({', '.join('?' * len(heads))}) AND valid_to IS NULL"
            f" AND relation IN ({', '.join('?' * len(relations))}) AND tail IN ({', '.join('?' * len(tails))})",
            (*heads, *relations, *tails),
        ).fetchall()

    def _states(self, head: str, states: Collection[str]) -> list[str]:
        """Return what is stored of an entity that is one of some states: "terribly hungry" of "hungry"."""
        if not states:
            return []
        heads = self.aliases.names(head)
        rows = self.store.db.execute(
            f"SELECT DISTINCT tail FROM facts WHERE head IN ({', '.join('?' * len(heads))}) AND relation = 'is'"
            " AND valid_to IS NULL",
            (*heads,),
        )
        return [tail for (tail,) in rows if tail in states or tail.rpartition(" ")[2] in states]

    def denied_by(self, ending: Ending, told: float) -> list[Fact]:
        """Return the current facts, told no later than ``told``, that an ending denies."""
        heads = self.aliases.names(normalise(ending.head))
        marks = ", ".join("?" * len(heads))
        rows = self.store.db.execute(
            f"SELECT {COLUMNS} FROM facts WHERE valid_to IS NULL AND valid_from <= ?"
            f" AND (head IN ({marks}) OR tail IN ({marks}))",
            (told, *heads, *heads),
        )
        facts = []
        for fact in (Fact(*row) for row in rows.fetchall()):
            if not ending.covers(fact.relation):
                continue
            if ending.of_others:
                if fact.tail in heads:
                    facts.append((fact, fact.head))
                continue
            owner = fact.relation in INVERSE_OF.values()
            symmetric = fact.relation in SYMMETRIC
            if fact.head in heads and not (owner and ending.tail is None):
                facts.append((fact, fact.tail))
            elif fact.tail in heads and (owner or symmetric):
                facts.append((fact, fact.head))
        if ending.tail is None:
            return [fact for fact, _ in facts]
        tails = set(self.aliases.names(normalise(ending.tail)))
        exact = [fact for fact, other in facts if other in tails]
        near = [fact for fact, other in facts if any(_same_thing(other, tail) for tail in tails)]
        return exact or (near if len({fact.tail if fact.head in heads else fact.head for fact in near}) == 1 else [])


def _same_thing(name: str, other: str) -> bool:
    """Return whether a shorter phrase may mean a thing: "car" means the "red car", "cold tea" is not all "tea"."""
    doing = other.endswith(f" {name}") and other.partition(" ")[0].endswith("ing")  # "stopped smoking cigars"
    return name.endswith(f" {other}") or name.startswith(f"{other} of ") or doing
