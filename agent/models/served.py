"""One engine for several processes: whoever waits is served in the next pass, so that nobody waits for the slowest."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener, wait
from queue import SimpleQueue
from typing import Any

import numpy as np

from agent.errors import ModelError
from agent.models.engine import Computed, Engine, Masks, Row


@contextmanager
def serving(engine: Engine) -> Iterator[Any]:
    """Serve an engine to other processes on this machine, in a thread.

    Yields:
        The address for :class:`ServedEngine`. The thread ends with this context.
    """
    server = _Server(engine)
    threads = [threading.Thread(target=run, daemon=True) for run in (server.accept, server.serve)]
    for thread in threads:
        thread.start()
    try:
        yield server.listener.address
    finally:
        server.close()
        threads[1].join()


class _Server:
    """Takes requests as they come, and answers all that wait with one pass."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.listener = Listener()
        self._clients: list[Connection] = []
        self._new: SimpleQueue[Connection] = SimpleQueue()
        self._slots: dict[tuple[Connection, int], int] = {}
        self._free: list[int] = []
        self._closing = threading.Event()
        self._bell, self._ringer = Pipe(duplex=False)

    def accept(self) -> None:
        """Let clients in until the server closes."""
        while not self._closing.is_set():
            with suppress(OSError, EOFError):
                client = self.listener.accept()
                client.send((self.engine.name, self.engine.vocab_size, self.engine.device))
                self._new.put(client)
                self._ringer.send(None)

    def serve(self) -> None:
        """Answer until the server closes."""
        while not self._closing.is_set():
            asked: list[tuple[Connection, Sequence[Row], Any]] = []
            for ready in wait([self._bell, *self._clients]):
                assert isinstance(ready, Connection)
                if ready is self._bell:
                    ready.recv()
                    while not self._new.empty():
                        self._clients.append(self._new.get())
                    continue
                try:
                    asked.append((ready, *ready.recv()))
                except (EOFError, OSError):
                    self._leave(ready)
            if asked:
                self._answer(asked)

    def _answer(self, asked: Sequence[tuple[Connection, Sequence[Row], Any]]) -> None:
        rows = [replace(row, slot=self._slot(client, row.slot)) for client, own, _ in asked for row in own]
        masks = [mask for _, _, mask in asked if mask is not None]
        answer: Iterator[Computed] | None = None
        try:
            answer = iter(self.engine.step(rows, lambda: np.concatenate(masks)))
        except Exception as error:  # the boundary: each client raises it
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
        self._closing.set()
        self._ringer.send(None)
        with suppress(OSError, EOFError):
            Client(self.listener.address).close()  # accept() waits for one
        self.listener.close()


class ServedEngine:
    """An engine of another process.

    Args:
        address: What :func:`serving` gave.
    """

    def __init__(self, address: Any) -> None:
        self._server = Client(address)
        self.name, self.vocab_size, self.device = self._server.recv()

    def reserve(self, slots: int) -> None:
        """Do nothing: the process that serves makes room for all."""

    def step(self, rows: Sequence[Row], masks: Masks) -> list[Computed]:
        """Pass tokens through the model; see :meth:`agent.models.engine.Engine.step`.

        Raises:
            ModelError: The pass failed, or the process that serves is gone.
        """
        try:
            self._server.send((rows, masks() if any(row.chooses for row in rows) else None))
            answer = self._server.recv()
        except (EOFError, OSError) as error:
            raise ModelError("the process that serves the model is gone") from error
        if isinstance(answer, Exception):
            raise answer
        return list(answer)
