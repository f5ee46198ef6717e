"""Errors of evaluations."""


class EvalError(Exception):
    """Base of all errors of this package."""


class DataError(EvalError, ValueError):
    """A data set is missing or of another form."""
