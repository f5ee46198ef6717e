"""Offline learning from logged episodes."""

from training.datasets import EmptyMaskError, Row, assistant_mask, row_of

__all__ = ["EmptyMaskError", "Row", "assistant_mask", "row_of"]
