"""Processes that play side by side, dealt out to the GPUs where there are several."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import Any

from agent.errors import WorkerLostError


@contextmanager
def worker_pool(
    count: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Start new processes, each with one thread of torch; the first takes the first GPU, and so on in turn.

    They end with this context, and at once after an error or an interruption.

    Args:
        count: How many.
        initializer: Called in each process before its first work.
        initargs: Its arguments.

    Raises:
        WorkerLostError: One was killed, or had too little memory.
    """
    context = get_context("spawn")
    setup = (context.Value("i", 0), initializer, initargs)
    pool = ProcessPoolExecutor(count, context, initializer=_init_worker, initargs=setup)
    try:
        with _one_thread_each():
            yield pool
        pool.shutdown()  # what they held, such as memory of a GPU, is free then
    except BaseException as error:
        for process in multiprocessing.active_children():
            process.kill()
        if isinstance(error, BrokenProcessPool) or type(error).__name__ == "OutOfMemoryError":  # torch's
            raise WorkerLostError("a process that plays was killed or had too little memory") from error
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that begin now compute in one thread each; they read this when they begin."""
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = threads


def _init_worker(turn: Any, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    torch.set_num_threads(1)
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(number % gpus)
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    """End this process when its parent ends, so that another may go on with the parent's run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
