"""Comparison of two evaluations of one suite, paired by episode."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.budget import other_weights
from eval.errors import EvalError
from eval.measures import Record, by_arm
from eval.statistics import holm
from eval.summary import difference, read_run

COMPARED = ("torch", "transformers", "peft", "hippo-llm-memory")


def compare(a: Path, b: Path) -> dict[str, Any]:
    """Compare every arm that both evaluations have, on the episodes that both played.

    Args:
        a: Folder of an evaluation.
        b: Folder of another evaluation.

    Returns:
        ``paired``, a row for each task and arm, and ``notes`` on what else differs.

    Raises:
        EvalError: The suites differ, or the evaluations have no arm or no world in common.
    """
    (first, first_records), (second, second_records) = read_run(a), read_run(b)
    if first["suite"] != second["suite"]:
        raise EvalError(f"{a} is of suite {first['suite']} and {b} of {second['suite']}: they can't be compared")
    first_by_arm, second_by_arm = by_arm(first_records), by_arm(second_records)
    shared = [key for key in first_by_arm if key in second_by_arm]
    if not shared and set(first["arms"]) & set(second["arms"]):
        tasks = [", ".join(dict.fromkeys(task for _, task in side)) for side in (first_by_arm, second_by_arm)]
        raise EvalError(f"no task was played in both: {a} plays {tasks[0]} and {b} {tasks[1]}")
    if not shared:
        raise EvalError(f"no arm was played in both: {', '.join(first['arms'])} and {', '.join(second['arms'])}")
    rows = []
    for task in dict.fromkeys(task for _, task in shared):
        envs = [run["asked"]["suite"]["tasks"].get(task, {}).get("env") for run in (first, second)]
        if envs[0] != envs[1]:
            raise EvalError(f"{task}: {a} plays {envs[0]} and {b} plays {envs[1]}: other worlds can't be compared")
    for arm, task in shared:
        x, y = first_by_arm[arm, task], second_by_arm[arm, task]
        common_seeds = x.keys() & y.keys()
        differing = sorted(seed for seed in common_seeds if x[seed]["world_mark"] != y[seed]["world_mark"])
        if differing:
            raise EvalError(f"{task}: seed {differing[0]} is another world in each: one is of an older release")
        if common_seeds:
            figures = difference([*x.values()], [*y.values()])
            shares = [sum(bool(side[seed]["success"]) for seed in common_seeds) / len(common_seeds) for side in (x, y)]
            rows.append({"arm": arm, "task": task, "a": shares[0], "b": shares[1], **figures})
    if not rows:
        spans = " and ".join((_span(first, first_records), _span(second, second_records)))
        raise EvalError(f"no world was played in both: {spans}; give both the same split= and seed=")
    corrected = holm([max(row["p"], row["p_worlds"]) for row in rows])
    paired = [row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)]
    told = notes(first, second)
    one, other = ({(row["task"], row["seed"]) for row in side} for side in (first_records, second_records))
    if len(one & other) < max(len(one), len(other)):
        told.insert(
            0, f"compared on the {len(one & other)} episodes that both played; A has {len(one)}, B {len(other)}"
        )
    return {"suite": first["suite"], "a": str(a), "b": str(b), "paired": paired, "notes": told}


def _span(summary: Mapping[str, Any], records: Sequence[Record]) -> str:
    seeds = [row["seed"] for row in records]
    return f"seeds {min(seeds)} to {max(seeds)} of the {summary['split']} split"


def notes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """List what differs between two evaluations besides what is compared."""
    differences = [
        f"{name}: {a[name]} and {b[name]}"
        for name in ("model", "split", "seed", "n", "git")
        if a.get(name) != b.get(name)
    ]
    a_weights, b_weights = a["weights"], b["weights"]
    differences += [
        f"adapter of {name}: {a_weights[name][:12]} and {b_weights[name][:12]}"
        for name in other_weights(a_weights, b_weights)
    ]
    x, y = a["asked"], b["asked"]
    differences += [
        f"{name}: {x['eval'].get(name)} and {y['eval'].get(name)}"
        for name in ("set", "batch", "env")
        if x["eval"].get(name) != y["eval"].get(name)
    ]
    differences += [
        f"arm {name} is set otherwise"
        for name in x["arms"]
        if name in y["arms"] and _played(x["arms"][name]) != _played(y["arms"][name])
    ]
    differences += ["the suite's worlds are others"] if x["suite"]["tasks"] != y["suite"]["tasks"] else []
    versions = [(name, (a.get("packages") or {}).get(name), (b.get("packages") or {}).get(name)) for name in COMPARED]
    return differences + [f"{name}: {x} and {y}" for name, x, y in versions if x != y]


def _played(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arm.items() if key != "about"}
