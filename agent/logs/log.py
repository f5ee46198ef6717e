"""Logs on disk: ``events.jsonl``, written line by line, and ``run.json``, written once."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.errors import LogError
from agent.logs.events import PARSER, Event
from agent.logs.files import atomic_write

PACKAGES = (
    "torch", "transformers", "peft", "bitsandbytes", "faiss-cpu", "networkx", "pydantic", "gymnasium",
    "minigrid", "llguidance", "numpy", "hippo-llm-memory",
)  # fmt: skip


class EventLog(AbstractContextManager["EventLog"]):
    """An append-only file of events. A line is written whole or not at all.

    A line torn by a crash is cut off when the file is opened again.

    Args:
        path: The file; its folder is made if missing.

    Raises:
        LogError: It can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LogError(f"can't write {path}: {error.strerror}; choose another folder with runs=") from error
        self._end = _whole_lines(path)
        os.ftruncate(self._file, self._end)

    def write(self, event: Event) -> None:
        """Append one event; when this returns, the operating system has the whole line.

        Raises:
            LogError: The disk is full or the file can't be written; earlier events stay readable.
        """
        line = event.model_dump_json().encode() + b"\n"
        try:
            count = os.pwrite(self._file, line, self._end)
        except OSError as error:
            raise LogError(f"can't write {self.path}: {error.strerror}; earlier events are kept") from error
        if count < len(line):
            os.ftruncate(self._file, self._end)
            raise LogError(f"can't write {self.path}: the disk is full; earlier events are kept")
        self._end += count

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _whole_lines(path: Path) -> int:
    """Return the length in bytes of the file up to its last line break."""
    data = path.read_bytes()
    return data.rfind(b"\n") + 1


def read_events(path: Path) -> list[Event]:
    """Read an ``events.jsonl``; a torn last line is left out.

    Raises:
        LogError: The file does not exist, or a whole line is not an event.
    """
    if not path.is_file():
        raise LogError(f"no log at {path}: give an events.jsonl")
    events = []
    for number, line in enumerate(path.read_bytes()[: _whole_lines(path)].splitlines(), start=1):
        try:
            events.append(PARSER.validate_json(line))
        except ValidationError as error:
            problem = error.errors()[0]
            place = " ".join(map(str, problem["loc"]))
            raise LogError(
                f"{path} line {number} is no event: {place} {problem['msg']}".replace(":  ", ": ")
            ) from error
    return events


def write_run(path: Path, config: Mapping[str, Any], model: Mapping[str, Any], seeds: list[int]) -> None:
    """Write ``run.json``: configuration and its hash, model, seeds, versions, revision, command.

    Raises:
        LogError: The folder can't be written.
    """
    resolved = json.dumps(config, sort_keys=True)
    record = {
        "v": 1,
        "config": config,
        "config_sha256": hashlib.sha256(resolved.encode()).hexdigest(),
        "model": model,
        "seeds": seeds,
        "packages": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": _git_revision(),
        "command": ["hippo", *(re.sub(r"(api_key=).*", r"\1***", word) for word in sys.argv[1:])],
    }
    with atomic_write(path) as file:
        json.dump(record, file, indent=2)


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that results depend on."""
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    here = Path(__file__).parent
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
