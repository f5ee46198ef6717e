"""Files that are replaced whole or not at all, and folders that one process has at a time."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from memory.errors import StorageError


@contextmanager
def atomic_path(path: Path, error: type[Exception] = StorageError) -> Iterator[Path]:
    """Give a new path beside ``path``, with the same ending, whose file takes the place of ``path`` at the end.

    After an error nothing has changed.

    Args:
        path: The file; its folder is made if missing.
        error: Raised if it can't be written.

    Raises:
        StorageError: It can't be written, unless ``error`` names another.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as problem:
        if isinstance(problem, error | StorageError):
            raise
        raise error(f"can't write {path}: {problem.strerror or problem}; choose another place") from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_write(
    path: Path, mode: str = "w", error: type[Exception] = StorageError, sync: bool = False
) -> Iterator[IO[Any]]:
    """Open a file to write that takes the place of ``path`` when all is written; after an error nothing has changed.

    Args:
        path: The file; its folder is made if missing.
        mode: ``"w"`` for text in UTF-8, ``"wb"`` for bytes.
        error: Raised if it can't be written.
        sync: Whether it is on the disk when this returns, so that it survives a loss of power.

    Raises:
        StorageError: It can't be written, unless ``error`` names another.
    """
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path, error) as part, part.open(mode, encoding=encoding) as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def folder_lock(folder: Path, error: type[Exception] = StorageError) -> Iterator[None]:
    """Keep other processes out of a folder; the lock goes with the process, even if that is killed.

    Raises:
        StorageError: Another process has it, unless ``error`` names another.
    """
    try:
        lock = FileLock(folder / ".lock", blocking=False)
        lock.acquire()
    except Timeout as taken:
        raise error(f"another process is at work in {folder}: wait for it, or give another name=") from taken
    try:
        yield
    finally:
        lock.release()
