"""Evaluations as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def arms_table(summary: Mapping[str, Any]) -> Table:
    """Every arm in every task, with its difference from the first one."""
    made = Table(
        "task", "arm", "n", "solved", "95 %", "steps/fewest", "EM", "F1", "calls", "tokens", "difference", "p (Holm)",
        title=f"{summary['suite']}: {summary['split']} split, model {summary['model']}", box=None, padding=(0, 1, 0, 0),
    )  # fmt: skip
    pairs = {(one["b"], one["task"]): one for one in summary["paired"]}
    tasks = dict.fromkeys(task for arm in summary["arms"].values() for task in arm["tasks"])
    for task in tasks:
        for name, arm in summary["arms"].items():
            if task in arm["tasks"]:
                one, pair = arm["tasks"][task], pairs.get((name, task))
                made.add_row(
                    task, name, str(one["n"]), number(one["success"]), interval(one["ci95"]),
                    number(one["steps_over_optimal"], 2), number(one["em"]), number(one["f1"]),
                    number(one["model_calls"], 1), number(one["tokens"], 0), gap(pair) if pair else "",
                    p_value(pair["p_holm"]) if pair else "",
                )  # fmt: skip
    return made


def checks_table(summary: Mapping[str, Any]) -> Table:
    """What the checks found."""
    made = Table("", "check", "found", box=None, padding=(0, 1, 0, 0))
    for one in summary["checks"]:
        made.add_row("ok" if one["ok"] else "[bold red]FAILED[/bold red]", one["name"], one["found"])
    return made


def compare_table(found: Mapping[str, Any]) -> Table:
    """One evaluation beside another."""
    made = Table("task", "arm", "n", "A", "B", "A - B", "95 %", "won", "lost", "p (Holm)", box=None)
    for one in found["paired"]:
        made.add_row(
            one["task"], one["arm"], str(one["n"]), number(one["a"]), number(one["b"]), f"{one['diff']:+.3f}",
            interval(one["ci95"]), str(one["won"]), str(one["lost"]), p_value(one["p_holm"]),
        )  # fmt: skip
    return made


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """An interval, or a dash."""
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def gap(pair: Mapping[str, Any]) -> str:
    """By how much the first arm is ahead, with its interval."""
    return "-" if pair["diff"] is None else f"{pair['diff']:+.3f} ({interval(pair['ci95'])})"


def p_value(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
