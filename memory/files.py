"""Atomic replacement of files, and locks that give one process exclusive use of a folder."""

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
    """Yield a temporary path in the folder of ``path``, with the same suffix; its file replaces ``path`` at the end.

    After an error ``path`` is unchanged.

    Args:
        path: The file; its folder is created if missing.
        error: Type of the error that is raised if the file can't be written.

    Raises:
        StorageError: The file can't be written; or ``error``, if given.
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
    """Open a temporary file that replaces ``path`` when the block ends; after an error ``path`` is unchanged.

    Args:
        path: The file; its folder is created if missing.
        mode: ``"w"`` for text in UTF-8, ``"wb"`` for bytes.
        error: Type of the error that is raised if the file can't be written.
        sync: Whether to flush the data to the disk first, so that it survives a loss of power.

    Raises:
        StorageError: The file can't be written; or ``error``, if given.
    """
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path, error) as part, part.open(mode, encoding=encoding) as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def folder_lock(folder: Path, error: type[Exception] = StorageError) -> Iterator[None]:
    """Lock a folder against other processes; the lock ends with the process, even if it is killed.

    Raises:
        StorageError: Another process holds the lock; or ``error``, if given.
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
