"""The SQLite file of a memory: connection, transactions, migrations."""

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from memory.errors import DamagedError, InvalidItemError, NotAMemoryError, StorageError
from memory.migrations import MIGRATIONS
from memory.scripts import marked

sqlite3.register_adapter(np.int32, int)
sqlite3.register_adapter(np.int64, int)
sqlite3.register_adapter(np.float32, float)

try:
    import fcntl
except ImportError:  # on Windows a restore may miss what other processes write at the same moment
    fcntl = None  # type: ignore[assignment]

WAL_LIMIT = 64 * 2**20
"""Size in bytes to which the write-ahead log is cut back after it was copied into the database."""

PAGE = 2048
"""Page size in bytes of a new database. A trace fills most of a page; a write changes about six pages, and each
of them is copied and synced."""

CACHE = 64 * 2**20
"""Size in bytes of the page cache of a connection; it mainly holds the upper levels of the B-trees."""

MAPPED, MAPPED_FROM = 2**31 - 2**16, 256 * 2**20
"""Bytes of a database that are memory-mapped (SQLite's own limit), and least size in bytes of a database to map:
mapping speeds up reading of large databases, but slows down writing to small ones."""

BUSY_SECONDS = 60.0
"""Seconds that a writer waits for another process to release the lock."""

_DISK = {
    sqlite3.SQLITE_FULL: "no space left",
    sqlite3.SQLITE_IOERR: "the disk failed or is full",
    sqlite3.SQLITE_BUSY: f"another process held the lock for {BUSY_SECONDS:.0f} s",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "a file beside it could not be made",
}


