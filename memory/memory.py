"""One memory is one directory: a database, and caches that can be rebuilt from it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Self

from memory.embedding import Embedder, MiniLMEmbedder
from memory.episodic import EpisodicStore
from memory.errors import EmbedderError, NotAMemoryError
from memory.relational import KG
from memory.spatial import PlaceGraph
from memory.store import Store
from memory.vectors import VectorIndex


class Memory(AbstractContextManager["Memory"]):
    """Episodic, relational and spatial memory over one SQLite file.

    Use :meth:`open`, as a context manager or with :meth:`close`.

    Attributes:
        episodic: What happened.
        relational: What is true.
        spatial: Where things are.
    """

    def __init__(self, store: Store, embedder: Embedder, folder: Path | None) -> None:
        written_with = store.meta("embedder")
        if written_with not in (None, embedder.name):
            raise EmbedderError(
                f"this memory was written with the embedder {written_with!r}, not {embedder.name!r}: "
                f"open it with {written_with!r}"
            )
        if written_with is None:
            store.set_meta("embedder", embedder.name)
        self.store = store
        self.embedder = embedder
        self.folder = folder
        self._index = VectorIndex(store, embedder.dim, folder and folder / "index")
        self.episodic = EpisodicStore(store, embedder, self._index)
        self.relational = KG(store)
        self.spatial = PlaceGraph(store)
        self._closed = False

    @classmethod
    def open(cls, path: str | Path | None = None, embedder: Embedder | None = None) -> Self:
        """Open the memory in directory ``path``, made if missing.

        Args:
            path: The directory; ``None`` keeps everything in main memory.
            embedder: Turns texts into vectors; all-MiniLM-L6-v2 by default, loaded at first use.

        Raises:
            NotAMemoryError: A file is in the way, the directory holds something else, or a newer
                release wrote it.
            EmbedderError: It was written with another embedder.
        """
        folder = None if path is None else Path(path)
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                raise NotAMemoryError(f"{folder} is a file: a memory is a directory")
            if folder.is_dir() and any(folder.iterdir()) and not (folder / "memory.db").exists():
                raise NotAMemoryError(f"{folder} holds other files and no memory.db: choose another directory")
            folder.mkdir(parents=True, exist_ok=True)
        store = Store(folder and folder / "memory.db")
        try:
            return cls(store, embedder or MiniLMEmbedder(), folder)
        except BaseException:
            store.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several writes to any of the stores one atomic change."""
        with self.store.write():
            yield

    def stats(self) -> dict[str, int]:
        """Counts of traces, current facts and places."""
        return {"traces": len(self.episodic), "facts": len(self.relational), "places": len(self.spatial)}

    def close(self) -> None:
        """Write the index cache and close the database; a second call does nothing.

        The cache can be rebuilt, so a full disk does not keep the database from closing.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with suppress(OSError):
                self._index.save()
        finally:
            self.store.close()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
