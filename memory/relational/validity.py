"""When facts hold: versions of what was told of one head, told late or twice, and what can't both be so."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memory import provenance, rows
from memory.relational.aliases import Aliases
from memory.relational.names import SUPERSEDE_MIN
from memory.relational.tuples import COLUMNS, Fact
from memory.store import Store


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two facts that can't both be so.

    Attributes:
        entity: Whom they are about.
        relation: A functional relation.
        facts: Both, the older first.
        reason: ``"same time"``: told for the same moment; ``"both hold"``: neither ended the other.
    """

    entity: str
    relation: str
    facts: tuple[Fact, Fact]
    reason: str


@dataclass(frozen=True, slots=True)
class Version:
    """One stretch in which a head had a tail; ``end`` is ``None`` while it lasts."""

    id: int
    tail: str
    start: float
    end: float | None
    conf: float


class Validity:
    """Where a statement stands among others of its head and relation.

    Args:
        store: The database.
        aliases: Names of one entity count as one.
        functional: Relations with one tail at a time.
    """

    def __init__(self, store: Store, aliases: Aliases, functional: Collection[str]) -> None:
        self.store = store
        self.aliases = aliases
        self.functional = functional

    def versions(self, head: str, relation: str) -> list[Version]:
        """All that was told of a head under any of its names, oldest first."""
        heads = self.aliases.names(head)
        rows = self.store.db.execute(
            f"SELECT id, tail, valid_from, valid_to, conf FROM facts WHERE head IN ({', '.join('?' * len(heads))})"
            " AND relation = ? ORDER BY valid_from, id",
            (*heads, relation),
        )
        return [Version(*row) for row in rows.fetchall()]

    def same(self, head: str, relation: str, tail: str, since: float, founded: float) -> int | None:
        """The row that says the same of the same time already.

        Args:
            head: Of the statement.
            relation: Of the statement.
            tail: Of the statement.
            since: When it began to hold.
            founded: Its confidence times the trust in who says so.
        """
        rows = self.store.db.execute(
            "SELECT id, valid_from, valid_to FROM facts WHERE head = ? AND relation = ? AND tail = ?"
            " AND (valid_to IS NULL OR (valid_from <= ? AND ? < valid_to)) ORDER BY valid_to IS NOT NULL",
            (head, relation, tail, since, since),
        ).fetchall()
        for row, start, end in rows:
            late = end is None and since < start and relation in self.functional
            if not (late and self._otherwise_between(head, relation, tail, since, start, founded)):
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
        """The end of a statement about the past: when the next version began, and its row.

        Args:
            head: Of the statement.
            relation: Of the statement.
            tail: Of the statement.
            since: When it began to hold.
            founded: Its confidence times the trust in who says so. Of two told for the same moment the better
                founded stays, of equals the later told.
        """
        for version in self.versions(head, relation):
            if self.aliases.entity(version.tail) == self.aliases.entity(tail):
                continue
            if version.conf < SUPERSEDE_MIN:
                continue
            if version.start > since or (version.start == since and founded < self._founded(version.id)):
                return version.start, version.id
        return None

    def _founded(self, fact: int) -> float:
        conf = self.store.db.execute("SELECT conf FROM facts WHERE id = ?", (fact,)).fetchone()[0]
        return float(conf) * provenance.trust(self.store.db, ("facts", fact))

    def overtaken(self, head: str, relation: str, tail: str, since: float) -> list[Version]:
        """Versions with another tail that were taken to hold when a statement began to."""
        return [
            version
            for version in self.versions(head, relation)
            if self.aliases.entity(version.tail) != self.aliases.entity(tail)
            and version.start <= since
            and (version.end is None or since < version.end)
        ]

    def resume(self, held: int, since: float) -> tuple[float, int] | None:
        """Make room in a fact that holds for another that was told late.

        Where the one was told again after ``since``, it holds anew from then on, as a row of its own.

        Returns:
            When it was told again, and that row; ``None`` if it was not.
        """
        db = self.store.db
        again = db.execute(
            "SELECT id, time, conf, said FROM provenance WHERE item_table = 'facts' AND item_id = ? AND role = 'said'"
            " AND time > ? ORDER BY time",
            (held, since),
        ).fetchall()
        if not again:
            return None
        start, told = again[0][1], sum(json.loads(said).get("n", 1) for *_, said in again)
        values = rows.fetch(db, ("facts", held)) or {}
        rows.update(db, ("facts", held), {"valid_to": start, "strength": max(1, values["strength"] - told)})
        new = {name: value for name, value in values.items() if name != "id"}
        new |= {"valid_from": start, "strength": told, "conf": max(conf for _, _, conf, _ in again)}
        row = rows.insert(db, "facts", new)
        for origin, time, _, said in again:
            told_then = json.loads(said)
            if told_then.get("since", time) > since:
                moved = json.dumps(told_then | {"since": time})
                db.execute("UPDATE provenance SET item_id = ?, said = ? WHERE id = ?", (row, moved, origin))
            else:  # it told both: the old row keeps it, the new one gets one of its own
                self._copy(origin, row, told_then | {"since": time, "n": 1})
                kept = told_then | {"n": max(1, told_then.get("n", 1) - 1)}
                db.execute(
                    "UPDATE provenance SET said = ?, time = ? WHERE id = ?", (json.dumps(kept), kept["since"], origin)
                )
        return start, row

    def _copy(self, origin: int, row: int, said: Mapping[str, Any]) -> None:
        made = self.store.db.execute(
            "INSERT INTO provenance(item_table, item_id, role, source, doc_id, text_span, time, conf, trust, said)"
            " SELECT item_table, ?, role, source, doc_id, text_span, time, conf, trust, ? FROM provenance WHERE id = ?",
            (row, json.dumps(dict(said)), origin),
        ).lastrowid
        self.store.db.execute(
            "INSERT INTO lineage SELECT ?, parent_table, parent_id FROM lineage WHERE origin = ?", (made, origin)
        )

    def strengthen(self, fact: int, since: float, conf: float, fit: float) -> bool:
        """Count a statement that was told before; returns whether it holds now."""
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
        """Let facts hold as they did that one ended of another while both were taken for one entity's; returns them."""
        db = self.store.db
        ended = db.execute(
            "SELECT f.id, f.head, f.relation, f.tail, f.valid_from, n.head FROM facts f JOIN facts n"
            " ON n.id = f.superseded_by WHERE f.head != n.head ORDER BY f.valid_from, f.id"
        ).fetchall()
        found = []
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
            found.append(int(fact))
        return found

    def holding(self, head: str, relation: str, tail: str, since: float) -> list[int]:
        """Facts that hold now with another tail, and began before."""
        return [
            version.id
            for version in self.versions(head, relation)
            if version.end is None
            and version.start < since
            and self.aliases.entity(version.tail) != self.aliases.entity(tail)
        ]

    def contradictions(self) -> list[Contradiction]:
        """Pairs of facts of functional relations that can't both be so."""
        found = []
        for relation in sorted(self.functional):
            groups: dict[str, list[Fact]] = {}
            rows = self.store.db.execute(
                f"SELECT {COLUMNS} FROM facts WHERE relation = ? ORDER BY valid_from, id", (relation,)
            )
            for row in rows.fetchall():
                groups.setdefault(self.aliases.entity(row[1]), []).append(Fact(*row))
            for entity, facts in groups.items():
                found += self._conflicts(entity, relation, facts)
        return found

    def _conflicts(self, entity: str, relation: str, facts: Sequence[Fact]) -> list[Contradiction]:
        found = []
        for one, other in pairwise(facts):
            if self.aliases.entity(one.tail) == self.aliases.entity(other.tail):
                continue
            if one.valid_from < other.valid_from and (
                one.valid_to == one.valid_from or other.valid_to == other.valid_from
            ):
                continue  # one was overruled for the moment that it was told of
            if one.valid_from == other.valid_from:
                found.append(Contradiction(entity, relation, (one, other), "same time"))
            elif one.valid_to is None or one.valid_to > other.valid_from:
                found.append(Contradiction(entity, relation, (one, other), "both hold"))
        return found
