"""Errors of the eval package."""


class EvalError(ValueError):
    """An evaluation that can't be run or read; the message says what to change."""
