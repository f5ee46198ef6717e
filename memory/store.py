"""The one SQLite file under every memory: connection, transactions, migrations."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from memory.errors import NotAMemoryError
from memory.migrations import MIGRATIONS


class Store(AbstractContextManager["Store"]):
    """A SQLite database with short write transactions, shared by threads and processes.

    Durability: WAL with ``synchronous=FULL``, so a write that returned survives a crash of the
    process or the machine. Writers take the lock at the start (``BEGIN IMMEDIATE``).

    Args:
        path: Database file, made if missing; ``None`` keeps it in main memory.

    Raises:
        NotAMemoryError: The file is not such a database, or a newer version wrote it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rollbacks = 0
        self._lock = threading.RLock()
        self._depth = 0
        self.db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=30.0)
        try:
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = FULL")
            self.db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise NotAMemoryError(f"{path} is not a memory database: {error}") from error
        except NotAMemoryError:
            self.db.close()
            raise

    def _migrate(self) -> None:
        version = self._version()
        if version > len(MIGRATIONS):
            raise NotAMemoryError(
                f"{self.path} has schema version {version}, this release knows up to "
                f"{len(MIGRATIONS)}: upgrade hippo-llm-memory"
            )
        if version == len(MIGRATIONS):
            return
        with self.write():
            for number, script in enumerate(MIGRATIONS[self._version() :], start=self._version() + 1):
                for statement in script.split(";\n"):
                    if statement.strip():
                        self.db.execute(statement)
                self.db.execute(f"PRAGMA user_version = {number}")

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One atomic change; an inner ``write`` joins the outer one."""
        with self._lock:
            if self._depth == 0:
                self.db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self.db
                if self._depth == 1:
                    self.db.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    self.rollbacks += 1
                    if self.db.in_transaction:
                        self.db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    @property
    def stamp(self) -> tuple[int, int]:
        """Changes when another process wrote, or a transaction of ours was undone.

        Whoever caches rows in main memory compares it and reads them again when it differs.
        """
        with self._lock:
            return int(self.db.execute("PRAGMA data_version").fetchone()[0]), self.rollbacks

    @property
    def generation(self) -> int:
        """Count of committed changes to the vectors; a cache file that bears another is stale."""
        return int(self.meta("generation") or 0)

    def bump(self) -> None:
        """Count one change to the vectors, inside the transaction that makes it."""
        self.db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def meta(self, key: str) -> str | None:
        """One remembered setting, or ``None``."""
        with self._lock:
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember one setting."""
        with self.write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        with self._lock:
            self.db.close()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
