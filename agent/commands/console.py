"""What the commands share: plain errors, exit codes, one JSON object at the end."""

import codecs
import errno
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from agent.errors import AgentError, HashMismatchError, LogError, ServerError
from memory.errors import DamagedError, StorageError, StoreError

BAD_INPUT = 2
INTERRUPTED = 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]

Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="Another name of this machine that clients use; repeatable.")
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Web page that may connect, as https://app.example; repeatable."),
]

_NOT_THE_CALLER = (ServerError, LogError, HashMismatchError, StorageError, DamagedError)


_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}


@contextmanager
def plain_errors(*also: type[Exception]) -> Iterator[None]:
    """Turn errors that we raise on purpose into one line and an exit code: 2 for bad input, else 1.

    Args:
        also: Further errors, of packages that this package does not import.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201
        raise typer.Exit(INTERRUPTED) from None
    except _expected(also) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1 if isinstance(error, _NOT_THE_CALLER) else BAD_INPUT) from error
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is None:
            raise
        words = f"can't write {error.filename}: {error.strerror}; name a folder that can be written, as with runs="
        print(f"error: {words}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from error


def _expected(also: tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    """Return the errors that we raise on purpose; those of tools, if a command has loaded any."""
    tools = (sys.modules["tools.errors"].ToolError,) if "tools.errors" in sys.modules else ()
    return (AgentError, StoreError, *tools, *also)


def emit(result: object) -> None:
    """Print ``result`` as one line of JSON."""
    print(json.dumps(result), flush=True)  # noqa: T201


_ASCII = dict(
    zip(
        map(ord, "→←…–—·×≥≤✓✗’‘“”━─│┃█░•"),
        [
            "->",
            "<-",
            "...",
            "-",
            "-",
            ".",
            "x",
            ">=",
            "<=",
            "ok",
            "x",
            "'",
            "'",
            '"',
            '"',
            "-",
            "-",
            "|",
            "|",
            "#",
            ".",
            "*",
        ],
        strict=True,
    )
)
"""What stands for characters that a console may lack."""


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return what is written in place of characters that a console lacks."""
    assert isinstance(error, UnicodeEncodeError)
    words = error.object[error.start : error.end].translate(_ASCII)
    return words.encode("ascii", "replace").decode(), error.end


def write_anywhere(*streams: TextIO) -> None:
    """Have streams write characters that their encoding lacks in ASCII, instead of raising an error."""
    codecs.register_error("hippo_ascii", _in_ascii)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="hippo_ascii")
