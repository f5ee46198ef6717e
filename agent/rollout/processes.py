"""Worker processes that play in parallel, distributed over the GPUs if there are several."""

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
from agent.threads import has_gpu


@contextmanager
def worker_pool(
    count: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    share_gpus: bool = True,
) -> Iterator[ProcessPoolExecutor]:
    """Start worker processes with one torch thread each; the GPUs are assigned to them in turn.

    The processes end with this context; after an error or an interruption they are killed at once.

    Args:
        count: Number of processes.
        initializer: Called in each process before its first work.
        initargs: Arguments of ``initializer``.
        share_gpus: Whether the processes compute on the GPUs, if there are any.

    Raises:
        WorkerLostError: A process was killed, or ran out of memory.
    """
    context = get_context("spawn")
    setup = (context.Value("i", 0), share_gpus, initializer, initargs)
    pool = ProcessPoolExecutor(count, context, initializer=_init_worker, initargs=setup)
    try:
        with _one_thread_each():
            yield pool
        pool.shutdown()  # waits for their end: what they held, such as GPU memory, is free then
    except BaseException as error:
        for process in multiprocessing.active_children():
            process.kill()
        if isinstance(error, BrokenProcessPool) or type(error).__name__ == "OutOfMemoryError":  # torch's error
            raise WorkerLostError("a process that plays was killed or had too little memory") from error
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Set ``OMP_NUM_THREADS=1`` for processes that are started now; they read it when they start."""
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = threads


def _init_worker(
    turn: Any, share_gpus: bool, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    if share_gpus and has_gpu():
        import torch

        torch.cuda.set_device(number % torch.cuda.device_count())
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    """End this process when its parent ends, so that another process can resume the parent's run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
