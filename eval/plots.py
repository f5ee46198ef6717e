"""Plots of measurements; matplotlib is installed by the extra ``bench``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Point = tuple[float, float, float]
"""A value and the two ends of its interval."""


def _axes(title: str, width: float = 9.0) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(width, 4.2), dpi=130, layout="constrained")
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def bars(path: Path, groups: Mapping[str, Mapping[str, Point]], title: str, ylabel: str) -> None:
    """Draw grouped bars with intervals: one colour for each outer name, one group for each inner name."""
    figure, axes = _axes(title)
    kinds = list(dict.fromkeys(kind for by_kind in groups.values() for kind in by_kind))
    width = 0.8 / len(groups)
    for number, (name, by_kind) in enumerate(groups.items()):
        points = [by_kind[kind] for kind in kinds]
        x = [i + (number - (len(groups) - 1) / 2) * width for i in range(len(kinds))]
        errors = [[max(0.0, p[0] - p[1]) for p in points], [max(0.0, p[2] - p[0]) for p in points]]
        axes.bar(x, [p[0] for p in points], width * 0.92, yerr=errors, label=name, error_kw={"linewidth": 0.9})
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, fontsize=8, ncols=min(3, len(groups)), loc="upper center", bbox_to_anchor=(0.5, -0.1))
    figure.savefig(path)


def lines(
    path: Path,
    series: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    """Draw lines through ``(x, y)`` points, one for each name."""
    figure, axes = _axes(title, width=7.0)
    for name, points in series.items():
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", markersize=4, label=name)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def histogram(path: Path, series: Mapping[str, Sequence[float]], title: str, xlabel: str, ylabel: str) -> None:
    """Draw distributions over one another, cut at the 99th percentile, with their medians marked."""
    figure, axes = _axes(title, width=7.0)
    cut = max(sorted(values)[int(0.99 * len(values))] for values in series.values())
    for number, (name, values) in enumerate(series.items()):
        median = sorted(values)[len(values) // 2]
        axes.hist(values, bins=80, range=(0, cut), alpha=0.55, color=f"C{number}", label=f"{name}, median {median:.2f}")
        axes.axvline(median, color=f"C{number}", linewidth=1.2)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
