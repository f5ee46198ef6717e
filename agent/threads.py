"""Processors: threads that do not spin on cores that are not theirs, how many there are, and whether there is a GPU.

PyTorch's threads wait for each other by spinning, by default for milliseconds. Where another process wants the same
cores, each wait costs that long. A short spin costs nothing where the cores are free (docs/results/first-hour.md,
"Waiting"). It must be set before PyTorch is imported.
"""

import os
import sys
from pathlib import Path

SPINS = "GOMP_SPINCOUNT"
"""Turns that a thread of GNU's OpenMP waits by spinning before it sleeps."""

MOST_THREADS = 8
"""More threads than these are no faster for the small products of one conversation."""

NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvhost-ctrl")
"""Device files of which a machine with a GPU has one: NVIDIA's, Windows' in WSL, AMD's, a Jetson's."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault(SPINS, "1000")


def cpu_threads() -> int:
    """Return how many threads compute: ``OMP_NUM_THREADS``, or one for each core that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def has_gpu() -> bool:
    """Return whether PyTorch finds an NVIDIA GPU; it is asked only where there may be one."""
    if sys.platform == "linux" and "torch" not in sys.modules and not any(Path(node).exists() for node in NODES):
        return False
    import torch

    return bool(torch.cuda.is_available())
