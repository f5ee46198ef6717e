"""``hippo distill``: learn offline from what was logged."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.console import Json, emit, plain_errors
from memory import Memory

app = typer.Typer(no_args_is_help=True, help="Distillation: solved episodes become macros and training rows.")


@app.callback()
def group() -> None:
    """Distillation."""


@app.command()
def clone(
    folder: Annotated[Path, typer.Argument(help="Folder of the memory whose library takes the macros.")],
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, episodes, or events.jsonl files.")],
    rows: Annotated[Path, typer.Option(help="JSONL file of training rows to write.")] = Path("rows.jsonl"),
    most: Annotated[int, typer.Option(min=1, max=64, help="How many macros to find at most.")] = 16,
    as_json: Json = False,
) -> None:
    """Behaviour cloning: solved episodes to macro candidates and to rows of `messages` and `tools`."""
    with plain_errors():
        from training.cloning import clone as cloned

        with Memory.open(folder) as memory:
            done = cloned(runs, memory, rows, most)
        result = {
            **asdict(done.counts),
            "macros": [macro.name for macro in done.macros], "file": str(rows),
        }  # fmt: skip
        if as_json:
            emit(result)
            return
        names = ", ".join(macro.name for macro in done.macros)
        print(f"{done.counts.rows} rows of {done.counts.episodes} episodes in {rows}; macros: {names}")  # noqa: T201
