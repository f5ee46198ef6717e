"""Episodic memory (HEI-NW: hippocampal episodic index with neuromodulated writes): what happened."""

import memory.episodic.table  # noqa: F401 - declares its tables
from memory.episodic.gate import WriteGate
from memory.episodic.recall import Cue, Recall, RecallConfig
from memory.episodic.replay import ReplayConfig, ReplayItem, ReplayQueue
from memory.episodic.retention import Retention
from memory.episodic.sparse import DGKey
from memory.episodic.store import EpisodicStore
from memory.episodic.trace import SLOTS, Event, Slot, Trace

__all__ = [
    "SLOTS", "Cue", "DGKey", "EpisodicStore", "Event", "Recall", "RecallConfig", "ReplayConfig", "ReplayItem",
    "ReplayQueue", "Retention", "Slot", "Trace", "WriteGate",
]  # fmt: skip
