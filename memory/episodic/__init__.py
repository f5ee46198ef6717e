"""Episodic memory (HEI-NW): what happened."""

from memory.episodic.gate import WriteGate
from memory.episodic.store import SLOTS, EpisodicStore, Recall, Slot, Trace

__all__ = ["SLOTS", "EpisodicStore", "Recall", "Slot", "Trace", "WriteGate"]
