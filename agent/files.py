"""Files that are there whole, or as they were."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agent.errors import LogError

if sys.platform != "win32":
    import fcntl


@contextmanager
def whole(path: Path) -> Iterator[IO[str]]:
    """A text file to write that takes its place when all is written; after an error nothing has changed.

    Raises:
        LogError: It can't be written.
    """
    half = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("w", encoding="utf-8") as file:
            yield file
        half.replace(path)
    except LogError:
        raise
    except OSError as error:
        raise LogError(f"can't write {path}: {error.strerror}; choose another place") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


@contextmanager
def only_here(folder: Path) -> Iterator[None]:
    """While this lasts no other process has the folder; the lock goes with the process, even if that is killed.

    Raises:
        LogError: Another process has it.
    """
    if sys.platform == "win32":
        yield
        return
    door = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LogError(f"another process is at work in {folder}: wait for it, or give another name=") from error
        yield
    finally:
        os.close(door)
