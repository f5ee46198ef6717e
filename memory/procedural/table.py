"""The table of the procedural memory: macros."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any

from memory.tables import Remaining, Table, Values, declare


def _recompute_macro(row: Remaining) -> Values:
    """Recompute the name, the triggers and the last words of the variables of a macro from its origins."""
    if not row.said or not all("name" in said for said in row.said):
        return {}
    new = row.first({"name": ""})
    if not all("triggers" in said for said in row.said):
        return new
    triggers = Counter[str]()
    ends: dict[str, set[str]] = {}
    for said in row.said:
        triggers.update(said["triggers"])
        for name, values in said["values"].items():
            ends.setdefault(name, set()).update(value.split()[-1] for value in values if value.split())
    variables = [
        {**variable, "ends": sorted(ends.get(variable["name"], ())) if variable["ends"] else []}
        for variable in json.loads(row.values["variables"])
    ]
    return new | {"triggers": json.dumps(dict(triggers.most_common())), "variables": json.dumps(variables)}


def _merge_macro(db: sqlite3.Connection, macro_id: int, values: Mapping[str, Any]) -> None:
    """Take over status and outcomes of the macro from another memory, if it has no outcomes here."""
    if values.get("outcomes", "[]") != "[]":
        db.execute(
            "UPDATE macros SET status = ?, outcomes = ? WHERE id = ? AND outcomes = '[]'",
            (values["status"], values["outcomes"], macro_id),
        )


MACROS = declare(Table("macros", ("signature",), recompute=_recompute_macro, merged=_merge_macro))
