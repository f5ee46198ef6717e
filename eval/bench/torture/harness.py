"""Shared parts of the stress tests: a memory to test, child processes, and dumps of all rows."""

import multiprocessing
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from memory import HashingEmbedder, Memory
from memory.describe import contents

DIM = 64
PROCESSES = multiprocessing.get_context("forkserver")  # children start in milliseconds, with no threads of ours
PROCESSES.set_forkserver_preload(["eval.bench.torture"])


def opened(path: Path | None) -> Memory:
    """The memory under torture."""
    return Memory.open(path, HashingEmbedder(DIM))


def dump(memory: Memory) -> dict[str, list[tuple[object, ...]]]:
    """Everything remembered, row by row."""
    return contents(memory.store.db)


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work`` in a process of its own; returns what it returns, raises what it raises as text."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=report, args=(there, work, arguments))
    process.start()
    there.close()
    try:
        ok, result = here.recv()
    except EOFError:
        ok, result = False, "the process died"
    process.join()
    here.close()
    assert ok, result
    return result


def report(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run ``work`` in this process and send what came of it."""
    try:
        pipe.send((True, work(*arguments)))
    except BaseException:
        pipe.send((False, traceback.format_exc()))


def scratch() -> Path:
    """A fresh folder to torture a memory in."""
    return Path(tempfile.mkdtemp(prefix="hippo-torture-"))
