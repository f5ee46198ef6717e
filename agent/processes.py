"""Processes that play side by side, dealt out to the GPUs where there are several."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def pool(count: int) -> ProcessPoolExecutor:
    """So many new processes, each with one thread of torch; the first takes the first GPU, and so on in turn."""
    context = get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=_settle, initargs=(context.Value("i", 0),))


def _settle(turn: Any) -> None:
    import torch

    with turn.get_lock():
        number = turn.value
        turn.value += 1
    torch.set_num_threads(1)
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(number % gpus)
