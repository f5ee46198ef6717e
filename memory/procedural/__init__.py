"""Procedural memory: macros, mined from what worked, tried, and suggested again."""

from memory.procedural.library import MacroLib
from memory.procedural.macro import Macro, Suggestion
from memory.procedural.program import Call, Step, SymbolicState, Trajectory

__all__ = ["Call", "Macro", "MacroLib", "Step", "Suggestion", "SymbolicState", "Trajectory"]
