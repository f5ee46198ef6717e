"""Reading of facts and of the sentences in which they were told."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from memory.relational.language.tense import PLAN_END
from memory.relational.tuples import COLUMNS, Fact
from memory.store import Store

_LARGEST_ID = 2**63


def realised(facts: Sequence[Fact], functional: Collection[str]) -> list[Fact]:
    """Return facts that held at one time, without those that a plan for an earlier or the same time ends.

    Args:
        facts: Facts whose intervals contain the time.
        functional: Relations with one tail per head at a time.
    """
    plans = [fact for fact in facts if fact.valid_to == PLAN_END and fact.relation in functional]
    return [
        fact
        for fact in facts
        if not any(
            plan.head == fact.head and plan.relation == fact.relation and plan.valid_from > fact.valid_from
            for plan in plans
        )
    ]


class FactTable:
    """Reader of facts from the database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def get_many(self, fact_ids: Sequence[int]) -> list[Fact]:
        """Return several facts in the order of the given ids; ids without a row are left out."""
        wanted = json.dumps([number for number in fact_ids if abs(number) < _LARGEST_ID])
        rows = self.store.db.execute(
            f"SELECT {COLUMNS} FROM facts WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
        )
        by_id = {row[0]: Fact(*row) for row in rows.fetchall()}
        return [by_id[fact_id] for fact_id in fact_ids if fact_id in by_id]

    def holding_at(self, names: Sequence[str], time: float, most: int) -> list[Fact]:
        """Return the facts with one of these names as head or tail that held at a time, the strongest first.

        Args:
            names: Names of entities, normalised.
            time: Seconds since the epoch.
            most: Greatest number of facts.
        """
        marks = ", ".join("?" * len(names))
        rows = self.store.db.execute(
            f"SELECT {COLUMNS} FROM facts WHERE (head IN ({marks}) OR tail IN ({marks}))"
            " AND valid_from <= ? AND (valid_to IS NULL OR ? < valid_to) ORDER BY strength DESC, id DESC LIMIT ?",
            (*names, *names, time, time, most),
        )
        return [Fact(*row) for row in rows.fetchall()]

    def plans_of(self, names: Sequence[str], most: int) -> list[Fact]:
        """Return the plans with one of these names as head or tail, those that come first before others."""
        marks = ", ".join("?" * len(names))
        rows = self.store.db.execute(
            f"SELECT {COLUMNS} FROM facts WHERE (head IN ({marks}) OR tail IN ({marks})) AND valid_to = ?"
            " ORDER BY valid_from, id LIMIT ?",
            (*names, *names, PLAN_END, most),
        )
        return [Fact(*row) for row in rows.fetchall()]

    def names_entity(self, name: str) -> bool:
        """Return whether a name is head or tail of any fact, current or ended."""
        row = self.store.db.execute(
            "SELECT 1 FROM facts WHERE head = ? UNION ALL SELECT 1 FROM facts WHERE tail = ? LIMIT 1", (name, name)
        ).fetchone()
        return row is not None

    def spans(self, fact_ids: Iterable[int]) -> Mapping[int, tuple[str, ...]]:
        """Return the sentences in which facts were told, by fact, oldest first; forgotten sentences are not there."""
        rows = self.store.db.execute(
            "SELECT item_id, text_span FROM provenance WHERE item_table = 'facts' AND role = 'said'"
            " AND text_span != '' AND item_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(list(fact_ids)),),
        )
        spans: dict[int, list[str]] = {}
        for fact_id, words in rows.fetchall():
            spans.setdefault(fact_id, []).append(words)
        return {fact_id: tuple(told) for fact_id, told in spans.items()}

    def read_in(self, trace_ids: Sequence[int]) -> list[int]:
        """Return the ids of the facts that were derived from some traces."""
        rows = self.store.db.execute(
            "SELECT DISTINCT p.item_id FROM lineage l JOIN provenance p ON p.id = l.origin"
            " WHERE p.item_table = 'facts' AND l.parent_table = 'traces'"
            " AND l.parent_id IN (SELECT value FROM json_each(?)) ORDER BY p.item_id",
            (json.dumps(list(trace_ids)),),
        )
        return [int(row[0]) for row in rows.fetchall()]
