"""``hippo adapters``: which there are, and where they come from."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent import adapters
from agent.console import Json, emit, plain_errors
from training.errors import TrainingError

app = typer.Typer(no_args_is_help=True, help="Adapters: list, show.")

Home = Annotated[Path, typer.Option("--in", help="Folder that your own adapters are in.")]


@app.callback()
def group() -> None:
    """Adapters."""


@app.command("list")
def list_adapters(home: Home = Path("runs/adapters"), as_json: Json = False) -> None:
    """List the adapters that ship and your own."""
    with plain_errors(TrainingError):
        rows = [row(folder) for folder in adapters.found(home)]
        if as_json:
            emit(rows)
            return
        made = Table("name", "model", "from", "steps", "episodes", "MiB", "folder", box=None, pad_edge=False)
        for one in rows:
            cells = (one[key] for key in ("name", "model", "parent", "steps", "episodes", "mib", "folder"))
            made.add_row(*("-" if cell is None else str(cell) for cell in cells))
        Console(width=max(Console().width, 140)).print(made)


@app.command()
def show(
    adapter: Annotated[str, typer.Argument(help="Name or folder of an adapter.")], as_json: Json = False
) -> None:
    """Show an adapter's card: base model, data, command, metrics, lineage."""
    with plain_errors(TrainingError):
        folder = adapters.resolve(adapter)
        card = adapters.card(folder)
        if as_json:
            emit(card | {"folder": str(folder)})
            return
        from training.card import words

        print(words(card) if card else f"{folder} has no card: it was not trained by `hippo train`")  # noqa: T201


def row(folder: Path) -> dict[str, Any]:
    """An adapter in one object."""
    card = adapters.card(folder)
    return {
        "name": folder.name, "model": card.get("base", {}).get("name"), "steps": card.get("steps"),
        "parent": (card.get("parent") or {}).get("name"), "folder": str(folder), "sha256": adapters.digest(folder),
        "episodes": sum(card["data"]["taken"].values()) if card else None,
        "mib": round((folder / adapters.WEIGHTS).stat().st_size / 2**20, 1), "sources": card.get("sources", []),
    }  # fmt: skip
