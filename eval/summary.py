"""The summary of an evaluation: figures of every arm, paired differences, and the results of the checks."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.logs.events import current_kind
from agent.logs.files import atomic_write
from agent.statistics import wilson_ci
from eval.audit import audit
from eval.budget import begun_with
from eval.errors import EvalError
from eval.harness import Evaluation, settings_of
from eval.jobs import Played
from eval.measures import Record, by_arm, measure
from eval.probes import PROBES, Probe
from eval.statistics import bootstrap_ci, clustered_ci, holm, mcnemar, power, sign_flip, tango_ci

RECORDS = "records.jsonl"
SUMMARY = "summary.json"
MEANS = ("model_calls", "prefill_tokens", "decode_tokens", "forced_tokens", "seconds", "tool_ms", "context")


def figures(records: Sequence[Record]) -> dict[str, Any]:
    """Return success with its interval, steps over the fewest, answers and cost; means are per episode.

    The interval of success spans Wilson's interval over episodes and the bootstrap interval over whole worlds, because
    the episodes of one world depend on each other. Operations per solved episode include the episode's share of the
    ingestion visits.
    """
    solved = sum(bool(entry["success"]) for entry in records)
    ratios = [
        entry["steps"] / entry["optimal_steps"] for entry in records if entry["success"] and entry["optimal_steps"]
    ]
    answered = [entry for entry in records if entry["em"] is not None]
    flops = [entry["flops"] + (entry.get("ingestion_flops") or 0) for entry in records if entry["flops"] is not None]
    ingestion = [entry["ingestion_flops"] for entry in records if entry.get("ingestion_flops") is not None]
    sizes = [entry["kv_bytes"] for entry in records if entry["kv_bytes"] is not None]
    means = {name: _mean([entry[name] for entry in records if entry[name] is not None]) for name in MEANS}
    tokens = [means[f"{kind}_tokens"] for kind in ("prefill", "decode", "forced")]
    by_world = clustered_ci(
        [entry["success"] for entry in records], [f"{entry['task']} {entry['world']}" for entry in records]
    )
    return {
        "n": len(records),
        "worlds": len({(entry["task"], entry["world"]) for entry in records}),
        "success": solved / len(records) if records else None,
        "ci95": _wider(wilson_ci(solved, len(records)), by_world) if records else None,
        "steps_over_optimal": _mean(ratios),
        "steps_over_optimal_ci95": bootstrap_ci(ratios) if len(ratios) > 1 else None,
        "recall": _mean([entry["recall"] for entry in records if "recall" in entry]),
        "em": _mean([entry["em"] for entry in answered]),
        "f1": _mean([entry["f1"] for entry in answered]),
        **means,
        "tokens": None if None in tokens else sum(entry for entry in tokens if entry is not None),
        "flops_per_solved": sum(flops) / solved if flops and solved else None,
        "ingestion_flops": _mean(ingestion),
        "kv_bytes": max(sizes, default=None),
        "invalid_calls": sum(entry["invalid_calls"] for entry in records),
        "macros_run": _mean([entry["macros_run"] > 0 for entry in records]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def difference(a: Sequence[Record], b: Sequence[Record]) -> dict[str, Any]:
    """Return the success of one arm minus another's, on the episodes that both played.

    Returns:
        ``n``, ``diff``, ``ci95`` (spans Tango's score interval and the bootstrap interval over whole worlds), ``won``,
        ``lost``, ``p`` of McNemar's exact test, and ``p_worlds`` of a test that treats each world as one unit. On the
        ``steps_n`` episodes that both solved, ``steps_diff`` is the mean of the steps of ``b`` minus those of ``a``,
        divided by the fewest possible, with its interval ``steps_ci95``.
    """
    by_episode = {(row["task"], row["seed"]): row for row in b}
    pairs = [(row, by_episode[key]) for row in a if (key := (row["task"], row["seed"])) in by_episode]
    x = np.array([bool(row["success"]) for row, _ in pairs], bool)
    y = np.array([bool(other["success"]) for _, other in pairs], bool)
    won, lost = int((x & ~y).sum()), int((~x & y).sum())
    gaps, worlds = x.astype(float) - y, [f"{row['task']} {row['world']}" for row, _ in pairs]
    both = [(row, other) for row, other in pairs if row["success"] and other["success"] and row["optimal_steps"]]
    longer = [(other["steps"] - row["steps"]) / row["optimal_steps"] for row, other in both]
    return {
        "steps_n": len(both),
        "steps_diff": _mean(longer),
        "steps_ci95": _hull(np.array(longer), [f"{row['task']} {row['world']}" for row, _ in both]) if both else None,
        "worlds": len({*worlds}),
        "n": len(pairs),
        "diff": float(x.mean() - y.mean()) if len(pairs) else None,
        "ci95": _wider(tango_ci(won, lost, len(pairs)), clustered_ci(gaps, worlds)),
        "won": won,
        "lost": lost,
        "p": mcnemar(x, y),
        "p_worlds": sign_flip(gaps, worlds),
    }


def _hull(differences: NDArray[np.float64], worlds: Sequence[str]) -> tuple[float, float]:
    """Return the interval that spans those over episodes and over worlds.

    A few worlds with equal results have no spread over worlds, so that interval alone would be too narrow.
    """
    return _wider(bootstrap_ci(differences), clustered_ci(differences, worlds))


def _wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def summarise(config: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """Make the summary of an evaluation.

    Args:
        config: Settings of the evaluation: ``eval``, ``suite``, ``arms``, ``visits``.
        records: Every episode that counts.
    """
    names = [name for name in config["arms"] if any(entry["arm"] == name for entry in records)]
    arms = {}
    for name in names:
        arm_records = [entry for entry in records if entry["arm"] == name]
        arms[name] = figures(arm_records) | {"about": config["arms"][name]["about"], "tasks": _tasks(arm_records)}
    checks = audit(config, records)
    plan = config["suite"]["plan"]
    played = min((task["n"] for task in arms[names[0]]["tasks"].values()), default=0) if names else 0
    summary = {
        "suite": config["eval"]["suite"],
        "model": config["eval"]["model"],
        "split": config["eval"]["split"],
        "seed": config["eval"]["seed"],
        "n": played,
        "plan": plan,
        "power": power(played, plan["difference"], plan["discordant"]),
        "arms": arms,
        "paired": _paired(names, records),
        "checks": [entry.row() for entry in checks],
    }
    return {**summary, "ok": all(entry.ok is not False for entry in checks)}


def _tasks(records: Sequence[Record]) -> dict[str, Any]:
    by_task: dict[str, Any] = {}
    for task in dict.fromkeys(record["task"] for record in records):
        task_records = [record for record in records if record["task"] == task]
        kinds = sorted({record["kind"] for record in task_records})
        by_kind = {kind: figures([record for record in task_records if record["kind"] == kind]) for kind in kinds}
        by_task[task] = figures(task_records) | {"kinds": by_kind}
    return by_task


def _paired(names: Sequence[str], records: Sequence[Record]) -> list[dict[str, Any]]:
    """Compare the first arm with every other one in each task.

    The larger of the two p-values of each pair is corrected for the number of pairs.
    """
    pairs: list[dict[str, Any]] = []
    arms = by_arm(records)
    for task in dict.fromkeys(record["task"] for record in records):
        first = next((name for name in names if (name, task) in arms), None)
        for other in [name for name in names if name != first and (name, task) in arms]:
            assert first is not None
            first_records, other_records = ([*arms[name, task].values()] for name in (first, other))
            pairs.append({"a": first, "b": other, "task": task, **difference(first_records, other_records)})
    corrected = holm([max(pair["p"], pair["p_worlds"]) for pair in pairs])
    return [pair | {"p_holm": p} for pair, p in zip(pairs, corrected, strict=True)]


def finish(evaluation: Evaluation, played: Sequence[Played]) -> dict[str, Any]:
    """Measure what was played, run the probes, and write ``records.jsonl`` and ``summary.json``; return the summary.

    Results of earlier probes are kept.
    """
    probed: dict[str, Probe] = _probed(evaluation.folder)
    for name in evaluation.suite.probes if evaluation.config.probes else ():
        evaluation.say(f"{name}: the memory alone")
        probed[name] = PROBES[name]()
    return conclude(evaluation.folder, measure(played, evaluation.folder), probed)


def _probed(folder: Path) -> dict[str, Probe]:
    try:
        probes: dict[str, Probe] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["probes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return probes if isinstance(probes, dict) else {}


def conclude(folder: Path, records: Sequence[Record], probed: Mapping[str, Probe] | None = None) -> dict[str, Any]:
    """Write the records of an evaluation and their summary; return the summary."""
    write_records(folder, records)
    settings = settings_of(folder)
    summary = summarise(settings["config"], records)
    digest = hashlib.sha256((folder / RECORDS).read_bytes()).hexdigest()
    summary |= {"probes": dict(probed or {}), "folder": str(folder), "records_sha256": digest, **_versions(settings)}
    with atomic_write(folder / SUMMARY) as file:
        json.dump(summary, file, indent=1)
    return summary


def _versions(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings.get(name) for name in ("packages", "git", "python", "platform", "command")}


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write the records of an evaluation, completely or not at all."""
    with atomic_write(folder / RECORDS) as file:
        for record in records:
            file.write(f"{json.dumps(record)}\n")


def _current(record: Record) -> Record:
    """Convert a record of an earlier release: its keys and kinds get today's names."""
    if "listening_flops" in record:
        record["ingestion_flops"] = record.pop("listening_flops")
    return record | {"kind": current_kind(record["kind"])}


def read_run(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """Read the summary and the records of a finished evaluation.

    Raises:
        EvalError: The evaluation is not finished, or its files are damaged.
    """
    settings = settings_of(folder)
    for name in (SUMMARY, RECORDS):
        if not (folder / name).is_file():
            raise EvalError(f"{folder} is not finished ({name} is missing): go on with `hippo eval` and the same name=")
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        content = (folder / RECORDS).read_bytes()
        if hashlib.sha256(content).hexdigest() != summary.get("records_sha256", hashlib.sha256(content).hexdigest()):
            raise ValueError(f"{RECORDS} is not the one that the summary is of")
        records = [_current(json.loads(line)) for line in content.decode().splitlines()]
        wanted = sum(arm["n"] for arm in summary["arms"].values())
        summary |= summarise(settings["config"], records)  # the file may come from an older release
        summary["asked"] = settings["config"]
        summary["weights"] = begun_with(settings)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EvalError(
            f"{folder} is damaged ({type(error).__name__}: {error}): `hippo eval` with the same name= writes it again"
        ) from error
    if not records or len(records) != wanted:
        raise EvalError(f"{folder} holds {len(records)} episodes, and its summary counts {wanted}: evaluate again")
    return summary, records
