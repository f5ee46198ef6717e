"""The report of evaluations on one page: a self-contained report.html, and report.md with its pictures."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from agent.logs.files import atomic_write
from eval import figures
from eval.errors import EvalError
from eval.failures import MENDING, telling
from eval.harness import settings_of, slug
from eval.measures import Record, chance
from eval.summary import read_run
from eval.tables import gap, interval, number, p_of
from eval.verdict import verdicts, without_memory

GROUPS = {"arms": "Arms", "ablations": "Without one part", "checks": "Interventions on the memory"}
SHOWN = ("torch", "transformers", "peft", "hippo-llm-memory")
KINDS = 6
"""Greatest number of arms in the table of success by kind of mission."""


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The files of a report.

    Attributes:
        html: The HTML report.
        markdown: The same report in Markdown.
        problems: Evaluations that are left out, with the reason.
    """

    html: Path
    markdown: Path
    problems: list[str]


def write_report(runs: Sequence[Path], out: Path, growth: Path | None = None) -> ReportFiles:
    """Write the report of some evaluations; those that can't be read are named, the others are reported.

    Args:
        runs: Folders of evaluations.
        out: Folder for the report.
        growth: File with the output of ``python -m eval.bench.growth --json``.

    Raises:
        EvalError: None of the evaluations can be read.
    """
    read, problems = [], []
    for folder in runs:
        try:
            read.append((folder, *read_run(folder), settings_of(folder)))
        except EvalError as error:
            problems.append(str(error))
    if not read:
        raise EvalError("; ".join(problems) or "no evaluation was named")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(f"{out} can't be made: {error.strerror}; choose another --out") from error
    pages = [_run(out, *item) for item in read]
    page = {
        "title": "What memory does for a small model",
        "lead": _lead([item[1] for item in read]),
        "problems": problems,
        "verdicts": [
            f"{_title(summary, folder)}, {words}"
            for folder, summary, _, settings in read
            for words in verdicts(summary, settings["config"]["arms"])
        ],
        "notes": _mixed([(folder, summary) for folder, summary, _, _ in read]),
        "runs": pages,
        "glance": [row for run in pages for row in run["glance"]],
        **_growth(out, growth),
    }
    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    template = environment.from_string((files("eval") / "templates" / "report.html.j2").read_text(encoding="utf-8"))
    html, markdown = out / "report.html", out / "report.md"
    with atomic_write(html) as file:
        file.write(template.render(page))
    plain = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)  # Markdown
    words = plain.from_string((files("eval") / "templates" / "report.md.j2").read_text(encoding="utf-8"))
    with atomic_write(markdown) as file:
        file.write(words.render(page))
    return ReportFiles(html, markdown, problems)


def _lead(summaries: Sequence[Mapping[str, Any]]) -> str:
    models = ", ".join(dict.fromkeys(summary["model"] for summary in summaries if summary["model"] != "none"))
    splits = " and ".join(dict.fromkeys(summary["split"] for summary in summaries))
    count = f"{len(summaries)} evaluation{'s' * (len(summaries) > 1)}"
    return f"{count}, model {models or 'none'}, split {splits}. Every arm of an evaluation plays the same worlds."


