"""How a tool's calls are run: for how long, where, how often, and whether they may be repeated."""

from dataclasses import dataclass

from tools.errors import ToolSchemaError

DEFAULT_TIMEOUT = 5.0
MAX_RETRIES = 10


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How the calls of a tool are run.

    Attributes:
        timeout: Seconds before a call counts as failed.
        process: Whether calls run in a process of their own, which is killed when time is up. Without it a call that
            hangs goes on in a thread, and one that holds Python's lock, such as a regular expression, holds up all.
        idempotent: Whether a second call with the same arguments changes nothing more.
        retries: How often a call that raised or ran out of time is tried again; idempotent tools only.
        side_effects: Whether a call changes something outside (a mail is sent). An episode that is played again after
            an interruption gets the result of the first time, and macros don't make such calls.

    Raises:
        ToolSchemaError: A value is of another kind, or retries are asked for calls that may not be repeated.
    """

    timeout: float = DEFAULT_TIMEOUT
    process: bool = False
    idempotent: bool = False
    retries: int = 0
    side_effects: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float) or not self.timeout > 0:
            raise ToolSchemaError(f"timeout must be above 0 seconds, got {self.timeout!r}")
        for name in ("process", "idempotent", "side_effects"):
            if not isinstance(value := getattr(self, name), bool):
                raise ToolSchemaError(f"{name}= is True or False, got {value!r}")
        whole = isinstance(self.retries, int) and not isinstance(self.retries, bool)
        if not whole or not 0 <= self.retries <= MAX_RETRIES:
            raise ToolSchemaError(f"retries= is a whole number from 0 to {MAX_RETRIES}, got {self.retries!r}")
        if self.retries and not self.idempotent:
            raise ToolSchemaError("retries= needs idempotent=True: a call that is tried again may have done its work")
