"""Errors of the training package."""


class TrainingError(Exception):
    """Base class of all errors of the package."""


class RowTooLongError(TrainingError, ValueError):
    """An episode with a message that does not fit into the window."""


class TrainConfigError(TrainingError, ValueError):
    """Settings that can't be trained with; the message says what to change."""


class AdapterError(TrainingError, ValueError):
    """A folder that is no adapter, or an adapter that does not fit the model."""
