"""Two evaluations of one suite, episode by episode."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.budget import other_weights
from eval.errors import EvalError
from eval.measures import by_arm
from eval.statistics import holm
from eval.summary import difference, read_run

COMPARED = ("torch", "transformers", "peft", "hippo-llm-memory")


def compare(a: Path, b: Path) -> dict[str, Any]:
    """Every arm that both played, on the episodes that both played.

    Args:
        a: Folder of an evaluation.
        b: Of another.

    Returns:
        ``paired``, a row for each task and arm, and ``notes`` on what else differs.

    Raises:
        EvalError: Other suites, no arm in common, or no world in common.
    """
    (first, mine), (second, theirs) = read_run(a), read_run(b)
    if first["suite"] != second["suite"]:
        raise EvalError(f"{a} is of suite {first['suite']} and {b} of {second['suite']}: they can't be compared")
    one, two = by_arm(mine), by_arm(theirs)
    shared = [key for key in one if key in two]
    if not shared:
        raise EvalError(f"no arm was played in both: {', '.join(first['arms'])} and {', '.join(second['arms'])}")
    rows = []
    for arm, task in shared:
        x, y = one[arm, task], two[arm, task]
        both = x.keys() & y.keys()
        other = sorted(seed for seed in both if x[seed]["world_mark"] != y[seed]["world_mark"])
        if other:
            raise EvalError(f"{task}: seed {other[0]} is another world in each: one is of an older release")
        if both:
            found = difference([*x.values()], [*y.values()])
            shares = [sum(bool(side[seed]["success"]) for seed in both) / len(both) for side in (x, y)]
            rows.append({"arm": arm, "task": task, "a": shares[0], "b": shares[1], **found})
    if not rows:
        raise EvalError("no world was played in both: give both the same split= and seed=")
    corrected = holm([max(row["p"], row["p_worlds"]) for row in rows])
    paired = [row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)]
    return {"suite": first["suite"], "a": str(a), "b": str(b), "paired": paired, "notes": notes(first, second)}


def notes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What differs between two evaluations beside what was to be compared."""
    found = [
        f"{name}: {a[name]} and {b[name]}"
        for name in ("model", "split", "seed", "n", "git")
        if a.get(name) != b.get(name)
    ]
    mine, theirs = a["weights"], b["weights"]
    found += [f"adapter of {name}: {mine[name][:12]} and {theirs[name][:12]}" for name in other_weights(mine, theirs)]
    one, two = a["asked"], b["asked"]
    found += [
        f"{name}: {one['eval'].get(name)} and {two['eval'].get(name)}"
        for name in ("set", "batch", "env") if one["eval"].get(name) != two["eval"].get(name)
    ]  # fmt: skip
    found += [
        f"arm {name} is set otherwise"
        for name in one["arms"] if name in two["arms"] and _played(one["arms"][name]) != _played(two["arms"][name])
    ]  # fmt: skip
    found += ["the suite's worlds are others"] if one["suite"]["tasks"] != two["suite"]["tasks"] else []
    versions = [(name, (a.get("packages") or {}).get(name), (b.get("packages") or {}).get(name)) for name in COMPARED]
    return found + [f"{name}: {one} and {two}" for name, one, two in versions if one != two]


def _played(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arm.items() if key != "about"}
