"""Export of a memory to one JSONL file, and import from it.

First line: format, embedder, schema. Then one row per line, ``{"table": ..., "row": {...}}``, with blobs in
base64; a row comes after the rows that it refers to. Last line: the count of the lines before it and their
SHA-256; a file without this line, or with another hash, is refused as a whole.
"""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.episodic.lexical import flush
from memory.errors import DamagedError, EmbedderError, InvalidItemError, StorageError, UnknownItemError
from memory.files import atomic_write
from memory.merge import Merger
from memory.rows import insert_missing
from memory.store import Store, raise_storage_error
from memory.tables import attached_tables, table_names

FORMAT, VERSION = "hippo-memory", 1
_BLOBS = ("vector", "weights")


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        added: Count of new rows, by table.
        merged: Count of rows that existed already and were merged with rows of the file, by table.
    """

    added: dict[str, int]
    merged: dict[str, int]


def export(store: Store, path: Path) -> dict[str, int]:
    """Write the whole memory to ``path`` atomically; return the count of rows by table.

    Raises:
        InvalidItemError: The path is a folder, or one of the memory's own files.
        StorageError: The file can't be written; an existing file is left as it was.
    """
    if path.is_dir():
        raise InvalidItemError(f"{path} is a folder: name a file to export to")
    if store.path is not None and _among(path.resolve(), store.path.parent.resolve()):
        raise InvalidItemError(f"{path} is one of the memory's own files: export to another name")
    counts: dict[str, int] = {}
    with (
        atomic_write(path, "wb", sync=True) as file,
        store.write(upkeep=True),
    ):  # the lock keeps others from writing meanwhile
        digest, lines = hashlib.sha256(), 0
        for table, line in _lines(store):
            counts[table] = counts.get(table, 0) + 1
            data = (json.dumps(line) + "\n").encode()
            digest.update(data)
            file.write(data)
            lines += 1
        file.write((json.dumps({"lines": lines, "sha256": digest.hexdigest()}) + "\n").encode())
    counts.pop("")
    return counts


def _among(path: Path, folder: Path) -> bool:
    """Return whether a path is the database, one of its companion files, or in a folder of the memory."""
    inner = {folder / "index", folder / "snapshots"}
    return (path.parent == folder and path.name.startswith("memory.")) or not inner.isdisjoint({path, *path.parents})


def _lines(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    header = {"format": FORMAT, "version": VERSION, "schema": store.version, "embedder": store.meta("embedder")}
    yield "", header
    for table in (*table_names(), "provenance", "lineage", *attached_tables()):
        order = {"lineage": "1, 2, 3", "mentions": "1, 2"}.get(table, "1")
        cursor = store.db.execute(f"SELECT * FROM {table} ORDER BY {order}")
        names = [column[0] for column in cursor.description]
        for values in cursor:
            row = dict(zip(names, values, strict=True))
            for blob in _BLOBS:
                if row.get(blob) is not None:
                    row[blob] = base64.b64encode(row[blob]).decode()
            yield table, {"table": table, "row": row}


def import_(store: Store, path: Path, functional: Collection[str], dry_run: bool = False) -> Imported:
    """Import a file that :func:`export` wrote, in one transaction.

    Rows that exist already are strengthened by origins that are new to them; importing the same file
    twice changes nothing the second time.

    Raises:
        DamagedError: The file does not match its checksum, or is no export; nothing was changed.
        EmbedderError: Its vectors come from another embedder.
        UnknownItemError: There is no such file.
        StorageError: The file can't be read, or the disk is full; nothing was changed.
    """
    seen = _check(path, store.meta("embedder"))
    merger = Merger(store.db, functional)
    try:
        with store.write():
            merger.maps = _maps(store, seen.places)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                digest.update(next(file))
                for line in file:
                    record = json.loads(line)
                    if "table" not in record:
                        break
                    digest.update(line)
                    _take(merger, record["table"], record["row"])
            if digest.hexdigest() != seen.sha256:
                raise DamagedError(f"{path} changed while it was read; nothing was changed")
            merger.finish()
            flush(store.db)
            store.new_epoch()
            store.invalidate()
            if dry_run:
                raise _Enough
    except _Enough:
        pass
    except DamagedError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise_storage_error(error, store.path)
        raise DamagedError(
            f"{path} holds a row that does not fit this release ({error!r}); nothing was changed"
        ) from error
    store.invalidate()
    return Imported(merger.added, merger.merged)


class _Enough(Exception):  # noqa: N818
    """Signal that ends a dry run, so that its transaction is rolled back."""


def _take(merger: Merger, table: str, row: dict[str, Any]) -> None:
    for blob in _BLOBS:
        if row.get(blob) is not None:
            row[blob] = base64.b64decode(row[blob])
    if table in table_names():
        merger.row(table, row)
    elif table == "provenance":
        merger.absent((row["item_table"], row["item_id"]))
        merger.origin(row)
    elif table == "lineage":
        merger.lineage(row["origin"], (row["parent_table"], row["parent_id"]))
    elif table in attached_tables():
        owner, column = attached_tables()[table]
        insert_missing(merger.db, table, row | {column: merger.ids[owner, row[column]]})
    else:
        raise KeyError(table)


@dataclass
class _Seen:
    """Result of the first pass over a file: its hash, and the cells of its maps with coordinates."""

    sha256: str
    places: dict[str, dict[tuple[int, int], str]]


def _check(path: Path, embedder: str | None) -> _Seen:
    """Read the whole file once and check it against its first and last lines."""
    digest, lines, last, header = hashlib.sha256(), 0, b"", b""
    places: dict[str, dict[tuple[int, int], str]] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                if last:
                    digest.update(last)
                    lines += 1
                if line.startswith(b'{"table": "places"'):
                    _note(places, line)
                header, last = header or line, line
    except FileNotFoundError as error:
        raise UnknownItemError(f"there is no file {path} to import") from error
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error}") from error
    try:
        first, footer = json.loads(header), json.loads(last)
        whole = (footer["lines"], footer["sha256"]) == (lines, digest.hexdigest()) and last.endswith(b"\n")
        name, version, made_with = first["format"], first["version"], first["embedder"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} is not a complete export of a memory; nothing was changed") from error
    if not whole:
        raise DamagedError(f"{path} is not what was exported: its hash differs; nothing was changed")
    if name != FORMAT or version > VERSION:
        raise DamagedError(f"{path} has format {name!r} version {version}, expected {FORMAT!r} up to {VERSION}")
    if embedder is not None and made_with not in (None, embedder):
        raise EmbedderError(f"{path} was written with the embedder {made_with!r}, this memory with {embedder!r}")
    return _Seen(digest.hexdigest(), places)


def _note(places: dict[str, dict[tuple[int, int], str]], line: bytes) -> None:
    with suppress(ValueError, KeyError, TypeError):  # the check of the hash refuses damaged lines
        row = json.loads(line)["row"]
        if not row["context"]:
            places.setdefault(row["map"], {})[row["x"], row["y"]] = row["content"]


def _maps(store: Store, incoming: dict[str, dict[tuple[int, int], str]]) -> dict[str, str]:
    """Choose the names here of the maps of a file, because maps of the same name may have different coordinates.

    The coordinates of a map begin where its exploration began. An incoming map that differs from the map of
    the same name becomes another map of that world, until localization by landmarks merges the two.
    """
    renamed: dict[str, str] = {}
    for name, cells in incoming.items():
        world = name.partition("#")[0]
        known: dict[str, dict[tuple[int, int], str]] = {}
        for map_, x, y, content in store.db.execute("SELECT map, x, y, content FROM places WHERE context = ''"):
            if map_.partition("#")[0] == world:
                known.setdefault(map_, {})[x, y] = content
        fitting = [m for m, here in known.items() if all(here.get(at) == content for at, content in cells.items())]
        taken = {*known, *incoming, *renamed.values()}
        if fitting:
            renamed[name] = name if name in fitting else fitting[0]
        elif name in known:
            renamed[name] = next(f"{world}#{n}" for n in range(1, len(taken) + 2) if f"{world}#{n}" not in taken)
    return renamed
