"""The tables of the episodic memory: traces, and the artifacts that are trained on them."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from memory.episodic.lexical import index_again
from memory.episodic.trace import NEXT_TRACE, digest
from memory.tables import References, Remaining, Table, Values, declare


def _recompute_trace(row: Remaining) -> Values:
    """Recompute a trace: the greatest salience and pin of its origins, the first texts, and the latest time."""
    new: Values = {}
    if row.said and all("salience" in said for said in row.said):
        new |= {name: max(said[name] for said in row.said) for name in ("salience", "pinned")}
        new |= row.first({"when": "", "state_sketch": "", "salience_tags": "[]", "span_ref": ""})
    return new | {"time": max(row.times, default=row.values["time"])}


def _follow_trace(values: Mapping[str, Any], references: References) -> Values:
    where = references.place_name(values["where"])
    if where == values["where"]:
        return {}
    return {"where": where, "hash": digest(values["key"], values["who"], values["what"], where)}


def _reserve_trace(db: sqlite3.Connection, number: int) -> None:
    db.execute("UPDATE last_trace SET last = ?", (number,))


TRACES = declare(
    Table(
        "traces",
        ("hash",),
        refers_to=("places",),
        attached={"replay": "trace_id", "mentions": "trace_id"},
        recompute=_recompute_trace,
        follow=_follow_trace,
        inserted=index_again,
        next_id=NEXT_TRACE,
        reserve=_reserve_trace,
    )
)
ARTIFACTS = declare(Table("artifacts", ("kind", "sha256"), counters={}, refers_to=("traces",)))
