"""Tables of evaluations for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def arms_table(summary: Mapping[str, Any]) -> Table:
    """Make the table of every arm in every task, with its difference from the first arm."""
    table = Table(
        "task",
        "arm",
        "n",
        "solved",
        "95 %",
        "steps/fewest",
        "EM",
        "F1",
        "calls",
        "tokens",
        "difference",
        "p (Holm)",
        title=f"{summary['suite']}: {summary['split']} split, model {summary['model']}",
        box=None,
        padding=(0, 1, 0, 0),
    )
    pairs = {(row["b"], row["task"]): row for row in summary["paired"]}
    tasks = dict.fromkeys(task for arm in summary["arms"].values() for task in arm["tasks"])
    for task in tasks:
        for name, arm in summary["arms"].items():
            if task in arm["tasks"]:
                row, pair = arm["tasks"][task], pairs.get((name, task))
                table.add_row(
                    task,
                    name,
                    str(row["n"]),
                    number(row["success"]),
                    interval(row["ci95"]),
                    number(row["steps_over_optimal"], 2),
                    number(row["em"]),
                    number(row["f1"]),
                    number(row["model_calls"], 1),
                    number(row["tokens"], 0),
                    gap(pair) if pair else "",
                    p_value(pair["p_holm"]) if pair else "",
                )
    return table


def checks_table(summary: Mapping[str, Any]) -> Table:
    """Make the table of the checks and what they comparison."""
    table = Table("", "check", "found", box=None, padding=(0, 1, 0, 0))
    for check in summary["checks"]:
        table.add_row("ok" if check["ok"] else "[bold red]FAILED[/bold red]", check["name"], check["found"])
    return table


def compare_table(comparison: Mapping[str, Any]) -> Table:
    """Make the table that compares two evaluations."""
    table = Table("task", "arm", "n", "A", "B", "A - B", "95 %", "won", "lost", "p (Holm)", box=None)
    for row in comparison["paired"]:
        table.add_row(
            row["task"],
            row["arm"],
            str(row["n"]),
            number(row["a"]),
            number(row["b"]),
            f"{row['diff']:+.3f}",
            interval(row["ci95"]),
            str(row["won"]),
            str(row["lost"]),
            p_value(row["p_holm"]),
        )
    return table


def number(value: float | None, digits: int = 3) -> str:
    """Format a number; a dash for ``None``."""
    return "-" if value is None else f"{value:,.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Format an interval; a dash for ``None``."""
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def gap(pair: Mapping[str, Any]) -> str:
    """Format the difference by which the first arm is ahead, with its interval."""
    return "-" if pair["diff"] is None else f"{pair['diff']:+.3f} ({interval(pair['ci95'])})"


def p_value(p: float) -> str:
    """Format a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