def _mixed(runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[str]:
    """Return a note on versions that differ between the evaluations; none if they are the same."""
    differing = []
    for name in (*SHOWN, "git"):
        seen = {
            summary["git"] and summary["git"][:12] if name == "git" else (summary["packages"] or {}).get(name)
            for _, summary in runs
        }
        if len(seen) > 1:
            differing.append(f"{name} {' and '.join(sorted(version or 'unknown' for version in seen))}")
    return [f"Mixed versions: {'; '.join(differing)}. Compare across suites with care."] if differing else []


def _run(
    out: Path, folder: Path, summary: Mapping[str, Any], records: Sequence[Record], settings: Mapping[str, Any]
) -> dict[str, Any]:
    suite = settings["config"]["suite"]
    names = [*summary["arms"]]
    groups = {
        "ablations": [name for name in names if name in suite["ablations"]],
        "checks": [name for name in names if settings["config"]["arms"][name]["memories"] != "own"],
    }
    groups = {"arms": [name for name in names if not any(name in members for members in groups.values())], **groups}
    tasks = [*dict.fromkeys(row["task"] for row in records)]
    first = names[0]
    failures, counts = telling([row for row in records if row["arm"] == first], folder)
    plan = summary["plan"]
    return {
        "suite": _title(summary, folder),
        "anchor": slug(folder.name),
        "first": first,
        "about": f"{summary['n']} episodes of each task: a difference of {plan['difference']:.2f} is found with a "
        f"probability of {summary['power']:.2f} if {plan['discordant']:.0%} of the pairs differ."
        + (f" Seeds from {summary['seed']:,} of the {summary['split']} split on." if suite["tasks"] else ""),
        "glance": [_glance(summary, settings["config"], task, _title(summary, folder)) for task in tasks],
        "pictures": _pictures(out, slug(folder.name), summary, records, groups, tasks, suite["guess"]),
        "groups": [
            {
                "title": title,
                "rows": [
                    _row(summary, task, name)
                    for task in tasks
                    for name in groups[key]
                    if task in summary["arms"][name]["tasks"]
                ],
            }
            for key, title in GROUPS.items()
            if groups[key]
        ],
        **_kinds(summary, groups),
        "costs": [
            _cost(summary, task, name) for task in tasks for name in names if task in summary["arms"][name]["tasks"]
        ],
        "checks": summary["checks"],
        "probes": [*summary["probes"].values()],
        "whys": [
            {"why": why, "task": task, "count": count, "mending": MENDING[why]}
            for (task, why), count in counts.most_common()
        ],
        "failures": [
            {
                "why": row.why,
                "mission": row.record["mission"],
                "task": row.record["task"],
                "kind": row.record["kind"],
                "right": " or ".join(row.record["right"]) or "-",
                "said": row.record["answer"] or row.record["ending"],
                "lines": "\n".join(row.lines),
                "log": str(folder / row.record["log"]),
            }
            for row in failures
        ],
        "command": " ".join(summary["command"] or []),
        "versions": (f"git {summary['git'][:12]}; " if summary["git"] else "")
        + ", ".join(f"{name} {version}" for name in SHOWN if (version := (summary["packages"] or {}).get(name))),
        "folder": str(folder),
    }


def _title(summary: Mapping[str, Any], folder: Path) -> str:
    """Return the suite's name, with the folder's name if the user chose one."""
    suite = Path(str(summary["suite"])).stem
    return suite if re.fullmatch(rf"{re.escape(suite)}(-\d{{8}}-\d{{6}})?", folder.name) else f"{suite} ({folder.name})"


def _glance(summary: Mapping[str, Any], config: Mapping[str, Any], task: str, title: str) -> dict[str, Any]:
    first = next(iter(summary["arms"]))
    scores = summary["arms"][first]["tasks"].get(task)
    pairs = {pair["b"]: pair for pair in summary["paired"] if pair["task"] == task}
    best = without_memory(summary, config["arms"], task)
    return {
        "name": f"{title}: {task}" + (f", arm {first}" if first != "model" else ""),
        "n": f"{scores['n']:,} ({scores['worlds']:,})" if scores else "-",
        "success": number(scores["success"]) if scores else "-",
        "ci": interval(scores["ci95"]) if scores else "-",
        "other": best or "-",
        "ok": summary["ok"],
        "other_success": number(summary["arms"][best]["tasks"][task]["success"]) if best else "-",
        "difference": gap(pairs[best]) if best else "-",
    }


def _row(summary: Mapping[str, Any], task: str, name: str) -> dict[str, Any]:
    scores = summary["arms"][name]["tasks"][task]
    pair = next((p for p in summary["paired"] if (p["b"], p["task"]) == (name, task)), None)
    return {
        "task": task,
        "arm": name,
        "about": summary["arms"][name]["about"],
        "n": scores["n"],
        "lead": pair is None,
        "success": number(scores["success"]),
        "ci": interval(scores["ci95"]),
        "em": number(scores["em"]),
        "f1": number(scores["f1"]),
        "over": _over(scores, pair),
        "gap": gap(pair) if pair else "",
        "p": p_of(pair) if pair else "",
    }


def _over(one: Mapping[str, Any], pair: Mapping[str, Any] | None) -> str:
    """Format steps over the fewest possible, and the difference from the first arm where both solved."""
    if not pair or pair["steps_diff"] is None:
        return number(one["steps_over_optimal"], 2)
    low, high = pair["steps_ci95"]
    return f"{number(one['steps_over_optimal'], 2)} ({pair['steps_diff']:+.2f}, {low:+.2f} to {high:+.2f})"


def _kinds(summary: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Tabulate success by kind of mission: first arms, ablations, checks, then other arms."""
    names = [*groups["arms"][:2], *groups["ablations"], *groups["checks"], *groups["arms"][2:]][:KINDS]
    rows = []
    for task, whole in next(iter(summary["arms"].values()))["tasks"].items():
        for kind in whole["kinds"]:
            cells = []
            for name in names:
                scores = summary["arms"][name]["tasks"].get(task, {"kinds": {}})["kinds"].get(kind)
                cells.append(f"{number(scores['success'])} of {scores['n']}" if scores else "-")
            rows.append({"task": task, "kind": kind or "all", "cells": cells})
    return {"kinds": rows, "kind_arms": names}


def _cost(summary: Mapping[str, Any], task: str, name: str) -> dict[str, Any]:
    row = summary["arms"][name]["tasks"][task]
    flops, cache = row["flops_per_solved"], row["kv_bytes"]
    return {
        "task": task,
        "arm": name,
        "calls": number(row["model_calls"], 1),
        "prefill": number(row["prefill_tokens"], 0),
        "decode": number(row["decode_tokens"], 0),
        "forced": number(row["forced_tokens"], 0),
        "context": number(row["context"], 0),
        "kv": "-" if cache is None else f"{cache / 2**20:.1f} MiB",
        "flops": "-" if flops is None else f"{flops / 1e9:,.0f} G",
        "ingestion": f"{heard / 1e9:,.0f} G" if (heard := row.get("ingestion_flops")) else "-",
        "seconds": number(row["seconds"], 2),
        "tool": number(row["tool_ms"], 2),
        "macros": number(row["macros_run"], 2),
    }


def _pictures(
    out: Path,
    run: str,
    summary: Mapping[str, Any],
    records: Sequence[Record],
    groups: Mapping[str, Sequence[str]],
    tasks: Sequence[str],
    guess: Mapping[str, float],
) -> list[dict[str, str]]:
    pictures = []
    for task in tasks:
        name = f"{run}-{slug(task)}.png"
        first = next(iter(summary["arms"]))
        arm_records = [record for record in records if (record["arm"], record["task"]) == (first, task)]
        figures.arms(out / name, task, summary, groups, chance(arm_records, guess))
        caption = f"{task}: share solved by every arm. Blue: arms; orange: without one part; red: interventions."
        pictures.append(_picture(out / name, caption))
    name = f"{run}-cost.png"
    if figures.cost(out / name, summary, groups["arms"]):
        pictures.append(_picture(out / name, "Operations for each solved episode, and the share that is solved."))
    return pictures


def _picture(path: Path, caption: str) -> dict[str, str]:
    data = base64.b64encode(path.read_bytes()).decode()
    return {"data": data, "file": path.name, "caption": caption, "alt": caption}


def _growth(out: Path, file: Path | None) -> dict[str, Any]:
    if file is None:
        return {"growth": [], "growth_about": ""}
    try:
        data = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
        pictures = figures.growth(out, data)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise EvalError(f"{file} is not what `python -m eval.bench.growth --json` prints: {error}") from error
    return {
        "growth": [_picture(out / name, caption) for name, caption in pictures],
        "growth_about": data.get("about", ""),
    }