class Store(AbstractContextManager["Store"]):
    """A SQLite database with short write transactions, shared by threads and processes.

    Durability: a write-ahead log with ``synchronous=FULL``, so a write that returned survives a crash of the
    process or the machine. Writers take the lock at the start (``BEGIN IMMEDIATE``). The log is
    copied into the database every 1,000 pages and cut back to 64 MiB. Deleted content is
    overwritten (``secure_delete``).

    Attributes:
        lock: Held by threads that write, or that read rows into a cache in main memory.
        rollbacks: How often caches in main memory became invalid: a transaction was rolled back, or
            rows were removed or restored in bulk.
        read_only: Whether the file can't be written, as on a read-only mount. Its content is then read from a private
            copy in a temporary folder, in which indexes are kept up; changes are refused.

    Args:
        path: Database file, created if missing; ``None`` keeps the database in main memory.

    Raises:
        NotAMemoryError: The file is no database of a memory, or a newer version wrote it.
        DamagedError: The database is corrupt.
        StorageError: The disk is full, or the file can't be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rollbacks = 0
        self.lock = threading.RLock()
        self._depth = 0
        self._door: IO[bytes] | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self.read_only = path is not None and path.is_file() and not writable(path)
        if self.read_only and path is not None:
            self._copy, path = _working_copy(path)
        with storage_errors(path):
            self.db = connect(path)
        try:
            with storage_errors(path):
                self.db.execute(f"PRAGMA page_size = {PAGE}")
                self.db.execute("PRAGMA journal_mode = WAL")
                self.db.execute("PRAGMA synchronous = FULL")
                self.db.execute("PRAGMA foreign_keys = ON")
                self.db.execute("PRAGMA secure_delete = ON")
                self.db.execute("PRAGMA temp_store = MEMORY")
                self.db.execute(f"PRAGMA cache_size = -{CACHE // 1024}")
                if path is not None and path.stat().st_size >= MAPPED_FROM:
                    self.db.execute(f"PRAGMA mmap_size = {MAPPED}")
                self.db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
                if path is not None and fcntl is not None and not self.read_only:
                    self._door = path.with_suffix(".lock").open("ab")
                self._migrate()
        except sqlite3.DatabaseError as error:
            self.close()
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
                raise DamagedError(f"{path} is damaged: {error}; restore a snapshot") from error
            raise NotAMemoryError(f"{path} is not a memory database: {error}") from error
        except OSError as error:
            self.close()
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        version = self.version
        if version > len(MIGRATIONS):
            raise NotAMemoryError(
                f"{self.path} has schema version {version}, this release knows up to "
                f"{len(MIGRATIONS)}: upgrade hippo-llm-memory"
            )
        if version == len(MIGRATIONS):
            return
        self.db.execute(
            "PRAGMA foreign_keys = OFF"
        )  # otherwise rebuilding a table would delete the rows that refer to it
        with self.write(upkeep=True):
            for number, script in enumerate(MIGRATIONS[self.version :], start=self.version + 1):
                for statement in _statements(script):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA user_version = {number}")
        self.db.execute("PRAGMA foreign_keys = ON")

    @property
    def version(self) -> int:
        """Number of the newest migration that was applied."""
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def write(self, upkeep: bool = False) -> Iterator[sqlite3.Connection]:
        """Run a block as one atomic change; an inner ``write`` is atomic by itself and commits with the outer one.

        Args:
            upkeep: Whether the change only keeps up an index or a cache, which a memory that is read-only does too.

        Raises:
            StorageError: The memory is read-only, the disk is full or failed, or another process held the lock too
                long.
        """
        if not upkeep and not self._depth:
            self.forbid_read_only()
        with self.lock:
            outermost = not self._depth
            if outermost and self._door is not None:
                fcntl.flock(self._door, fcntl.LOCK_SH)
            try:
                name = f"level_{self._depth}"
                self.db.execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT {name}")
                self._depth += 1
                try:
                    yield self.db
                    self.db.execute("COMMIT" if outermost else f"RELEASE {name}")
                except BaseException:
                    self._roll_back(None if outermost else name)
                    raise
                finally:
                    self._depth -= 1
            except sqlite3.OperationalError as error:
                raise_storage_error(error, self.path)
                raise
            finally:
                if outermost and self._door is not None:
                    fcntl.flock(self._door, fcntl.LOCK_UN)

    def _roll_back(self, savepoint: str | None) -> None:
        self.rollbacks += 1
        if not self.db.in_transaction:
            return
        if savepoint is None:
            self.db.execute("ROLLBACK")
        else:
            self.db.execute(f"ROLLBACK TO {savepoint}")
            self.db.execute(f"RELEASE {savepoint}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other process from writing, without opening a transaction.

        Raises:
            InvalidItemError: A transaction is open.
        """
        with self.lock:
            self.forbid_transaction("this")
            if self._door is not None:
                fcntl.flock(self._door, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if self._door is not None:
                    fcntl.flock(self._door, fcntl.LOCK_UN)

    def forbid_read_only(self) -> None:
        """Raise an error if the memory can't be changed.

        Raises:
            StorageError: It is read-only.
        """
        if self.read_only:
            raise StorageError(
                f"{self.path} is read-only: it can be searched, but not changed; copy the folder to a place that can be"
                " written, or choose another memory"
            )

    def forbid_transaction(self, what: str) -> None:
        """Raise an error if a transaction is open, for operations that open their own.

        Args:
            what: Name of the operation, for the message.

        Raises:
            InvalidItemError: A transaction is open.
        """
        with self.lock:  # another thread's transaction ends before this goes on
            inside = self._depth > 0
        if inside:
            raise InvalidItemError(f"{what} is a transaction of its own: call it outside of transaction()")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run several reads on one consistent state, even if other processes write meanwhile."""
        with self.lock:
            if self._depth or self.db.in_transaction:
                yield self.db
                return
            self.db.execute("BEGIN")
            try:
                yield self.db
            finally:
                self.db.execute("COMMIT")

    @property
    def in_transaction(self) -> bool:
        """Whether this connection has an open write transaction, which may still be rolled back."""
        with self.lock:
            return self._depth > 0

    @property
    def stamp(self) -> tuple[int, int]:
        """Value that changes when another process wrote, or when a transaction of this store was rolled back.

        A cache of rows in main memory compares it and reads the rows again if it differs.
        """
        if self.path is None:
            return 0, self.rollbacks  # no other process can open it
        with self.lock:
            return int(self.db.execute("PRAGMA data_version").fetchone()[0]), self.rollbacks

    def invalidate(self) -> None:
        """Mark every cache in main memory as invalid, so that it reads its rows again."""
        self.rollbacks += 1

    @property
    def epoch(self) -> str:
        """Random name of the current epoch, a period in which row ids only grow; caches of another epoch are invalid.

        It is not a count, because then a restored database could reach the same epoch again with other rows.
        """
        return self.meta("epoch") or ""

    def new_epoch(self) -> None:
        """Begin a new epoch, inside the transaction that brings old ids back."""
        self.db.execute("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'epoch'")
        self.db.execute("DELETE FROM removed")

    def meta(self, key: str) -> str | None:
        """Return the value of one key of the table ``meta``, or ``None``."""
        with self.lock:
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store the value of one key in the table ``meta``; this is upkeep, see :meth:`write`."""
        with self.write(upkeep=True) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def truncate_log(self) -> None:
        """Copy the write-ahead log into the database and empty it, unless a reader prevents it."""
        with self.lock:
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        with self.lock:
            self.db.close()
            if self._door is not None:
                self._door.close()
            if self._copy is not None:
                self._copy.cleanup()

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()


def writable(path: Path) -> bool:
    """Return whether a database file and its folder can be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _working_copy(path: Path) -> "tuple[tempfile.TemporaryDirectory[str], Path]":
    """Copy a database, with what its log holds, to a temporary folder."""
    folder = tempfile.TemporaryDirectory(prefix="hippo-memory-", ignore_cleanup_errors=True)
    try:
        for file in (path, path.with_name(f"{path.name}-wal")):
            if file.is_file():
                shutil.copyfile(file, Path(folder.name) / file.name)
    except OSError as error:
        folder.cleanup()
        raise StorageError(f"{path} is read-only, and no copy of it can be made to read from: {error}") from error
    return folder, Path(folder.name) / path.name


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a connection in autocommit mode that threads may share; transactions are begun explicitly."""
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    db.create_function("marked", -1, marked, deterministic=True)
    return db


@contextmanager
def storage_errors(path: Path | None) -> Iterator[None]:
    """Turn SQLite's errors about the disk or the lock into :class:`StorageError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise_storage_error(error, path)
        raise


def raise_storage_error(error: sqlite3.OperationalError, path: Path | None) -> None:
    """Raise a :class:`StorageError` for ``error`` if the disk or another process caused it.

    Raises:
        StorageError: The disk is full or failed, or another process holds the lock.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DISK:
        raise StorageError(
            f"{path or 'the memory'}: {_DISK[code]} ({error}); nothing of this change was kept, "
            "earlier ones are safe: make room and try again"
        ) from error


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a migration; semicolons inside a trigger don't end a statement."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
