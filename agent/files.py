"""Files that are there whole, or as they were."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agent.errors import LogError


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
