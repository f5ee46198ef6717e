"""``hippo memory``: look into a memory, check it, copy and move it, forget and undo that."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from agent.hub import adapters
from memory import DamagedError, Embedder, InvalidItemError, Memory, NotAMemoryError, UnknownItemError
from memory.embedding import by_name, recorded
from memory.relational import Routing
from memory.tables import Row, table_names
from memory.zones import parse_time

app = typer.Typer(no_args_is_help=True, help="A memory: look into it, forget, undo, copy, check, move.")

Folder = Annotated[Path, typer.Argument(help="The memory's folder.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Memory]:
    """Open an existing memory, and show errors as one line."""
    with plain_errors():
        if not (folder / "memory.db").is_file():
            raise NotAMemoryError(f"there is no memory in {folder}: expected the file memory.db in it")
        with Memory.open(folder, **settings) as memory:
            yield memory


def say(result: dict[str, Any], as_json: bool) -> None:
    """Print a mapping as lines, or as JSON."""
    if as_json:
        emit(result)
        return
    for name, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{v} {k}" for k, v in value.items()) or "none"
        elif isinstance(value, list):
            value = "".join(f"\n  {item}" for item in value) or "none"
        print(f"{name:<12} {value}")  # noqa: T201


def _embedder_of(file: Path) -> Embedder | None:
    """Return the embedder that an export was written with, if the export names it."""
    with file.open("rb") as lines:
        try:
            name = json.loads(lines.readline())["embedder"]
        except (ValueError, KeyError, TypeError):
            return None
    return recorded(name) if name else None


def _row(text: str) -> Row:
    """Parse the name of a row, such as ``traces:12``; ``12`` alone means a trace."""
    table, _, number = text.rpartition(":")
    table = table or "traces"
    if table not in table_names() or not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise InvalidItemError(f"expected TABLE:ID with a table of {', '.join(table_names())}, got {text!r}")
    return table, int(number)


def seconds(text: str | None) -> float | None:
    """Parse seconds since the epoch, or a date and time in ISO 8601 (UTC if it has no zone)."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_time(text).timestamp()
    except InvalidItemError as error:
        raise InvalidItemError(f"expected seconds or a time such as 2026-11-22T10:00, got {text!r}") from error


@app.command()
def stats(folder: Folder, as_json: Json = False) -> None:
    """Show how much the memory holds, where that came from, and how much disk space it takes."""
    with opened(folder) as memory:
        db = memory.store.db
        sources = db.execute("SELECT source, count(*) FROM provenance GROUP BY source ORDER BY 2 DESC LIMIT 20")
        trained = db.execute("SELECT trained_on, nprobe FROM coarse").fetchone()
        files = [path for path in folder.rglob("*") if path.is_file()]
        say(
            {
                **memory.stats(),
                "pinned": db.execute("SELECT count(*) FROM traces WHERE pinned").fetchone()[0],
                "schema": memory.store.version,
                "embedder": memory.embedder.name,
                "index": f"{trained[1]} lists probed, trained on {trained[0]}" if trained else "exact",
                "bytes": sum(path.stat().st_size for path in files),
                "sources": dict(sources.fetchall()),
                "replayed": memory.episodic.replay.draws,
                "snapshots": memory.snapshots.names(),
                "forgettings": len(memory.operations()),
            },
            as_json,
        )


@app.command()
def search(
    folder: Folder,
    cue: Annotated[str, typer.Argument(help="Words to search for; leave out to search by slots.")] = "",
    k: Annotated[int, typer.Option("-k", help="Greatest number of traces.")] = 5,
    who: Annotated[str, typer.Option(help="Value of the slot who.")] = "",
    what: Annotated[str, typer.Option(help="Value of the slot what.")] = "",
    where: Annotated[str, typer.Option(help="Value of the slot where.")] = "",
    when: Annotated[str, typer.Option(help="Value of the slot when.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Show what is nearest, even if it is no answer.")] = False,
    as_json: Json = False,
) -> None:
    """Recall traces by words, or by slots. A question whose answer is not there finds nothing."""
    with opened(folder) as memory:
        slots = {
            name: v for name, v in zip(("who", "what", "where", "when"), (who, what, where, when), strict=True) if v
        }
        if cue and slots:
            raise InvalidItemError("give words or slots, not both")
        find = memory.episodic.recall if every else memory.episodic.answers
        hits = find(slots or cue, k)  # type: ignore[arg-type]
        if as_json:
            emit({"cue": slots or cue, "hits": [asdict(hit) for hit in hits]})
            return
        table = Table("id", "score", "text", "slots", "told by", box=None)
        for hit in hits:
            sources = ", ".join(dict.fromkeys(origin.source for origin in hit.trace.provenance))
            filled = ", ".join(f"{n}: {v}" for n, v in hit.trace.entity_slots.items() if v)
            table.add_row(str(hit.trace.id), f"{hit.score:.3f}", escape(hit.trace.key), escape(filled), escape(sources))
        nothing = (
            "nothing remembered that answers it; --all shows what is nearest"
            if len(memory.episodic)
            else "nothing remembered yet"
        )
        Console().print(table if hits else nothing)


@app.command()
def show(
    folder: Folder,
    row: Annotated[str, typer.Argument(help="A trace's id, or TABLE:ID as in facts:3.")],
    as_json: Json = False,
) -> None:
    """Show one row of any store, its origins, the rows that it was derived from and those derived from it."""
    with opened(folder) as memory:
        table, number = _row(row)
        details = memory.inspect((table, number))
        if details is None:
            raise UnknownItemError(f"no row of {table} has id {number}")
        say(details, as_json)


