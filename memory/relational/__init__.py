"""Relational memory (SGC-RSS): what is true."""

from memory.relational.graph import FUNCTIONAL, KG, Fact, Tuple, normalise

__all__ = ["FUNCTIONAL", "KG", "Fact", "Tuple", "normalise"]
