"""Running of work with an end: in another thread, for so many seconds at most."""

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

Done = tuple[bool, Any]


def run_for(seconds: float, work: Callable[[], Any]) -> Done:
    """Run ``work`` in another thread for at most ``seconds``.

    Returns:
        ``(True, value)``, ``(True, exception)`` when it raised, or ``(False, None)`` when time ran
        out. A thread can't be killed: work that hangs goes on in the background, result unused.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    outcome: SimpleQueue[Any] = SimpleQueue()
    worker.todo.put((work, outcome))
    try:
        value = outcome.get(timeout=min(seconds, threading.TIMEOUT_MAX))
    except Empty:
        worker.todo.put(None)  # it ends when the work does
        return False, None
    except BaseException:
        worker.todo.put(None)
        raise
    _idle.append(worker)
    return True, value


class _Worker:
    """A thread that does one piece of work after another: cheaper than a new thread for each."""

    def __init__(self) -> None:
        self.todo: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (item := self.todo.get()) is not None:
            work, outcome = item
            try:
                outcome.put(work())
            except BaseException as error:  # the boundary: a tool may raise anything, SystemExit included
                outcome.put(error)
            del work, outcome, item


_idle: list[_Worker] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads don't live on in a forked process
