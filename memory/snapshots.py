"""Snapshots: whole copies of the database, each with a manifest, made and restored atomically.

A snapshot is ``snapshots/<name>/memory.db`` next to ``manifest.json``, which holds the file's size and
SHA-256, the counts of its rows and a SHA-256 of the manifest itself. It is made under another name and renamed
when it is complete, so that every named snapshot is complete.
"""

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from memory.errors import DamagedError, StorageError, UnknownItemError
from memory.migrations import MIGRATIONS
from memory.store import BUSY_SECONDS, Store, connect, storage_errors
from memory.tables import table_names

DATABASE, MANIFEST = "memory.db", "manifest.json"
FORMAT = 1
_UNFINISHED = ".unfinished-"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, as its manifest describes it.

    Attributes:
        name: Name of its folder.
        created: When it was made, ISO 8601 in UTC.
        reason: Why it was made.
        schema: Schema version of its database.
        rows: Count of rows by table.
        bytes: Size of its database.
        sha256: Hash of its database.
    """

    name: str
    created: str
    reason: str
    schema: int
    rows: dict[str, int]
    bytes: int
    sha256: str


class Snapshots:
    """The snapshots of one memory.

    Args:
        store: The database.
        folder: Folder of the snapshots, created with the first one; ``None`` for a temporary folder.
    """

    def __init__(self, store: Store, folder: Path | None) -> None:
        self.store = store
        self._folder = folder
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def folder(self) -> Path:
        """Folder of the snapshots."""
        if self._folder is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="hippo-")
            self._folder = Path(self._scratch.name)
        return self._folder

    def close(self) -> None:
        """Remove the temporary folder, if there is one."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def create(self, reason: str = "") -> Snapshot:
        """Copy the database as of the last commit; changes of an open transaction are not in the copy.

        Raises:
            StorageError: The disk is full or failed; no partial snapshot is left behind.
        """
        self.store.forbid_read_only()
        created = datetime.now(UTC)
        name = f"{created:%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            making = self.folder / f"{_UNFINISHED}{os.getpid()}-{name}"
            making.mkdir()
            try:
                snapshot = self._make(making, name, created, reason)
                making.rename(self.folder / name)
                _sync_folder(self.folder)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"no snapshot could be made in {self.folder}: {error}; nothing was changed") from error
        return snapshot

    def _make(self, making: Path, name: str, created: datetime, reason: str) -> Snapshot:
        target = making / DATABASE
        with storage_errors(target):
            if self.store.path is None:
                target.write_bytes(self.store.db.serialize())
            copy = connect(target)
            try:
                if self.store.path is not None:
                    # A separate connection sees the last commit, even while the store is in a transaction.
                    with closing(connect(self.store.path)) as source:
                        _backup(source, copy)
                copy.execute("PRAGMA journal_mode = DELETE").fetchone()
                rows = {table: copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in table_names()}
                schema = int(copy.execute("PRAGMA user_version").fetchone()[0])
            finally:
                copy.close()
        sha256, size = _hash(target)
        snapshot = Snapshot(name, created.isoformat(), reason, schema, rows, size, sha256)
        with (making / MANIFEST).open("wb") as file:
            file.write(_manifest(snapshot))
            file.flush()
            os.fsync(file.fileno())
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        _sync_folder(making)
        return snapshot

    def _sweep(self) -> None:
        """Remove unfinished snapshots of processes that were killed."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            owner = path.name.removeprefix(_UNFINISHED).partition("-")[0]
            if not owner.isdigit() or not _alive(int(owner)):
                shutil.rmtree(path, ignore_errors=True)

    def names(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith(_UNFINISHED))

    def read(self, name: str) -> Snapshot:
        """Read the manifest of a snapshot.

        Raises:
            UnknownItemError: There is no such snapshot.
            DamagedError: The manifest can't be read or was altered.
        """
        folder = self._find(name)
        try:
            data = (folder / MANIFEST).read_bytes()
            entries = json.loads(data)
            snapshot = Snapshot(**{key: entries[key] for key in Snapshot.__dataclass_fields__})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"snapshot {name}: its manifest can't be read ({error}); it was not used") from error
        if data != _manifest(snapshot) or snapshot.name != name:
            raise DamagedError(f"snapshot {name}: its manifest was altered; it was not used")
        return snapshot

    def check(self, name: str) -> Snapshot:
        """Compare a snapshot with its manifest, byte for byte.

        Raises:
            UnknownItemError: There is no such snapshot.
            DamagedError: The snapshot does not match its manifest, or a newer release wrote it.
        """
        snapshot = self.read(name)
        try:
            sha256, size = _hash(self.folder / name / DATABASE)
        except OSError as error:
            raise DamagedError(f"snapshot {name}: its database can't be read ({error}); it was not used") from error
        if (sha256, size) != (snapshot.sha256, snapshot.bytes):
            raise DamagedError(
                f"snapshot {name}: its database has {size} bytes and SHA-256 {sha256[:12]}…, the manifest says "
                f"{snapshot.bytes} and {snapshot.sha256[:12]}…; it was not used"
            )
        if snapshot.schema > len(MIGRATIONS):
            raise DamagedError(f"snapshot {name} has schema version {snapshot.schema}: upgrade hippo-llm-memory")
        return snapshot

    @contextmanager
    def opened(self, name: str) -> Iterator[sqlite3.Connection]:
        """Open a checked copy of a snapshot's database, migrated to the current schema; the snapshot is not changed."""
        self.check(name)
        work = self.folder / f"{_UNFINISHED}{os.getpid()}-{secrets.token_hex(6)}"
        try:
            work.mkdir()
            shutil.copyfile(self.folder / name / DATABASE, work / DATABASE)
            if _hash(work / DATABASE)[0] != self.read(name).sha256:
                raise DamagedError(f"snapshot {name} changed while it was copied; it was not used")
            with Store(work / DATABASE) as copy:
                yield copy.db
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"snapshot {name} could not be copied: {error}; nothing was changed") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def put_back(self, copy: sqlite3.Connection) -> None:
        """Replace the content of the database by that of ``copy``, which :meth:`opened` yields, in one step.

        Other processes see either the old state or the new one.
        """
        copy.execute("BEGIN IMMEDIATE")
        copy.execute("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'epoch'")
        copy.execute("COMMIT")
        with self.store.lock, storage_errors(self.store.path):
            _backup(copy, self.store.db)
            self.store.invalidate()

    def delete(self, name: str) -> None:
        """Delete a snapshot; forget operations that need it can no longer be undone.

        Raises:
            UnknownItemError: There is no such snapshot.
        """
        going = self.folder / f"{_UNFINISHED}{os.getpid()}-{name}"
        self._find(name).rename(going)
        shutil.rmtree(going, ignore_errors=True)

    def _find(self, name: str) -> Path:
        folder = self.folder / name
        if not name or name.startswith(".") or folder.parent != self.folder or not folder.is_dir():
            known = ", ".join(self.names()[-5:]) or "none yet"
            raise UnknownItemError(f"no snapshot is called {name!r}; there are: {known}")
        return folder


def _backup(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy a database in one step; wait for other processes at most as long as a writer does."""
    deadline = monotonic() + BUSY_SECONDS

    def watch(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and monotonic() > deadline:
            raise StorageError(f"another process held the lock for {BUSY_SECONDS:.0f} s; nothing was changed")

    source.backup(target, progress=watch)


def _manifest(snapshot: Snapshot) -> bytes:
    """Return the bytes of the manifest; its last entry is the hash of the other entries."""
    entries: dict[str, Any] = {"format": FORMAT, **asdict(snapshot)}
    entries["manifest_sha256"] = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return json.dumps(entries, indent=1).encode()


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
