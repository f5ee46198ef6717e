"""Procedural memory: macros that are mined from successful episodes, tested, and suggested again."""

import memory.procedural.table  # noqa: F401 - declares its tables
from memory.procedural.library import MacroLib
from memory.procedural.macro import Macro, Suggestion
from memory.procedural.program import Call, Step, SymbolicState, Trajectory

__all__ = ["Call", "Macro", "MacroLib", "Step", "Suggestion", "SymbolicState", "Trajectory"]
