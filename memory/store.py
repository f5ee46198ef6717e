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

    Attributes:
        lock: Held while writing, and by whoever reads into a cache in main memory.
        rollbacks: How many transactions were undone.

    Args:
        path: Database file, made if missing; ``None`` keeps it in main memory.

    Raises:
        NotAMemoryError: The file is not such a database, or a newer version wrote it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rollbacks = 0
        self.lock = threading.RLock()
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
        """One atomic change; an inner ``write`` is atomic by itself and commits with the outer one."""
        with self.lock:
            name = f"level_{self._depth}"
            self.db.execute(f"SAVEPOINT {name}" if self._depth else "BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self.db
                self.db.execute(f"RELEASE {name}" if self._depth > 1 else "COMMIT")
            except BaseException:
                self.rollbacks += 1
                if self.db.in_transaction:
                    if self._depth > 1:
                        self.db.execute(f"ROLLBACK TO {name}")
                        self.db.execute(f"RELEASE {name}")
                    else:
                        self.db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    @property
    def stamp(self) -> tuple[int, int]:
        """Changes when another process wrote, or a transaction of ours was undone.

        Whoever caches rows in main memory compares it and reads them again when it differs.
        """
        with self.lock:
            return int(self.db.execute("PRAGMA data_version").fetchone()[0]), self.rollbacks

    @property
    def generation(self) -> str:
        """Name of the state of the vectors; a cache file that bears another is stale.

        It is random, not a count: a database that was restored and then changed must not look like
        the one that a later cache was made from.
        """
        return self.meta("generation") or ""

    def bump(self) -> None:
        """Name a new state of the vectors, inside the transaction that changes them."""
        self.db.execute("UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'generation'")

    def meta(self, key: str) -> str | None:
        """One remembered setting, or ``None``."""
        with self.lock:
            row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember one setting."""
        with self.write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        with self.lock:
            self.db.close()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
