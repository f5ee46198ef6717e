"""An evaluation in one object: figures of every arm, differences between them, what the checks say."""

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
from eval.harness import Evaluation, Played, settings_of
from eval.measures import Record, by_arm, measure
from eval.probes import PROBES, Probe
from eval.statistics import bootstrap_ci, clustered_ci, holm, mcnemar, power, sign_flip, tango_ci

RECORDS = "records.jsonl"
SUMMARY = "summary.json"
MEANS = ("model_calls", "prefill_tokens", "decode_tokens", "forced_tokens", "seconds", "tool_ms", "context")


def figures(records: Sequence[Record]) -> dict[str, Any]:
    """Success with its interval, steps over the fewest, answers, cost; means are of one episode.

    The interval of success is Wilson's over episodes, as wide as that over whole worlds if that is wider: the episodes
    of one world depend on each other. Operations for each solved episode count its share of the visits in which one
    only listens.
    """
    solved = sum(bool(one["success"]) for one in records)
    ratios = [one["steps"] / one["optimal_steps"] for one in records if one["success"] and one["optimal_steps"]]
    asked = [one for one in records if one["em"] is not None]
    spent = [one["flops"] + (one.get("ingestion_flops") or 0) for one in records if one["flops"] is not None]
    heard = [one["ingestion_flops"] for one in records if one.get("ingestion_flops") is not None]
    sizes = [one["kv_bytes"] for one in records if one["kv_bytes"] is not None]
    means = {name: _mean([one[name] for one in records if one[name] is not None]) for name in MEANS}
    tokens = [means[f"{kind}_tokens"] for kind in ("prefill", "decode", "forced")]
    by_world = clustered_ci([one["success"] for one in records], [f"{one['task']} {one['world']}" for one in records])
    return {
        "n": len(records), "worlds": len({(one["task"], one["world"]) for one in records}),
        "success": solved / len(records) if records else None,
        "ci95": _wider(wilson_ci(solved, len(records)), by_world) if records else None,
        "steps_over_optimal": _mean(ratios),
        "steps_over_optimal_ci95": bootstrap_ci(ratios) if len(ratios) > 1 else None,
        "recall": _mean([one["recall"] for one in records if "recall" in one]),
        "em": _mean([one["em"] for one in asked]), "f1": _mean([one["f1"] for one in asked]),
        **means, "tokens": None if None in tokens else sum(one for one in tokens if one is not None),
        "flops_per_solved": sum(spent) / solved if spent and solved else None, "ingestion_flops": _mean(heard),
        "kv_bytes": max(sizes, default=None),
        "invalid_calls": sum(one["invalid_calls"] for one in records),
        "macros_run": _mean([one["macros_run"] > 0 for one in records]),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def difference(a: Sequence[Record], b: Sequence[Record]) -> dict[str, Any]:
    """Success of one arm minus another's, on the episodes that both played.

    Returns:
        ``n``, ``diff``, ``ci95`` (Tango's score interval, and whole worlds resampled: as wide as both), ``won``,
        ``lost``, ``p`` of McNemar's exact test and ``p_worlds``, which takes each world as one; of the ``steps_n``
        episodes that both solved, ``steps_diff``: by how much more the other arm's steps are over the fewest possible.
    """
    theirs = {(one["task"], one["seed"]): one for one in b}
    pairs = [(one, theirs[key]) for one in a if (key := (one["task"], one["seed"])) in theirs]
    x = np.array([bool(one["success"]) for one, _ in pairs], bool)
    y = np.array([bool(other["success"]) for _, other in pairs], bool)
    won, lost = int((x & ~y).sum()), int((~x & y).sum())
    gaps, worlds = x.astype(float) - y, [f"{one['task']} {one['world']}" for one, _ in pairs]
    both = [(one, other) for one, other in pairs if one["success"] and other["success"] and one["optimal_steps"]]
    longer = [(other["steps"] - one["steps"]) / one["optimal_steps"] for one, other in both]
    return {
        "steps_n": len(both), "steps_diff": _mean(longer),
        "steps_ci95": _hull(np.array(longer), [f"{one['task']} {one['world']}" for one, _ in both]) if both else None,
        "worlds": len({*worlds}),
        "n": len(pairs), "diff": float(x.mean() - y.mean()) if len(pairs) else None,
        "ci95": _wider(tango_ci(won, lost, len(pairs)), clustered_ci(gaps, worlds)),
        "won": won, "lost": lost, "p": mcnemar(x, y), "p_worlds": sign_flip(gaps, worlds),
    }  # fmt: skip


def _hull(differences: NDArray[np.float64], worlds: Sequence[str]) -> tuple[float, float]:
    """Few worlds that go alike have no spread over worlds: the wider interval is the honest one."""
    return _wider(bootstrap_ci(differences), clustered_ci(differences, worlds))


def _wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def summarise(config: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """The summary.

    Args:
        config: What the evaluation was asked to do: ``eval``, ``suite``, ``arms``, ``visits``.
        records: Every episode that counts.
    """
    names = [name for name in config["arms"] if any(one["arm"] == name for one in records)]
    arms = {}
    for name in names:
        mine = [one for one in records if one["arm"] == name]
        arms[name] = figures(mine) | {"about": config["arms"][name]["about"], "tasks": _tasks(mine)}
    checks = audit(config, records)
    plan = config["suite"]["plan"]
    played = min((task["n"] for task in arms[names[0]]["tasks"].values()), default=0) if names else 0
    found = {
        "suite": config["eval"]["suite"], "model": config["eval"]["model"], "split": config["eval"]["split"],
        "seed": config["eval"]["seed"], "n": played, "plan": plan,
        "power": power(played, plan["difference"], plan["discordant"]),
        "arms": arms, "paired": _paired(names, records), "checks": [one.row() for one in checks],
    }  # fmt: skip
    return {**found, "ok": all(one.ok for one in checks)}


def _tasks(records: Sequence[Record]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for task in dict.fromkeys(one["task"] for one in records):
        mine = [one for one in records if one["task"] == task]
        kinds = sorted({one["kind"] for one in mine})
        by_kind = {kind: figures([one for one in mine if one["kind"] == kind]) for kind in kinds}
        found[task] = figures(mine) | {"kinds": by_kind}
    return found


def _paired(names: Sequence[str], records: Sequence[Record]) -> list[dict[str, Any]]:
    """The first arm beside every other one in each task; the larger of both p-values is corrected for their number."""
    found: list[dict[str, Any]] = []
    arms = by_arm(records)
    for task in dict.fromkeys(one["task"] for one in records):
        first = next((name for name in names if (name, task) in arms), None)
        for other in [name for name in names if name != first and (name, task) in arms]:
            assert first is not None
            one, two = ([*arms[name, task].values()] for name in (first, other))
            found.append({"a": first, "b": other, "task": task, **difference(one, two)})
    corrected = holm([max(pair["p"], pair["p_worlds"]) for pair in found])
    return [pair | {"p_holm": p} for pair, p in zip(found, corrected, strict=True)]


def finish(evaluation: Evaluation, played: Sequence[Played]) -> dict[str, Any]:
    """Measure what was played, write ``records.jsonl`` and ``summary.json``; the summary.

    What was probed before stays.
    """
    probed: dict[str, Probe] = _probed(evaluation.folder)
    for name in evaluation.suite.probes if evaluation.config.probes else ():
        evaluation.say(f"{name}: the memory alone")
        probed[name] = PROBES[name]()
    return conclude(evaluation.folder, measure(played, evaluation.folder), probed)


def _probed(folder: Path) -> dict[str, Probe]:
    try:
        found: dict[str, Probe] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["probes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def conclude(folder: Path, records: Sequence[Record], probed: Mapping[str, Probe] | None = None) -> dict[str, Any]:
    """Write the records of an evaluation and their summary; the summary."""
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
    """Write the records of an evaluation, whole or not at all."""
    with atomic_write(folder / RECORDS) as file:
        for one in records:
            file.write(f"{json.dumps(one)}\n")


def _current(record: Record) -> Record:
    """Bring a record of an earlier release up to date: its names of figures and kinds are today's then."""
    if "listening_flops" in record:
        record["ingestion_flops"] = record.pop("listening_flops")
    return record | {"kind": current_kind(record["kind"])}


def read_run(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """The summary and the records of an evaluation that is through.

    Raises:
        EvalError: It is not through, or its files are damaged.
    """
    settings = settings_of(folder)
    for name in (SUMMARY, RECORDS):
        if not (folder / name).is_file():
            raise EvalError(f"{folder} is not through ({name} is missing): go on with `hippo eval` and the same name=")
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        content = (folder / RECORDS).read_bytes()
        if hashlib.sha256(content).hexdigest() != summary.get("records_sha256", hashlib.sha256(content).hexdigest()):
            raise ValueError(f"{RECORDS} is not the one that the summary is of")
        records = [_current(json.loads(line)) for line in content.decode().splitlines()]
        wanted = sum(one["n"] for one in summary["arms"].values())
        summary |= summarise(settings["config"], records)  # it may be of an older release
        summary["asked"] = settings["config"]
        summary["weights"] = begun_with(settings)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EvalError(
            f"{folder} is damaged ({type(error).__name__}: {error}): `hippo eval` with the same name= writes it again"
        ) from error
    if not records or len(records) != wanted:
        raise EvalError(f"{folder} holds {len(records)} episodes, and its summary speaks of {wanted}: evaluate again")
    return summary, records
