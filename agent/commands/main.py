"""The command line: ``hippo``."""

import sys
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors, write_anywhere
from agent.commands.lazy_group import COMMANDS, LazyGroup
from agent.errors import CatalogError

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A hippocampus for small language models: memories as tools in an agent loop.",
)
models_app = typer.Typer(no_args_is_help=True, help="Models: list, fetch, verify.")
app.add_typer(models_app, name="models")


@app.command()
def run(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings as key=value: env=water_maze episodes=2 model.temperature=0.7", show_default=False
        ),
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show the table only.")] = False,
) -> None:
    r"""Play episodes, and show live the map, every step, every call and what is remembered.

    Examples:
    hippo run env=water_maze episodes=2

    hippo run env=BabyAI-GoToLocal-v0 memory=none

    hippo run plugins=\[my_tools.py] model.temperature=0.7 seed=3
    """
    from envs import EnvError

    with plain_errors(EnvError):
        from agent.config import load

        config = load(overrides or [])
        from agent.commands.terminal import TerminalView, table
        from agent.logs.events import Event, Start
        from agent.policies.choice import unknown_words
        from agent.rollout.runner import Run
        from agent.text_env import drawing_of
        from envs import make

        console = Console(stderr=as_json)
        interrupted = False
        with Run(config, make) as played:
            console.print(f"[dim]log: {played.folder}[/dim]", highlight=False)
            with TerminalView(console, played.memory) as view:

                def draw(env: Any) -> None:
                    if (drawing := drawing_of(env)) is not None:
                        view.world(drawing)

                def watch(event: Event) -> None:
                    if not quiet:
                        view.show(event)
                    if isinstance(event, Start) and (new := unknown_words(played.model, event.mission)):
                        console.print(f"note: {new}", style="yellow", highlight=False)

                try:
                    played.play(watch, draw)
                except KeyboardInterrupt:
                    interrupted = True
            if own := [tool.name for tool in played.plugins]:
                counts = played.called()
                told = ", ".join(f"{name} {counts.get(name, 0)} times" for name in own)
                console.print(f"[dim]your tools were called: {told}[/dim]", highlight=False)
            if missing := getattr(played.model, "note", ""):
                console.print(f"note: {missing}", style="yellow", highlight=False)
            console.print(table(played.episodes))
            if as_json:
                emit(played.result())
        if interrupted:
            raise KeyboardInterrupt
        if broken := [row for row in played.episodes if row["ending"] in ("model_error", "env_error")]:
            print(f"error: {len(broken)} episodes ended in an error, not in a result", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1)


