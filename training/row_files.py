"""Files of ``messages`` data sets: JSON lines, JSON, Parquet, and folders that Hugging Face's ``datasets`` wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.errors import LogError
from agent.logs.trajectory import logs_in
from training.errors import TrainConfigError

SUFFIXES = (".jsonl", ".json", ".parquet")
LOG = "events.jsonl"
SAVED, SPLITS = "dataset_info.json", "dataset_dict.json"


def is_rows(path: Path) -> bool:
    """Return whether a path is a data set of rows, and not a log or a folder of logs."""
    if path.is_dir():
        return (path / SAVED).is_file() or (path / SPLITS).is_file()
    return path.suffix in SUFFIXES and path.name != LOG


def inputs(runs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the logs in runs, and the data sets of rows among them.

    Raises:
        TrainConfigError: There is neither.
    """
    files = list({path.resolve(): path for path in runs if is_rows(path)}.values())
    rest = [path for path in runs if not is_rows(path)]
    try:
        return logs_in(rest) if rest or not files else [], files
    except LogError as error:
        near = [path for run in rest if run.is_dir() for path in sorted(run.iterdir()) if is_rows(path)]
        hint = f"; for a data set name the file: {near[0]}" if near else ""
        raise TrainConfigError(f"{error}{hint}") from error


def check_runs(runs: Sequence[Path]) -> None:
    """Check that there is something to learn from.

    Raises:
        TrainConfigError: Nothing is named, or something named does not exist.
    """
    if not runs:
        raise TrainConfigError(
            "name what to learn from: data.runs=[runs/2026-11-22/skills] or data.runs=[rows.jsonl]; `hippo collect` "
            "makes runs"
        )
    for run in runs:
        if not run.exists():
            hint = "" if run.suffix else ": see `hippo episodes list runs/*/*`"
            raise TrainConfigError(f"there is no run or data set at {run}{hint}")
        if run.is_file() and run.name != LOG and run.suffix not in SUFFIXES:
            raise TrainConfigError(f"{run} is no data set: give a run, or a file that ends in {', '.join(SUFFIXES)}")


def read_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of a data set, each with the name of its place: ``rows.jsonl:17``.

    Raises:
        TrainConfigError: The file can't be read, or holds something else.
    """
    for number, row in _read(path):
        if not isinstance(row, Mapping):
            raise TrainConfigError(f"{path}:{number}: expected a JSON object with messages, got {str(row)[:60]!r}")
        yield f"{path}:{number}", row


def _read(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows with their lines, or with their numbers where there are no lines."""
    try:
        if path.suffix == ".jsonl" and path.is_file():
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield number, _json(line, f"{path}:{number}")
        elif path.suffix == ".json" and path.is_file():
            whole = _json(path.read_text(encoding="utf-8-sig"), str(path))
            if not isinstance(whole, list):
                raise TrainConfigError(f"{path}: expected a list of rows, got a JSON {type(whole).__name__}")
            yield from enumerate(whole, start=1)
        else:
            for number, row in enumerate(_columns(path), start=1):
                yield number, {key: _filled(value) for key, value in row.items()}
    except UnicodeDecodeError as error:
        raise TrainConfigError(f"{path}: this is no UTF-8 ({error.reason}): write it as UTF-8") from error


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise TrainConfigError(f"{place}: this is no JSON ({reason}{where}): mend the line, or take it out") from error


def _columns(path: Path) -> Any:
    from datasets import Dataset, DatasetDict, load_from_disk

    try:
        found = load_from_disk(str(path)) if path.is_dir() else Dataset.from_parquet(str(path), keep_in_memory=True)
    except Exception as error:  # Arrow and datasets have errors of their own
        raise TrainConfigError(f"{path} can't be read: {' '.join(str(error).split())[:200]}") from error
    if isinstance(found, DatasetDict):
        parts = ", ".join(str(path / name) for name in found)
        raise TrainConfigError(f"{path} holds several data sets: name one of {parts}")
    return found


def _filled(value: Any) -> Any:
    """Leave out nulls: columns give every struct the fields of all others."""
    if isinstance(value, Mapping):
        return {key: _filled(item) for key, item in value.items() if item is not None}
    return [_filled(item) for item in value] if isinstance(value, list) else value
