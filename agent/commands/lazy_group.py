"""Groups of commands that are imported when they are called: the list of commands needs a line of each only."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "memory": ("agent.commands.memory:app", "A memory: look into it, forget, undo, copy, check, move."),
    "kg": ("agent.commands.kg:app", "The knowledge graph: fill it from text, ask it, draw it, export it."),
    "mcp": ("agent.commands.mcp:mcp", "Serve a memory to MCP hosts, over stdio or HTTP."),
    "tools": ("agent.commands.tools:app", "Tools: begin a new one, list, show, check, call, export."),
    "serve": (
        "agent.commands.serve:serve",
        "Serve an agent, its memory and tools included, as an OpenAI-compatible chat endpoint.",
    ),
    "map": ("agent.commands.map:app", "Maps: list, show, plan over them, export."),
    "macros": ("agent.commands.macros:app", "Macros: mine, list, show, test, forget."),
    "adapters": ("training.commands.adapters:app", "Adapters: list, show."),
    "distill": ("training.commands.distill:app", "Distillation: solved episodes become macros and training rows."),
    "episodes": ("training.commands.episodes:app", "Logged episodes: list, show, stats, replay, filter, export."),
    "eval": ("eval.commands.evaluate:app", "Evaluation: suites, arms, one report."),
    "export": (
        "training.commands.adapters:export",
        "Merge an adapter into its base model, check that the merged model answers the same, and write it.",
    ),
    "train": (
        "training.commands.train:train",
        "Train an adapter on logged episodes and data sets; the same command resumes a training that was interrupted.",
    ),
}
"""Commands of this project by name: where they are, and what the list of commands says of them."""


def command_of(name: str, place: str) -> Any:
    """Import a command, or a group of commands, and return it as Typer runs it."""
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name)(found)
    return typer.main.get_command(single)


class LazyGroup(TyperGroup):
    """A group some commands of which are imported when they are called; until then they are names with a line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, line) in COMMANDS.items():
            self.commands.setdefault(name, TyperCommand(name, help=line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is called, and find it."""
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = command_of(args[0], COMMANDS[args[0]][0])
        return super().resolve_command(ctx, args)
