"""One engine and one embedder for several processes: whoever waits is served in the next pass."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener, wait
from queue import SimpleQueue
from typing import Any

import numpy as np

from agent.errors import ModelError, ServerError
from agent.models.engine import Computed, Engine, Masks, Pending, Row
from agent.models.tokenizer import FastTokenizer
from memory import EmbedderError
from memory.embedding import Embedder, Vectors

MOST_KEPT = 1024
"""Vectors that a process keeps."""


@contextmanager
def serving(engine: Engine, tokenizer: FastTokenizer, embedder: Embedder | None = None) -> Iterator[Any]:
    """Serve an engine, its tokenizer and an embedder to other processes on this machine, in a thread.

    Yields:
        The address for :class:`ServedEngine` and :class:`ServedEmbedder`. The thread ends with this context.
    """
    server = _Server(engine, tokenizer, embedder)
    threads = [threading.Thread(target=run, daemon=True) for run in (server.accept, server.serve)]
    for thread in threads:
        thread.start()
    try:
        yield server.address
    finally:
        server.close()
        threads[1].join()


class _Server:
    """Takes requests as they come, and answers all that wait with one pass."""

    def __init__(self, engine: Engine, tokenizer: FastTokenizer, embedder: Embedder | None) -> None:
        self.engine = engine
        self.tokenizer = tokenizer.parts()
        self.embedder = embedder
        self.listener = Listener()
        self.address = self.listener.address
        self._clients: list[Connection] = []
        self._new: SimpleQueue[Connection] = SimpleQueue()
        self._slots: dict[tuple[Connection, int], int] = {}
        self._free: list[int] = []
        self._closing = threading.Event()
        self._stopping = threading.Lock()
        self._bell, self._ringer = Pipe(duplex=False)

    def accept(self) -> None:
        """Let clients in until the server closes."""
        while not self._closing.is_set():
            with suppress(OSError, EOFError):
                client = self.listener.accept()
                if self._closing.is_set():
                    client.close()
                    return
                client.send((self.engine.name, self.engine.vocab_size, self.engine.device, self.tokenizer))
                self._new.put(client)
                self._ringer.send(None)

    def serve(self) -> None:
        """Answer until the server closes; clients that wait when it fails find it gone."""
        try:
            while not self._closing.is_set():
                self._serve()
        finally:
            self._stop_accepting()
            for client in [*self._clients, *(self._new.get() for _ in range(self._new.qsize()))]:
                client.close()

    def _serve(self) -> None:
        """Answer all that wait."""
        asked: list[tuple[Connection, Sequence[Row], Any]] = []
        texts: list[tuple[Connection, list[str]]] = []
        for ready in wait([self._bell, *self._clients]):
            assert isinstance(ready, Connection)
            if ready is self._bell:
                ready.recv()
                while not self._new.empty():
                    self._clients.append(self._new.get())
                continue
            try:
                question = ready.recv()
            except (EOFError, OSError):
                self._leave(ready)
                continue
            if isinstance(question, list):
                texts.append((ready, question))
            else:
                asked.append((ready, *question))
        if texts:
            self._embed(texts)
        if asked:
            self._answer(asked)

    def _embed(self, asked: Sequence[tuple[Connection, list[str]]]) -> None:
        assert self.embedder is not None
        try:
            vectors = self.embedder.embed([text for _, texts in asked for text in texts])
        except Exception as error:  # the boundary: each client raises it
            for client, _ in asked:
                with suppress(OSError):
                    client.send(EmbedderError(f"{type(error).__name__}: {error}"))
            return
        at = 0
        for client, texts in asked:
            with suppress(OSError):
                client.send(vectors[at : at + len(texts)])
            at += len(texts)

    def _answer(self, asked: Sequence[tuple[Connection, Sequence[Row], Any]]) -> None:
        rows = [replace(row, slot=self._slot(client, row.slot)) for client, own, _ in asked for row in own]
        masks = [mask for _, _, mask in asked if mask is not None]
        answer: Iterator[Computed] | None = None
        try:
            answer = iter(self.engine.begin(rows, lambda: np.concatenate(masks))())
        except Exception as error:  # the boundary: who asked for it raises it
            if len(asked) > 1:  # find out whose fault it is
                for one in asked:
                    self._answer([one])
                return
            failure = ModelError(f"{type(error).__name__}: {error}")
        for client, own, _ in asked:
            with suppress(OSError):  # a client that is gone is noticed when it is read from
                client.send(failure if answer is None else [next(answer) for _ in own])

    def _slot(self, client: Connection, number: int) -> int:
        key = (client, number)
        if key not in self._slots:
            self._slots[key] = self._free.pop() if self._free else len(self._slots)
        return self._slots[key]

    def _leave(self, client: Connection) -> None:
        self._clients.remove(client)
        for key in [key for key in self._slots if key[0] is client]:
            self._free.append(self._slots.pop(key))
        client.close()

    def close(self) -> None:
        """End both threads."""
        self._stop_accepting()
        self._ringer.send(None)

    def _stop_accepting(self) -> None:
        with self._stopping:
            if self._closing.is_set():
                return
            self._closing.set()
            with suppress(OSError, EOFError):
                Client(self.address).close()  # accept() waits for one
            self.listener.close()


class ServedEngine:
    """An engine of another process.

    Args:
        address: What :func:`serving` gave.

    Attributes:
        tokenizer: The model's tokenizer.
    """

    def __init__(self, address: Any) -> None:
        self._server = Client(address)
        self.name, self.vocab_size, self.device, parts = self._server.recv()
        self.tokenizer = FastTokenizer.of_parts(*parts)

    def reserve(self, slots: int) -> None:
        """Do nothing: the process that serves makes room for all."""

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        """Have tokens passed through the model; see :meth:`agent.models.engine.Engine.begin`.

        Raises:
            ModelError: The pass failed; raised when it is waited for.
            ServerError: The process that serves is gone.
        """
        with _served():
            self._server.send((rows, masks() if any(row.chooses for row in rows) else None))
        return self._answer

    def _answer(self) -> list[Computed]:
        with _served():
            answer = self._server.recv()
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise ServerError("the process that serves the model is gone: resume the run") from error


class ServedEmbedder:
    """An embedder of another process.

    Args:
        address: What :func:`serving` gave.
        like: The embedder that is served, or one like it, which is not loaded; for its name and figures.
    """

    def __init__(self, address: Any, like: Embedder) -> None:
        self._server = Client(address)
        self._server.recv()
        self.name, self.dim = like.name, like.dim
        self.answer_min = getattr(like, "answer_min", None)
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()  # tools run in threads

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts as float32 ``[len(texts), dim]``; the newest are kept.

        Raises:
            EmbedderError: The pass failed, or the process that serves is gone.
        """
        with self._lock:
            return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        if missing := [text for text in dict.fromkeys(texts) if text not in self._kept]:
            try:
                self._server.send(missing)
                answer = self._server.recv()
            except (EOFError, OSError) as error:
                raise EmbedderError("the process that serves the embedder is gone") from error
            if isinstance(answer, Exception):
                raise answer
            self._kept.update(zip(missing, answer, strict=True))
        found = np.stack([self._kept[text] for text in texts]) if texts else np.zeros((0, self.dim), np.float32)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found
