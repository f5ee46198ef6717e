"""Tables of evaluations for a terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from eval.verdict import FEWEST_WORLDS

_MARKS = {True: "ok", False: "[bold red]FAILED[/bold red]", None: "-"}
"""What stands before a check that passed, that failed, and that could not be made."""


def arms_tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Make two tables for each task: success with the difference from the first arm, and what it took.

    They fit into 80 columns.
    """
    pairs = {(row["b"], row["task"]): row for row in summary["paired"]}
    first = next(iter(summary["arms"]), "")
    for task in dict.fromkeys(task for arm in summary["arms"].values() for task in arm["tasks"]):
        rows = {name: arm["tasks"][task] for name, arm in summary["arms"].items() if task in arm["tasks"]}
        success = Table("arm", "n (worlds)", "solved", f"{first} ahead by", "p", title=_title(summary, task), **_PLAIN)
        for name, row in rows.items():
            pair = pairs.get((name, task))
            success.add_row(
                name,
                f"{row['n']} ({row['worlds']})",
                f"{number(row['success'], 2)} ({interval(row['ci95'], 2)})",
                gap(pair, 2) if pair else "",
                p_of(pair) if pair else "",
            )
        yield success
        took = Table("arm", "steps/expert", "EM", "F1", "calls", "tokens", **_PLAIN)
        for name, row in rows.items():
            took.add_row(
                name,
                number(row["steps_over_optimal"], 2),
                number(row["em"], 2),
                number(row["f1"], 2),
                number(row["model_calls"], 1),
                number(row["tokens"], 0),
            )
        yield took


_PLAIN: dict[str, Any] = {"box": None, "padding": (0, 1, 0, 0), "title_justify": "left"}


def _title(summary: Mapping[str, Any], task: str) -> str:
    suite = Path(str(summary["suite"])).stem
    where = task if task == suite else f"{suite}: {task}"
    return f"{where} ({summary['split']} split, model {summary['model']})"


def checks_table(summary: Mapping[str, Any]) -> Table:
    """Make the table of the checks and what they found."""
    table = Table("", "check", "found", box=None, padding=(0, 1, 0, 0))
    for check in summary["checks"]:
        table.add_row(_MARKS[check["ok"]], check["name"], check["found"])
    return table


def compare_table(comparison: Mapping[str, Any]) -> Table:
    """Make the table that compares two evaluations."""
    table = Table("task", "arm", "n", "A", "B", "A - B (95 %)", "won", "lost", "p", box=None, padding=(0, 1, 0, 0))
    for row in comparison["paired"]:
        table.add_row(
            row["task"],
            row["arm"],
            str(row["n"]),
            number(row["a"], 2),
            number(row["b"], 2),
            gap(row, 2),
            str(row["won"]),
            str(row["lost"]),
            p_of(row),
        )
    return table


def number(value: float | None, digits: int = 3) -> str:
    """Format a number; a dash for ``None``."""
    return "-" if value is None else f"{value:,.{digits}f}"


def interval(bounds: tuple[float, float] | None, digits: int = 3) -> str:
    """Format an interval; a dash for ``None``."""
    return "-" if bounds is None else f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}"


def gap(pair: Mapping[str, Any], digits: int = 3) -> str:
    """Format the difference by which the first arm is ahead, with its interval."""
    return "-" if pair["diff"] is None else f"{pair['diff']:+.{digits}f} ({interval(pair['ci95'], digits)})"


def p_of(pair: Mapping[str, Any]) -> str:
    """Format the p-value of a pair; of too few worlds it says nothing."""
    return p_value(pair["p_holm"]) if pair["worlds"] >= FEWEST_WORLDS else "few worlds"


def p_value(p: float) -> str:
    """Format a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
