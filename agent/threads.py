"""Threads that do not spin on cores that are not theirs.

PyTorch's threads wait for each other by spinning, by default for milliseconds. Where another process wants the same
cores, each wait costs that long. A short spin costs nothing where the cores are free (docs/results/first-hour.md,
"Waiting"). It must be set before PyTorch is imported.
"""

import os

SPINS = "GOMP_SPINCOUNT"
"""Turns that a thread of GNU's OpenMP waits by spinning before it sleeps."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault(SPINS, "1000")
