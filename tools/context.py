"""What a tool may know of the moment in which it is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The moment in an episode; the loop gives a new one to the memory tools after every observation.

    Attributes:
        episode: Name of the episode; the document in the provenance of what is written.
        mission: What is to be done.
        step: Environment steps taken so far; ``None`` outside an episode.
        view: The cells perceived, as ``info["view"]`` has them; ``None`` in a world without cells.
        actions: What can be done now: names of actions, or the texts that the world takes.
    """

    episode: str = ""
    mission: str = ""
    step: int | None = None
    view: Mapping[str, Any] | None = None
    actions: Sequence[str] = ()

    @property
    def when(self) -> str:
        """The time of the moment, as the slot ``when`` of a trace has it."""
        return "" if self.step is None else f"step {self.step}"