@app.command()
def forget(
    folder: Folder,
    source: Annotated[str | None, typer.Option(help="Exact source.")] = None,
    doc: Annotated[str | None, typer.Option(help="Exact document or episode.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: seconds or ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="A row such as traces:12; may be repeated.")] = None,
    trained: Annotated[Path, typer.Option("--adapters", help="Folder of your adapters.")] = Path("runs/adapters"),
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove what came from a source, document or time, and all that was derived from it; `undo` brings it back.

    Trained weights can't forget: the adapters that were trained on a source are listed, with the command that trains
    them again without it.
    """
    with opened(folder) as memory:
        rows = [_row(text) for text in row or ()]
        result = memory.forget(
            source=source, doc_id=doc, since=seconds(since), until=seconds(until), rows=rows, dry_run=dry_run
        )
        report = asdict(result)
        if dry_run:
            del report["operation"], report["snapshot"]
        affected = adapters.trained_on(source, trained) if source else []
        say({"dry_run": dry_run, **report, **({"adapters": affected} if affected else {})}, as_json)


@app.command()
def undo(
    folder: Folder,
    operation: Annotated[int | None, typer.Argument(help="Number of a forget operation; the last by default.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bring back what a forget operation removed; what was written since then stays."""
    with opened(folder) as memory:
        say({"dry_run": dry_run, **asdict(memory.undo(operation, dry_run=dry_run))}, as_json)


@app.command()
def snapshot(
    folder: Folder,
    reason: Annotated[str, typer.Option(help="A note for later.")] = "",
    show_all: Annotated[bool, typer.Option("--list", help="List the existing snapshots instead.")] = False,
    as_json: Json = False,
) -> None:
    """Copy the whole memory."""
    with opened(folder) as memory:
        if not show_all:
            say(asdict(memory.snapshot(reason)), as_json)
            return
        snapshots = []
        for name in memory.snapshots.names():
            try:
                snapshots.append(memory.snapshots.read(name))
            except DamagedError as error:
                print(f"warning: {error}", file=sys.stderr)  # noqa: T201
        if as_json:
            emit([asdict(item) for item in snapshots])
            return
        table = Table("name", "traces", "bytes", "reason", box=None)
        for item in snapshots:
            table.add_row(item.name, str(item.rows["traces"]), str(item.bytes), escape(item.reason))
        Console().print(table if snapshots else "no snapshots yet")


@app.command()
def restore(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="Name of a snapshot.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Restore everything from a snapshot; a snapshot of the present state is taken first."""
    with opened(folder) as memory:
        chosen = memory.snapshots.check(name)
        before = None if dry_run else memory.restore(name)
        say(
            {
                "dry_run": dry_run,
                "restored": name,
                "created": chosen.created,
                "rows": chosen.rows,
                "before": before.name if before else "",
            },
            as_json,
        )


@app.command()
def verify(
    folder: Folder,
    repair: Annotated[
        bool, typer.Option("--repair", help="Embed all traces anew and rebuild the indexes first.")
    ] = False,
    embedder: Annotated[str, typer.Option(help="For --repair: minilm or hashing; else the memory's own.")] = "",
    as_json: Json = False,
) -> None:
    """Check the memory for anything that is wrong; exit with code 1 if something is."""
    with plain_errors():
        if embedder and not repair:
            raise InvalidItemError("--embedder is for --repair: another embedder needs all traces embedded anew")
        chosen = by_name(embedder) if embedder else None
    with opened(folder, reembed=repair, embedder=chosen) as memory:
        report = memory.verify()
    say({"ok": report.ok, "checked": report.checked, "problems": report.problems}, as_json)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def export(
    folder: Folder, file: Annotated[Path, typer.Argument(help="JSONL file to write.")], as_json: Json = False
) -> None:
    """Write everything to one JSONL file."""
    with opened(folder) as memory:
        say({"file": str(file), "rows": memory.export(file)}, as_json)


@app.command("import")
def import_(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="JSONL file of `hippo memory export`.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import an export, also into a new memory; rows that are there already are strengthened, not doubled."""
    with plain_errors():
        if file.is_file() and not dry_run:
            folder.mkdir(parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                Memory.open(folder, _embedder_of(file)).close()
    with opened(folder) as memory:
        say({"dry_run": dry_run, **asdict(memory.import_(file, dry_run=dry_run))}, as_json)


@app.command()
def replay(
    folder: Folder,
    size: Annotated[int, typer.Option(min=1, help="Traces in a batch.")] = 32,
    batches: Annotated[int, typer.Option(min=1, help="How many batches.")] = 1,
    as_json: Json = False,
) -> None:
    """Replay traces offline: facts that were read in them count as told once more, and may become consolidated."""
    with opened(folder, routing=Routing(enabled=True)) as memory:
        before = {fact.id for fact in memory.relational.pending()}
        traces = [item.key_id for _ in range(batches) for item in memory.replay(size)]
        still = {fact.id for fact in memory.relational.pending()}
        facts = memory.relational.read_in(traces)
        say({"traces": len(traces), "facts": len(facts), "consolidated": len(before - still)}, as_json)


@app.command("train-completion")
def train_completion(
    folder: Folder,
    epochs: Annotated[int, typer.Option(min=1, help="Greatest number of passes over the traces.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed.")] = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train the network that completes partial cues on this memory's traces."""
    with opened(folder) as memory:
        from memory.episodic.completion import CompletionConfig, train

        card = train(
            memory.store,
            memory.embedder,
            CompletionConfig(epochs=epochs, seed=seed),
            lambda line: print(line, file=sys.stderr),  # noqa: T201
            dry_run,
        )
        say({"dry_run": dry_run, **card}, as_json)
