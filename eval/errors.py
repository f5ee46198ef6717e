"""What can go wrong in an evaluation."""


class EvalError(ValueError):
    """The evaluation can't be done, or read, as asked for; the message says what to change."""
