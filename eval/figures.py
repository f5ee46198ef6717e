"""Pictures of an evaluation as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.plots import lines

COLOURS = {"arms": "#2a6f97", "ablations": "#d98324", "checks": "#9b2226"}


def arms(
    path: Path, task: str, summary: Mapping[str, Any], groups: Mapping[str, Sequence[str]], guess: float | None
) -> None:
    """Draw the success of every arm in a task, with its interval over episodes, and a line at the rate of guessing.

    Args:
        path: File to write.
        task: Name of the task.
        summary: Summary of the evaluation.
        groups: Names of the arms by group: arms, ablations, checks.
        guess: Success by guessing, if it is known.
    """
    from matplotlib.figure import Figure

    names = [(group, name) for group, members in groups.items() for name in members]
    names = [(group, name) for group, name in names if task in summary["arms"].get(name, {"tasks": {}})["tasks"]]
    figure = Figure(figsize=(7.0, 0.8 + 0.34 * len(names)), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for row, (group, name) in enumerate(names):
        scores = summary["arms"][name]["tasks"][task]
        low, high = scores["ci95"]
        spread = [[scores["success"] - low], [high - scores["success"]]]
        axes.barh(
            row, scores["success"], 0.7, color=COLOURS[group], xerr=spread, error_kw={"linewidth": 1.0, "capsize": 2}
        )
    if guess:
        axes.axvline(guess, color="#555", linewidth=1.0, linestyle="--", label=f"by guessing ({guess:.2f})")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for _, name in names], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share solved, 95 % interval")
    axes.set_title(f"{summary['suite']}: {task}", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def cost(path: Path, summary: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Draw the operations per solved episode of some arms; return whether there was anything to draw."""
    from matplotlib.figure import Figure

    rows = [
        (name, task, scores["flops_per_solved"], scores["success"])
        for name in names
        for task, scores in summary["arms"][name]["tasks"].items()
        if scores["flops_per_solved"]
    ]
    if not rows:
        return False
    figure = Figure(figsize=(7.0, 1.1 + 0.34 * len(rows)), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for row, (name, _, flops, success) in enumerate(rows):
        axes.barh(row, flops, 0.7, color="#2a6f97" if name == names[0] else "#9aa5b1")
        axes.annotate(f"{success:.2f} solved", (flops, row), textcoords="offset points", xytext=(4, -3), fontsize=8)
    many = len({task for _, task, _, _ in rows}) > 1
    labels = [name.replace("_", " ") + (f", {task}" if many else "") for name, task, _, _ in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 3)
    axes.set_xlabel("operations for each solved episode")
    axes.set_title(f"{summary['suite']}: what success costs", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    return True


def growth(folder: Path, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Draw the cost over the length of an episode and over the size of a memory; return file names and captions."""
    pictures = []
    steps = figures.get("steps", [])
    for key, label in (
        ("context", "tokens in the window"),
        ("kv_bytes", "bytes of key-value cache"),
        ("seconds", "seconds of the step"),
        ("flops", "operations of the step"),
    ):
        series = {
            way: [(row["step"], row[key]) for row in steps if row["way"] == way and row[key] is not None]
            for way in dict.fromkeys(row["way"] for row in steps)
        }
        if any(series.values()):
            name = f"growth-{key}.png"
            lines(
                folder / name,
                {k: v for k, v in series.items() if v},
                f"Growth with an episode's length: {label}",
                "step",
                label,
                log_x=True,
                log_y=True,
            )
            pictures.append((name, f"{label.capitalize()}, by step of one episode."))
    sizes = figures.get("sizes", [])
    for key, label in (("ms", "milliseconds of a look-up"), ("tokens", "tokens that reach the prompt")):
        series = {
            way: [(row["items"], row[key]) for row in sizes if row["way"] == way and row.get(key) is not None]
            for way in dict.fromkeys(row["way"] for row in sizes)
        }
        if any(series.values()):
            name = f"size-{key}.png"
            lines(
                folder / name,
                {k: v for k, v in series.items() if v},
                f"Growth with what is remembered: {label}",
                "items remembered",
                label,
                log_x=True,
                log_y=True,
            )
            pictures.append((name, f"{label.capitalize()}, by items remembered."))
    return pictures
