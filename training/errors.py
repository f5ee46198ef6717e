"""What can be wrong with a training."""


class TrainingError(Exception):
    """Base of all errors of the package."""


class RowTooLongError(TrainingError, ValueError):
    """An episode holds a message that does not fit into the window."""


class TrainConfigError(TrainingError, ValueError):
    """What was asked for can't be trained: the message says what to change."""


class AdapterError(TrainingError, ValueError):
    """A folder is no adapter, or it does not fit the model."""
