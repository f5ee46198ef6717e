"""Processes that play side by side, dealt out to the GPUs where there are several."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import Any

from agent.errors import PlayerLostError


@contextmanager
def players(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many new processes, each with one thread of torch; the first takes the first GPU, and so on in turn.

    They end with this context, and at once after an error or an interruption.

    Raises:
        PlayerLostError: One was killed, or had too little memory.
    """
    context = get_context("spawn")
    made = ProcessPoolExecutor(count, context, initializer=_settle, initargs=(context.Value("i", 0),))
    try:
        yield made
        made.shutdown()  # what they held, such as memory of a GPU, is free then
    except BaseException as error:
        for process in multiprocessing.active_children():
            process.kill()
        if isinstance(error, BrokenProcessPool) or type(error).__name__ == "OutOfMemoryError":  # torch's
            raise PlayerLostError("a process that plays was killed or had too little memory") from error
        raise
    finally:
        made.shutdown(wait=False, cancel_futures=True)


def obey_parent() -> None:
    """In a process that plays: leave Ctrl-C to the parent, and end with it, for another may go on with its run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _settle(turn: Any) -> None:
    import torch

    obey_parent()
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    torch.set_num_threads(1)
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(number % gpus)
