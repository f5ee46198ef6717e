"""``hippo adapters``: lists the adapters, and shows how each was made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from agent.hub import adapters
from training.errors import AdapterError, TrainingError

app = typer.Typer(no_args_is_help=True, help="Adapters: list, show.")

Home = Annotated[Path, typer.Option("--in", help="Folder of your own adapters.")]


@app.callback()
def group() -> None:
    """List adapters and show their cards."""


@app.command("list")
def list_adapters(home: Home = Path("runs/adapters"), as_json: Json = False) -> None:
    """List the adapters that come with the package, and your own."""
    with plain_errors(TrainingError):
        rows = [row(folder) for folder in adapters.found(home)]
        if as_json:
            emit(rows)
            return
        table = Table("name", "model", "from", "steps", "episodes", "MiB", "folder", box=None, pad_edge=False)
        for adapter in rows:
            cells = (adapter[key] for key in ("name", "model", "parent", "steps", "episodes", "mib", "folder"))
            table.add_row(*("-" if cell is None else str(cell) for cell in cells))
        Console(width=max(Console().width, 140)).print(table)
        for folder, step in unfinished(home):
            print(f"unfinished: {folder}, step {step}; the `hippo train` command that began it goes on")  # noqa: T201


@app.command()
def show(adapter: Annotated[str, typer.Argument(help="Name or folder of an adapter.")], as_json: Json = False) -> None:
    """Show an adapter's card: base model, data, command, metrics, lineage."""
    with plain_errors(TrainingError):
        folder = adapters.resolve(adapter)
        card = adapters.check_weights(folder)
        if as_json:
            emit(card | {"folder": str(folder)})
            return
        from training.card import words

        print(words(card) if card else f"{folder} has no card: it was not trained by `hippo train`")  # noqa: T201


def unfinished(home: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of trainings that have a checkpoint and no adapter yet, with the step they have reached."""
    for folder in sorted({path.parents[2] for path in home.glob("*/checkpoints/checkpoint-*/trainer_state.json")}):
        if not (folder / adapters.WEIGHTS).is_file():
            steps = (path.name.rpartition("-")[2] for path in folder.glob("checkpoints/checkpoint-*"))
            yield folder, max(int(step) for step in steps if step.isdigit())


def row(folder: Path) -> dict[str, Any]:
    """Describe an adapter in one JSON object."""
    card = adapters.card(folder)
    steps = f"{card['steps']} (dry run)" if card.get("dry_run") else card.get("steps")
    return {
        "name": folder.name,
        "model": card.get("base", {}).get("name"),
        "steps": steps,
        "parent": (card.get("parent") or {}).get("name"),
        "folder": str(folder),
        "sha256": adapters.digest(folder),
        "episodes": sum(card["data"]["taken"].values()) if card else None,
        "mib": round((folder / adapters.WEIGHTS).stat().st_size / 2**20, 1),
        "sources": card.get("sources", []),
    }


def export(
    adapter: Annotated[str, typer.Argument(help="Name or folder of an adapter.")],
    out: Annotated[Path, typer.Argument(help="Folder (safetensors) or file (GGUF) to write; must be new.")],
    form: Annotated[str, typer.Option("--form", help="safetensors or gguf.")] = "safetensors",
    tools: Annotated[
        Path | None, typer.Option(help="JSON list of its tools; by default those of the worlds that it was trained in.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Merge an adapter into its base model, check that the merged model answers the same, and write it."""
    with plain_errors(TrainingError):
        from training.export import export as exported
        from training.export import figures

        if form not in ("safetensors", "gguf"):
            raise AdapterError(f"unknown form {form!r}: expected safetensors or gguf")
        done = exported(adapter, out, form, tools=tools)  # type: ignore[arg-type]
        if as_json:
            emit(figures(done))
            return
        print(  # noqa: T201
            f"{done.path}: written, with its card, tools and schema. Merging changes logits by {done.merged:.1e} "
            f"at most\n(their standard deviation is {done.scale:.1f}), rounding to 16 bits by {done.written:.1e}: at "
            f"{done.agree:.1%} of the places of a few texts the same token is next"
        )
