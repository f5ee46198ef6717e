"""Relational memory (SGC-RSS): what is true."""

from memory.relational.graph import KG
from memory.relational.names import FUNCTIONAL, normalise
from memory.relational.tuples import Fact, Tuple

__all__ = ["FUNCTIONAL", "KG", "Fact", "Tuple", "normalise"]