@app.command()
def collect(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings as key=value: env=courier policy=expert episodes=700 split=train", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play many episodes and log them, each world with its own memory; the same name= again resumes the collection.

    workers= says how many processes play, batch= how many worlds a model plays side by side, split= and seed= which
    worlds, env.kwargs.level= how hard they are.

    Examples:
    hippo collect env=babyai_mixed episodes=1000 name=expert

    hippo collect env=courier policy=random split=test episodes=70

    hippo collect env=water_maze policy=model model=smollm2-135m batch=64 episodes=200
    """
    from envs import EnvError

    with plain_errors(EnvError):
        from agent.config import load_collect
        from agent.logs.events import End
        from agent.logs.log import read_events
        from agent.logs.manifest import table
        from agent.rollout.collect import Collection
        from envs import make, seeds_of

        config = load_collect(overrides or [])
        collection = Collection(config, seeds_of(config.split), make)
        console = Console(stderr=True)
        status = f"{len(collection.rows)} episodes are there" if collection.rows else "a new run"
        console.print(f"[dim]log: {collection.folder}, {status}[/dim]", highlight=False)
        try:
            with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
                task = bar.add_task("episodes", total=config.episodes, completed=len(collection.rows))
                collection.run(lambda count: bar.advance(task, count))
        except KeyboardInterrupt:
            console.print(f"hint: go on with the same settings and name={collection.folder.name}", highlight=False)
            raise
        if not as_json:
            Console().print(table(collection.rows))
        else:
            emit(collection.result())
        broken = [row for row in collection.rows if row["ending"] in ("model_error", "env_error")]
        if broken:
            why = read_events(collection.folder / broken[0]["log"])[-1]
            reason = why.reason if isinstance(why, End) else ""
            print(f"error: {len(broken)} episodes ended in an error, not in a result: {reason}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1)


@app.command()
def envs(pattern: Annotated[str, typer.Argument(help="Part of a name.")] = "") -> None:
    """List the environments that `env=...` takes."""
    from agent.config import choices
    from envs import known_ids
    from envs.registry import installed_ids

    short = [name for name in choices("env") if name != "gym"]
    for name in dict.fromkeys([*short, *known_ids(), *installed_ids()]):
        if pattern.lower() in name.lower():
            print(name)  # noqa: T201


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is missing and how to get it."""
    from agent.commands.doctor import checks

    findings = checks()
    if as_json:
        emit([{"name": c.name, "ok": c.ok, "needed": c.needed, "found": c.found, "fix": c.fix} for c in findings])
    else:
        for check in findings:
            mark = "ok     " if check.ok else "MISSING" if check.needed else "none   "
            fix = "" if check.ok or not check.fix else f"  hint: {check.fix}"
            print(f"{mark} {check.name:<24} {check.found}{fix}")  # noqa: T201
    if any(check.needed and not check.ok for check in findings):
        raise typer.Exit(1)


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """List the catalogue."""
    from agent.hub import catalog

    rows = [
        {
            "name": e.name,
            "role": e.role,
            "parameters": e.parameters,
            "license": e.license,
            "source": str(e.source),
            "fetched": catalog.is_cached(e.name),
        }
        for e in catalog.ENTRIES
    ]
    if as_json:
        emit(rows)
        return
    table = Table("name", "role", "parameters", "license", "source", "fetched", box=None)
    for row in rows:
        table.add_row(*(("yes" if v else "no") if isinstance(v, bool) else str(v) for v in row.values()))
    Console(width=max(Console().width, 140)).print(table)


@models_app.command("fetch")
def models_fetch(names: Annotated[list[str], typer.Argument(help="Names as `hippo models list` shows them.")]) -> None:
    """Download, verify and convert models into the cache; models that are there already are left alone."""
    with plain_errors():
        from agent.hub import catalog

        for name in names:
            catalog.entry(name)
        for name in names:
            print(f"{name}: {catalog.fetch(name)}")  # noqa: T201
        _prepare([name for name in names if name in ("minilm", "smollm2-135m")])


@models_app.command("prepare")
def models_prepare(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models, adapters or folders; by default minilm and the shipped adapter.")
    ] = None,
) -> None:
    """Convert models for ONNX Runtime, which takes half the time on a CPU; `models fetch` does it without a GPU."""
    with plain_errors():
        from agent.hub import adapters
        from agent.models import prepared

        if not prepared.available():
            raise CatalogError("ONNX Runtime is not installed: pip install onnxruntime-genai onnx onnx-ir")
        for name in names or ["minilm", adapters.SHIPPED]:
            print(f"{name}: {prepared.prepare_named(name)}")  # noqa: T201


def _prepare(names: list[str]) -> None:
    """Convert what was fetched, where it is to run on a CPU."""
    from agent.hub import adapters
    from agent.models import prepared
    from agent.threads import has_gpu

    if not prepared.available() or has_gpu():
        return
    for name in names:
        wanted = name if name == "minilm" else adapters.SHIPPED
        try:
            print(f"{wanted}: {prepared.prepare_named(wanted)}")  # noqa: T201
        except CatalogError as error:
            print(f"not prepared for ONNX Runtime, and slower so: {error}", file=sys.stderr)  # noqa: T201


@models_app.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; every fetched model by default.")] = None,
) -> None:
    """Hash the cached files again and compare."""
    with plain_errors():
        from agent.hub import catalog

        chosen = names or [e.name for e in catalog.ENTRIES if catalog.is_cached(e.name)]
        if not chosen:
            raise CatalogError("nothing was fetched yet: run `hippo models fetch smollm2-135m`")
        for name in chosen:
            print(f"{name}: {catalog.verify(name)} files ok")  # noqa: T201


def plug_in() -> None:
    """Add the commands that other installed packages register in group ``hippo.commands``."""
    for entry in entry_points(group="hippo.commands"):
        if entry.name in COMMANDS:
            continue
        plugin = entry.load()
        if isinstance(plugin, typer.Typer):
            app.add_typer(plugin, name=entry.name)
        else:
            app.command(entry.name)(plugin)


def main() -> None:
    """Run the command line; this is the entry point of the console script."""
    write_anywhere(sys.stdout, sys.stderr)
    plug_in()
    app()
