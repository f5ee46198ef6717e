"""Stress tests that a memory must survive: kills, concurrent processes, damaged files, full disks, poisoned sources.

Each function works with real processes and files and raises ``AssertionError`` at the first item that is
lost, doubled, incomplete or silently wrong. ``make test`` runs them in small counts, ``make
torture`` (``python -m eval.bench.durability``) in the counts of docs/results/durability.md.
"""

from eval.bench.torture.crowd import crowd
from eval.bench.torture.damage import damaged_indexes, damaged_snapshots
from eval.bench.torture.disks import full_disks
from eval.bench.torture.harness import dump, in_child, scratch
from eval.bench.torture.kills import kills
from eval.bench.torture.poison import poison

__all__ = [
    "crowd", "damaged_indexes", "damaged_snapshots", "dump", "full_disks", "in_child", "kills", "poison", "scratch",
]  # fmt: skip
