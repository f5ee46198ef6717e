"""An episode on the terminal: the map, the steps, the calls, the memory's writes."""

from collections import deque
from types import TracebackType
from typing import Any, Self

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.logs.events import (
    Decided,
    End,
    Event,
    Observed,
    Progressed,
    Ran,
    Returned,
    Start,
    Wrote,
)
from agent.pictures.maps import remembered_map
from agent.shown import shown_result
from agent.statistics import wilson_ci
from memory import Memory

LINES = 14
STORE_STYLES = {"episodic": "magenta", "relational": "cyan", "spatial": "green"}


def line(event: Event) -> Text | None:
    """Return one line for an event, or ``None`` if there is nothing to show."""
    match event:
        case Observed():
            return Text(f"{event.step:>4} sees   {event.text}", style="default")
        case Decided():
            call = Text(f"{event.step:>4} calls  ", style="bold yellow")
            words = f"{event.name}({_arguments(event)})" if event.name else repr(event.text)
            surprise = "" if event.surprise is None else f"   surprise {event.surprise:.2f}"
            return call.append(words).append(f"{surprise}   {event.seconds:.2f} s", style="dim")
        case Ran():
            return Text(f"{event.step:>4} runs   {event.name}({_arguments(event)})", style="dim yellow")
        case Returned():
            style = {"ok": "default", "invalid": "red", "failed": "yellow"}[event.status]
            return Text(f"{event.step:>4} {event.status:<6} {shown_result('ok', event.text)}", style=style)
        case Progressed():
            return Text(f"{event.step:>4} {event.done:>4.0%}   {event.text}", style="dim")
        case Wrote():
            score = "" if event.score is None else f" (S {event.score:.2f})"
            return Text(f"{event.step:>4} writes {event.store}{score}: {event.text}", style=STORE_STYLES[event.store])
        case End():
            style = "bold green" if event.success else "bold red"
            return Text(f"     {event.ending}: {event.reason}", style=style)
        case _:
            return None


def _arguments(event: Decided | Ran) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in (event.arguments or {}).items())


class TerminalView:
    """Display of events as they come: a live picture on a terminal, plain lines elsewhere.

    Args:
        console: The console to print on.
        memory: The memory whose map is drawn, if there is one.
        live: Whether to redraw in place; by default only on a terminal.
    """

    def __init__(self, console: Console, memory: Memory | None = None, live: bool | None = None) -> None:
        self.console = console
        self.memory = memory
        self.live = console.is_terminal if live is None else live
        self._lines: deque[Text] = deque(maxlen=LINES)
        self._world: Text | None = None
        self._title = ""
        self._screen = Live(console=console, auto_refresh=False, vertical_overflow="crop") if self.live else None

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._screen:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._screen:
            self._screen.stop()

    def world(self, drawing: str) -> None:
        """Set the environment's own drawing, a text with ANSI colours."""
        self._world = Text.from_ansi(drawing)

    def show(self, event: Event) -> None:
        """Show one event."""
        text = self.note(event)
        if self._screen:
            self._screen.update(self.picture(), refresh=True)
            return
        if isinstance(event, Start):
            self.console.print(Text(f"\n{self._title}", style="bold"))
            self.console.print(self._maps())
        if isinstance(event, End):
            self.console.print(self._maps())
        if text is not None:
            self.console.print(text, soft_wrap=True)

    def note(self, event: Event) -> Text | None:
        """Add one event to the picture without showing it, and return its line."""
        if isinstance(event, Start):
            self._lines.clear()
            self._title = f"episode {event.episode}, seed {event.seed}, {event.env}: {event.mission}"
        text = line(event)
        if text is not None:
            self._lines.append(text)
        return text

    def picture(self) -> Group:
        """Return the whole picture: both maps and the newest lines."""
        room = LINES
        if self._screen:  # on a low terminal the maps stay and the lines get fewer
            room = max(3, min(LINES, self.console.height - self._map_height() - 4))
        body = Text("\n").join(list(self._lines)[-room:])
        body.no_wrap, body.overflow = True, "ellipsis"
        return Group(Text(self._title, style="bold"), self._maps(), Panel(body, title="steps", height=room + 2))

    def _map_height(self) -> int:
        return 2 + max((str(drawing).count("\n") + 1 for _, drawing in self._drawings()), default=-2)

    def _drawings(self) -> list[tuple[str, Text]]:
        drawings = [] if self._world is None else [("the world", self._world)]
        if self.memory is not None and self.memory.spatial.world and self.memory.spatial.pose:
            spatial = self.memory.spatial
            drawings.append(("what it remembers", remembered_map(spatial.grid_map, spatial.pose)))
        return drawings

    def _maps(self) -> Columns:
        return Columns([Panel(drawing, title=title, expand=False) for title, drawing in self._drawings()])


COLUMNS = {
    "seed": "seed", "ending": "ending", "steps": "steps", "optimal_steps": "expert",
    "model_calls": "calls", "invalid_calls": "invalid", "prefill_tokens": "read", "decode_tokens": "chosen",
    "forced_tokens": "forced", "writes": "writes", "seconds": "s",
}  # fmt: skip
"""Columns of the summary, by the name of the figure."""

GLOSSARY = (
    "expert: steps of the world's expert (in mazes the fewest; BabyAI's bot, which can be beaten, in its worlds); "
    "tokens that the model read, chose itself, and that the grammar forced"
)
"""What the less plain columns mean."""


def table(episodes: list[dict[str, Any]]) -> Table:
    """Return the summary of a run as a table."""
    summary = Table(title="episodes", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name, title in COLUMNS.items():
        summary.add_column(title, justify="left" if name == "ending" else "right", no_wrap=True)
    if episodes:
        solved = sum(episode["success"] for episode in episodes)
        low, high = wilson_ci(solved, len(episodes))
        summary.caption = f"solved {solved} of {len(episodes)} (95 % interval {low:.2f} to {high:.2f})\n{GLOSSARY}"
    for episode in episodes:
        cells = (episode[name] for name in COLUMNS)
        summary.add_row(*("-" if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells))
    return summary
