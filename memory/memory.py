"""The memory as a whole: one directory with a database, and with caches that can be rebuilt from it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any, Self

from memory import forget as forgetting
from memory import transfer, undo, verify
from memory.backends import Backend, index_of
from memory.describe import describe, sources
from memory.embedder_record import EmbedderRecord
from memory.embedding import Embedder, MiniLMEmbedder, recorded
from memory.episodic import EpisodicStore, RecallConfig, ReplayConfig, ReplayItem, Retention
from memory.episodic.lexical import flush
from memory.errors import DamagedError, EmbedderError, NotAMemoryError, StorageError, UnknownItemError
from memory.forget import Forgotten, Selector
from memory.procedural import MacroLib
from memory.provenance import Provenance
from memory.reading import Passage, Reader, Reading
from memory.relational import KG, Routing
from memory.retrieval import Evidence, Method, Retriever
from memory.snapshots import Snapshot, Snapshots
from memory.spatial import PlaceGraph, SpatialConfig
from memory.store import Store, connect, storage_errors
from memory.tables import Row
from memory.transfer import Imported
from memory.undo import Undone
from memory.verify import Report


class Memory(AbstractContextManager["Memory"]):
    """Episodic, relational and spatial memory and macros in one SQLite file.

    Use :meth:`open`, as a context manager or with :meth:`close`.

    Attributes:
        episodic: Store of what happened.
        relational: Graph of what is true.
        reader: Reader that turns text into traces, facts and links between them.
        retriever: Retriever of evidence from traces and facts.
        spatial: Maps of where things are.
        macros: Library of learnt sequences of calls.
        snapshots: Whole copies of the database, by name.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        folder: Path | None,
        recall: RecallConfig | None = None,
        retention: Retention | None = None,
        routing: Routing | None = None,
        spatial: SpatialConfig | None = None,
        tuple_conf_min: float = 0.0,
        reembed: bool = False,
        backend: Backend = "faiss",
    ) -> None:
        record = EmbedderRecord(store, embedder)
        if reembed:
            record.reembed()
        record.check()
        self.store = store
        self.embedder = embedder
        self.folder = folder
        self._index = index_of(backend, store, embedder.dim, folder and folder / "index")
        self.episodic = EpisodicStore(store, embedder, self._index, recall, retention, record)
        self.relational = KG(store, embedder=embedder, routing=routing)
        self.retriever = Retriever(self.episodic, self.relational)
        mentions = self.retriever.mentions
        self.reader = Reader(self.episodic, self.relational, mentions, conf_min=tuple_conf_min)
        self.spatial = PlaceGraph(store, spatial)
        self.macros = MacroLib(store)
        self.snapshots = Snapshots(store, folder and folder / "snapshots")
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        embedder: Embedder | None = None,
        *,
        recall: RecallConfig | None = None,
        retention: Retention | None = None,
        routing: Routing | None = None,
        spatial: SpatialConfig | None = None,
        tuple_conf_min: float = 0.0,
        reembed: bool = False,
        backend: Backend = "faiss",
    ) -> Self:
        """Open the memory in directory ``path``; create it if missing.

        Args:
            path: The directory; ``None`` keeps everything in main memory.
            embedder: Turns texts into vectors; by default the one that the memory was written with, or
                all-MiniLM-L6-v2 for a new memory. The model is loaded at first use.
            recall: Settings of recall.
            retention: How long traces are kept, and how many; without limits by default.
            routing: Which facts count at once and which must be told again first; by default all count at once.
            spatial: Settings of the maps: when two places are one, and how many places are kept.
            tuple_conf_min: Facts that are read from text with less confidence are dropped.
            reembed: Embed all traces anew with ``embedder`` if the memory was written with another one, or is damaged.
            backend: What searches the vectors: ``faiss``, a name that a package registered in the group
                ``hippo.memory``, or what makes a :class:`~memory.backends.VectorBackend` of their length.

        Raises:
            InvalidItemError: There is no such backend.
            NotAMemoryError: ``path`` is a file, the directory holds other files, or a newer release wrote
                the memory.
            EmbedderError: The memory was written with another embedder.
            StorageError: The memory can't be written.
        """
        folder = None if path is None else Path(path)
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                raise NotAMemoryError(f"{folder} is a file: a memory is a directory")
            if folder.is_dir() and any(folder.iterdir()) and not (folder / "memory.db").exists():
                raise NotAMemoryError(f"{folder} holds other files and no memory.db: choose another directory")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(
                    f"can't make {folder}: {error.strerror}; choose a folder that can be written"
                ) from error
        try:
            store = Store(folder and folder / "memory.db")
        except (NotAMemoryError, DamagedError) as error:
            copies = sorted((folder / "snapshots").glob("2*")) if folder else []
            if not copies or "schema version" in str(error):
                raise
            raise DamagedError(
                f"{error}; {copies[-1] / 'memory.db'} is a whole copy: move memory.db, memory.db-wal and "
                "memory.db-shm away and copy it to their place"
            ) from error
        try:
            name = store.meta("embedder")
            chosen = embedder or (recorded(name) if name else MiniLMEmbedder())
            memory = cls(store, chosen, folder, recall, retention, routing, spatial, tuple_conf_min, reembed, backend)
            if retention is not None:
                memory.episodic.evict()
            return memory
        except BaseException:
            store.close()
            raise

    @classmethod
    def copy_of(cls, folder: str | Path, embedder: Embedder | None = None, **settings: Any) -> Self:
        """Make a copy in main memory of the memory in a directory; settings as for :meth:`open`.

        Raises:
            NotAMemoryError: The directory holds no memory.
        """
        path = Path(folder) / "memory.db"
        if not path.is_file():
            raise NotAMemoryError(f"{folder} holds no memory.db: there is nothing to copy")
        copy = cls.open(None, embedder, **settings)
        try:
            with storage_errors(path), closing(connect(path)) as source:
                source.backup(copy.store.db)
                copy.store.invalidate()
        except sqlite3.DatabaseError as error:
            copy.close()
            raise NotAMemoryError(f"{path} is not a memory database: {error}") from error
        return copy

    def save(self, folder: str | Path) -> None:
        """Copy the whole memory into a directory as a new memory; an existing memory there is replaced.

        Raises:
            StorageError: The copy can't be written.
        """
        path = Path(folder) / "memory.db"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: {error}") from error
        with storage_errors(path), closing(connect(path)) as target:
            self.store.db.backup(target)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Join several writes to any of the stores into one atomic change."""
        with self.store.write():
            yield

    def read(self, text: str, title: str = "", origin: Provenance | str | None = None, *, speaker: str = "") -> Reading:
        """Read a text into the memory: as a trace, its facts, and the names that link it with other traces.

        Args:
            text: English prose.
            title: What the text is about.
            origin: Who says so; a plain string is the name of the source. Its time and zone are those of dates such as
                "yesterday".
            speaker: Whom "I" and "my" refer to; by default a person of the document.

        Raises:
            InvalidItemError: The text is empty or has more than 2,000,000 characters; nothing is written.
            EmbedderError: The parser is missing (``hippo models fetch spacy-en``).
        """
        return self.reader.read_many([Passage(text, title, origin, speaker=speaker)])[0]

    def retrieve(self, question: str, k: int = 5, method: Method = "dual") -> list[Evidence]:
        """Return the passages that together answer a question best, with their facts and the paths to them.

        Raises:
            InvalidItemError: An empty question, ``k`` below 1, or another method.
        """
        return self.retriever.retrieve(question, k, method)

    def replay(self, size: int, config: ReplayConfig | None = None) -> list[ReplayItem]:
        """Draw the next batch of the replay queue, and rehearse the facts that were read in its traces.

        Where routing is enabled, a fact that fits no schema is consolidated when it was told or replayed often enough.

        Args:
            size: Wanted count of traces.
            config: Settings for this batch only.

        Raises:
            InvalidItemError: ``size`` below 1.
        """
        with self.store.write():
            batch = self.episodic.replay.draw(size, config)
            self.relational.rehearse(self.relational.read_in([item.key_id for item in batch]))
        return batch

    def stats(self) -> dict[str, int]:
        """Return the counts of traces, current facts, places and macros."""
        return {
            "traces": len(self.episodic),
            "facts": len(self.relational),
            "places": len(self.spatial),
            "macros": len(self.macros),
        }

    def snapshot(self, reason: str = "") -> Snapshot:
        """Make a consistent copy of the whole memory; other processes can write meanwhile.

        Raises:
            StorageError: The disk is full or failed; no partial snapshot is left behind.
        """
        return self.snapshots.create(reason)

    def restore(self, name: str) -> Snapshot:
        """Restore the state of a snapshot; first take a snapshot of the present state and return it.

        Raises:
            UnknownItemError: There is no such snapshot.
            DamagedError: The snapshot does not match its manifest; nothing was changed.
            EmbedderError: The snapshot was written with another embedder; nothing was changed.
        """
        with self.snapshots.opened(name) as copy:
            row = copy.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
            if row is not None and row[0] != self.embedder.name:
                raise EmbedderError(f"snapshot {name} was written with the embedder {row[0]!r}")
            with self.store.alone():
                before = self.snapshots.create(f"before restoring {name}")
                self.snapshots.put_back(copy)
        return before

    def forget(
        self,
        *,
        source: str | None = None,
        doc_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        rows: Sequence[Row] = (),
        dry_run: bool = False,
    ) -> Forgotten:
        """Remove everything from the selected origins and everything derived from it, in one transaction.

        A snapshot is taken first; :meth:`undo` restores the removed rows from it. Rows that also have other
        origins stay, without what the forgotten origins contributed.

        Args:
            source: Exact name of the source.
            doc_id: Exact document or episode.
            since: Only origins at this time or later, seconds since the epoch.
            until: Only origins before this time.
            rows: Only these rows, as ``[("traces", 12)]``.
            dry_run: Report what would be removed, and change nothing.

        Raises:
            InvalidItemError: Nothing is selected.
            UnknownItemError: No origin fits the selection.
            StorageError: No space for the snapshot; nothing was forgotten.
        """
        self.store.forbid_transaction("forget")
        selector = Selector(source, doc_id, since, until, tuple(rows))
        with self.store.write() as db:
            forgotten = forgetting.preview(db, selector)
            if dry_run:
                return forgotten
            snapshot = self.snapshots.create(f"before forgetting {selector.json()}")
            forgotten = forgetting.forget(db, selector, snapshot.name, self.relational.functional, time())
            self.store.invalidate()
        self._refresh_caches()
        return forgotten

    delete_by_provenance = forget

    def undo(self, operation: int | None = None, *, dry_run: bool = False) -> Undone:
        """Undo a forget operation: restore the rows that it removed; later writes stay.

        Args:
            operation: Number of the operation; by default the last one that was not undone.
            dry_run: Report what would come back, and change nothing.

        Raises:
            UnknownItemError: There is nothing to undo, or the snapshot was deleted.
            DamagedError: The snapshot does not match its manifest; nothing was changed.
        """
        self.store.forbid_transaction("undo")
        number, name = undo.find(self.store.db, operation)
        if name not in self.snapshots.names():
            raise UnknownItemError(f"forgetting {number} can't be undone: its snapshot {name} was deleted")
        with self.snapshots.opened(name) as old, suppress(_DryRun), self.store.write() as db:
            done = undo.undo(db, old, number, self.relational.functional, time())
            flush(db)
            self.store.new_epoch()
            self.store.invalidate()
            if dry_run:
                raise _DryRun
        self._refresh_caches()
        return done

    def operations(self) -> list[dict[str, Any]]:
        """Return all forget operations, newest first."""
        with self.store.lock:
            return undo.describe(self.store.db)

    def inspect(self, row: Row) -> dict[str, Any] | None:
        """Return one row of any store with its origins and lineage, or ``None``; see :mod:`memory.describe`."""
        with self.store.lock:
            return describe(self.store.db, row)

    def sources(self) -> list[dict[str, Any]]:
        """Return who said what is remembered: ``source``, ``rows``, and the times of the ``first`` and ``last``."""
        with self.store.lock:
            return sources(self.store.db)

    def verify(self) -> Report:
        """Check the integrity of the memory: pages, references, vectors, origins and snapshots."""
        return verify.verify(self.store, self._index, self.snapshots, self.relational.functional)

    def export(self, path: str | Path) -> dict[str, int]:
        """Write the whole memory to a JSONL file atomically; return the count of rows by table."""
        return transfer.export(self.store, Path(path))

    def import_(self, path: str | Path, *, dry_run: bool = False) -> Imported:
        """Import a file that :meth:`export` wrote; rows that exist here already are strengthened, not duplicated.

        Raises:
            DamagedError: The file does not match its checksum, or is no export; nothing was changed.
            EmbedderError: Its vectors come from another embedder.
        """
        self.store.forbid_transaction("import_")
        done = transfer.import_(self.store, Path(path), self.relational.functional, dry_run)
        if not dry_run:
            self.episodic.evict()
        self._refresh_caches()
        return done

    def _refresh_caches(self) -> None:
        """Refresh the caches and empty the log after rows were removed or added in bulk."""
        self.store.invalidate()
        with suppress(OSError):
            self._index.save()
        self.store.truncate_log()

    def close(self) -> None:
        """Write the index cache and close the database; a second call does nothing.

        The cache can be rebuilt, so errors of the disk are ignored while writing it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with suppress(OSError):
                with self.store.write(upkeep=True):
                    self.episodic.flush()
                self._index.save()
        finally:
            self.store.close()
            self.snapshots.close()

    def __exit__(self, *_: object) -> None:
        """Close the memory."""
        self.close()


class _DryRun(Exception):  # noqa: N818
    """Signal that ends a dry run, so that its transaction is rolled back."""
