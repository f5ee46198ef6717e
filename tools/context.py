"""What a tool may know of the moment in which it is called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory import Memory


def _unheard(done: float, words: str) -> None:
    """Take a report of progress that nobody asked for."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The moment in an episode; the loop makes a new one after every observation.

    A tool gets it through a parameter of this type, which is not in its schema: ``look(at: str, now: ToolContext)``.

    Attributes:
        episode: Name of the episode; the document in the provenance of what is written.
        mission: What is to be done.
        step: Environment steps taken so far; ``None`` outside an episode.
        view: The cells perceived, as ``info["view"]`` has them; ``None`` in a world without cells.
        actions: What can be done now: names of actions, or the texts that the world takes.
        memory: The agent's memory; ``None`` for an agent without one.
        env: The environment; ``None`` where another harness steps it.
        progress: Tells how much of a long call is done, from 0 to 1, and in words what it does now.
    """

    episode: str = ""
    mission: str = ""
    step: int | None = None
    view: Mapping[str, Any] | None = None
    actions: Sequence[str] = ()
    memory: Memory | None = None
    env: Any = None
    progress: Callable[[float, str], None] = _unheard

    @property
    def when(self) -> str:
        """The time of the moment, as the slot ``when`` of a trace has it."""
        return "" if self.step is None else f"step {self.step}"
