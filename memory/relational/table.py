"""The tables of the relational memory: facts, aliases and frames."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from memory import rows
from memory.relational.validity import SUPERSEDE_MIN
from memory.tables import Merge, References, Remaining, Table, Values, declare


def _recompute_fact(row: Remaining) -> Values:
    """Recompute a fact: the greatest confidence of its origins, the earliest beginning and the first context."""
    if not row.said:
        return {}
    new: Values = {"conf": max(row.confs)}
    if all("until" in said for said in row.said):  # told as of the past, or planned: the row is one interval
        return new | row.first({"context": ""})
    if all("since" in said for said in row.said):
        new |= row.first({"context": ""}) | {"valid_from": min(said["since"] for said in row.said)}
        if new["valid_from"] != row.values["valid_from"]:
            row.db.execute("UPDATE facts SET valid_to = ? WHERE superseded_by = ?", (new["valid_from"], row.id))
    return new


def _twin_of_fact(values: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return what else makes two facts the same: equal times for ended facts; for current facts that both hold."""
    return ((), "valid_to IS NULL") if values["valid_to"] is None else (("valid_from", "valid_to"), "")


def _follow_fact(values: Mapping[str, Any], references: References) -> Values:
    return {end: references.place_name(values[end]) for end in ("head", "tail")}


def _finish_facts(merge: Merge) -> None:
    """End facts that were observed not to hold, and leave one current tail per head and functional relation."""
    for fact, time in merge.ended:
        merge.db.execute(
            "UPDATE facts SET valid_to = ? WHERE id = ? AND valid_to IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM provenance WHERE item_table = 'facts' AND item_id = facts.id"
            " AND role = 'said' AND time > ?)",
            (time, fact, time),
        )
    groups = merge.db.execute(
        "SELECT head, relation FROM facts WHERE valid_to IS NULL AND conf >= ?"
        " GROUP BY head, relation HAVING count(*) > 1",
        (SUPERSEDE_MIN,),
    ).fetchall()
    for head, relation in groups:
        if relation not in merge.functional:
            continue
        current = merge.db.execute(
            "SELECT id, valid_from FROM facts WHERE head = ? AND relation = ? AND valid_to IS NULL"
            " AND conf >= ? ORDER BY valid_from, id",
            (head, relation, SUPERSEDE_MIN),
        ).fetchall()
        for (fact, _), (successor, since) in pairwise(current):
            rows.update(merge.db, ("facts", fact), {"valid_to": since, "superseded_by": successor})


def _recompute_frame(row: Remaining) -> Values:
    """Recompute the slots of a frame: those that the latest origin declared."""
    latest = row.by_time()[-1] if row.said else {}
    return {"slots": latest["slots"]} if "slots" in latest else {}


FACTS = declare(
    Table(
        "facts",
        ("head", "relation", "tail"),
        refers_to=("places", "traces"),
        recompute=_recompute_fact,
        twin=_twin_of_fact,
        follow=_follow_fact,
        successor="superseded_by",
        finish=_finish_facts,
    )
)
ALIASES = declare(Table("aliases", ("alias", "entity")))
FRAMES = declare(Table("frames", ("name",), recompute=_recompute_frame))
