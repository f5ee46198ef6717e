"""What tools report of calls that take long."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from memory.clean import text_of
from tools import ToolCall


class Reports:
    """Reports of the call under way; those of a call that has ended are not heard, whichever thread they come from.

    Args:
        hear: Receives the call, how much of it is done from 0 to 1, and words.
    """

    def __init__(self, hear: Callable[[ToolCall, float, str], None]) -> None:
        self._hear = hear
        self._lock = Lock()
        self._calling: ToolCall | None = None

    @contextmanager
    def of(self, call: ToolCall) -> Iterator[None]:
        """Hear what is reported while a call is made."""
        self._calling = call
        try:
            yield
        finally:
            with self._lock:
                self._calling = None

    def report(self, done: float, words: str = "") -> None:
        """Take a report, in the form of :attr:`~tools.ToolContext.progress`."""
        share = min(max(float(done), 0.0), 1.0) if math.isfinite(done) else 0.0
        with self._lock:
            if self._calling is not None:
                self._hear(self._calling, share, text_of(words))
