"""The list of a collection's episodes: ``episodes.jsonl`` beside their logs, a line for each."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from agent.errors import LogError
from agent.logs.events import INGESTION, End, Start, current_kind
from agent.logs.files import atomic_write
from agent.statistics import wilson_ci

MANIFEST = "episodes.jsonl"

Row = dict[str, Any]
"""One episode: number, seed, kind, world, results, and where its log is."""

_NEEDED = {"episode", "seed", "kind", "success", "steps", "optimal_steps"}


def read(path: Path) -> list[Row]:
    """Return the rows of a manifest, none if the file does not exist; a torn last line is cut off.

    Raises:
        LogError: A whole line is not a row of an episode.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    rows = []
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            row = json.loads(line)
            if not row.keys() >= _NEEDED:
                raise ValueError(f"expected {', '.join(sorted(_NEEDED))}")
        except (ValueError, AttributeError) as error:
            raise LogError(f"{path} line {number} is no episode ({error}): remove it, and collect again") from error
        rows.append(row | {"kind": current_kind(row["kind"])})
    return rows


def append(path: Path, rows: Sequence[Row]) -> None:
    """Append rows, such as the rows of one world.

    Raises:
        LogError: It can't be written.
    """
    try:
        with path.open("ab") as file:
            file.write(_lines(rows).encode())
    except OSError as error:
        raise LogError(f"can't write {path}: {error.strerror}; what is there is kept") from error


def write(path: Path, rows: Sequence[Row]) -> None:
    """Replace a manifest, whole or not at all.

    Raises:
        LogError: It can't be written.
    """
    with atomic_write(path) as file:
        file.write(_lines(rows))


def _lines(rows: Sequence[Row]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def counted(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the episodes that say something: all but those of ingestion, unless there are no others."""
    return [row for row in rows if row["kind"] != INGESTION] or rows


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the count, the share of success with its 95 % interval, and steps over optimal of solved episodes.

    Episodes of ingestion, in which something is told and nothing asked, always succeed. They are included in the count,
    but if there are other episodes, the share of success is taken over those only.
    """
    count = len(rows)
    rows = counted(rows)
    solved = [row for row in rows if row["success"]]
    ratios = [row["steps"] / row["optimal_steps"] for row in solved if row["optimal_steps"]]
    return {
        "episodes": count,
        "success": len(solved) / len(rows) if rows else None,
        "ci95": wilson_ci(len(solved), len(rows)) if rows else None,
        "steps_over_optimal": sum(ratios) / len(ratios) if ratios else None,
    }


def by_kind(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the totals of each kind of mission."""
    kinds = sorted({row["kind"] for row in rows})
    return {kind: totals([row for row in rows if row["kind"] == kind]) for kind in kinds}


def table(rows: Sequence[Row]) -> Table:
    """Return a table with the totals of each kind of mission and of all."""
    grid = Table("kind", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("episodes", "solved", "95 % interval", "steps/expert"):
        grid.add_column(title, justify="right")
    for kind, figures in [
        *by_kind(rows).items(),
        ("all" if INGESTION not in by_kind(rows) else "all but ingestion", totals(rows)),
    ]:
        if figures["episodes"]:
            low, high = figures["ci95"]
            over = figures["steps_over_optimal"]
            grid.add_row(
                kind or "-",
                str(figures["episodes"]),
                f"{figures['success']:.3f}",
                f"{low:.3f} to {high:.3f}",
                "-" if over is None else f"{over:.3f}",
            )
    return grid


def episode_summary(start: Start, end: End, seconds: float) -> dict[str, Any]:
    """Return what came of one episode.

    Args:
        start: Its first event.
        end: Its last.
        seconds: Wall-clock time that it took.
    """
    return {
        "seed": start.seed,
        "ending": end.ending,
        "success": end.success,
        "steps": end.steps,
        "optimal_steps": start.optimal_steps,
        "return": round(end.total_reward, 4),
        "model_calls": end.model_calls,
        "tool_calls": end.tool_calls,
        "invalid_calls": end.invalid_calls,
        "prefill_tokens": end.prefill_tokens,
        "decode_tokens": end.decode_tokens,
        "forced_tokens": end.forced_tokens,
        "writes": end.writes,
        "seconds": round(seconds, 3),
    }
