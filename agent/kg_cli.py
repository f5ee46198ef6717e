"""``hippo kg``: fill the knowledge graph from text, ask it, look at it, take it elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from agent.console import Json, emit, plain_errors
from agent.memory_cli import DryRun, Folder, opened, say, seconds
from memory import InvalidItemError, Memory, Provenance
from memory.reading import BATCH, Passage, Reader
from memory.relational import Fact, FoundFact, RuleExtractor, TemplateExtractor, Tuple
from memory.relational.export import export as export_graph
from memory.rows import chunks

app = typer.Typer(no_args_is_help=True, help="The knowledge graph: fill it from text, ask it, draw it, export it.")

Engine = Literal["rules", "templates", "lm"]


@app.command()
def load(
    folder: Folder,
    files: Annotated[list[Path], typer.Argument(help=".txt or .md (a passage a paragraph), .jsonl (text or tuples).")],
    source: Annotated[str, typer.Option(help="Who says so.")] = "",
    engine: Annotated[Engine, typer.Option(help="What finds the facts.")] = "rules",
    conf_min: Annotated[float, typer.Option(min=0, max=1, help="Drop facts of less confidence.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Read text into the memory, made if missing: passages, the facts in them, and links between them.

    Lines of .jsonl are {"text": ..., "title": ...} or {"head": ..., "relation": ..., "tail": ..., "time": ...}.
    """
    with plain_errors():
        items = [(file, list(_items(file, source or str(file)))) for file in files]
        with Memory.open(folder) as memory:
            reader = Reader(memory.episodic, memory.relational, memory.retriever.mentions, _engine(engine), conf_min)
            counts = {"passages": 0, "facts": 0}
            with Progress(console=Console(stderr=True), transient=True) as bar:
                for file, found in items:
                    task = bar.add_task(file.name, total=len(found))
                    for batch in chunks(found, BATCH):
                        passages = [item for item in batch if isinstance(item, Passage)]
                        tuples = [item for item in batch if isinstance(item, Tuple)]
                        readings = reader.read_many(passages)
                        told = memory.relational.upsert(tuples)
                        counts["passages"] += len(passages)
                        counts["facts"] += len(told) + sum(len(reading.facts) for reading in readings)
                        bar.advance(task, len(batch))
            memory.retriever.mentions.sync()
            say({**counts, "entities": len(memory.relational.entities()), "holding": len(memory.relational)}, as_json)


def _items(file: Path, source: str) -> Iterator[Passage | Tuple]:
    if not file.is_file():
        raise InvalidItemError(f"there is no file {file}")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidItemError(f"{file} is not UTF-8 text: {error}") from error
    if file.suffix != ".jsonl":
        for number, part in enumerate(p.strip() for p in text.split("\n\n") if p.strip()):
            yield Passage(part, "", Provenance(source, doc_id=f"{file.name}#{number}"))
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield _item(line, f"{file}:{number}", source)


def _item(line: str, where: str, source: str) -> Passage | Tuple:
    try:
        data = json.loads(line)
        document = str(data.get("doc_id", data.get("title", where)))
        span = "" if "text" in data else str(data.get("text_span", ""))
        origin = Provenance(str(data.get("source", source)), document, span)
        if "time" in data:
            origin = replace(origin, time=float(data["time"]))
        if "text" in data:
            return Passage(str(data["text"]), str(data.get("title", "")), origin)
        return Tuple(data["head"], data["relation"], data["tail"], origin, conf=float(data.get("conf", 1.0)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InvalidItemError):
            raise
        raise InvalidItemError(
            f'{where}: expected {{"text": ...}} or {{"head": ..., "relation": ..., "tail": ...}}, got {line[:80]!r}'
        ) from error


def _engine(name: Engine) -> Any:
    if name == "lm":
        from agent.extraction import ModelExtractor

        return ModelExtractor()
    return RuleExtractor() if name == "rules" else TemplateExtractor()


@app.command()
def ask(
    folder: Folder,
    question: Annotated[str, typer.Argument(help="Names entities, or says what is wanted.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 5,
    at: Annotated[str | None, typer.Option(help="What held then: seconds or ISO 8601.")] = None,
    passages: Annotated[bool, typer.Option("--passages", help="Evidence from what was read, not facts.")] = False,
    as_json: Json = False,
) -> None:
    """Facts that answer a question, each with its sources and the way to it."""
    with opened(folder) as memory:
        if passages:
            _passages(memory, question, k, as_json)
            return
        moment = seconds(at)
        if moment is not None:
            found = [FoundFact(fact, 0.0, (), ()) for fact in memory.relational.ask(question, k, at=moment)]
        else:
            found = list(memory.relational.retrieve(question, k).facts)
        rows = [_told(item) for item in found]
        if as_json:
            emit({"question": question, "facts": rows})
            return
        _table(rows)


def _passages(memory: Memory, question: str, k: int, as_json: bool) -> None:
    found = [
        {
            "trace": item.trace.id,
            "text": item.trace.key,
            "path": list(item.path),
            "facts": [str(fact) for fact in item.facts],
            "sources": sorted({origin.source for origin in item.trace.provenance}),
        }
        for item in memory.retrieve(question, k)
    ]
    if as_json:
        emit({"question": question, "passages": found})
        return
    console = Console()
    for item in found:
        console.print(f"[bold]{item['trace']}[/bold] {escape(str(item['text']))}", highlight=False)
        console.print(f"   [dim]{escape(' → '.join(map(str, item['path'])))}[/dim]", highlight=False)  # type: ignore[call-overload]


def _told(item: FoundFact) -> dict[str, Any]:
    origin = item.sources[0] if item.sources else None
    return {
        **_plain(item.fact),
        "path": [str(step) for step in item.path],
        "source": origin.source if origin else "",
        "doc_id": origin.doc_id if origin else "",
        "span": origin.text_span if origin else "",
    }


def _plain(fact: Fact) -> dict[str, Any]:
    return {
        "id": fact.id, "head": fact.head, "relation": fact.relation, "tail": fact.tail, "conf": fact.conf,
        "valid_from": fact.valid_from, "valid_to": fact.valid_to, "strength": fact.strength,
    }  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        Console().print("nothing is known of that")
        return
    table = Table("id", "fact", "said by", "words", box=None)
    for row in rows:
        way = "".join(f"\n[dim]  by {escape(step)}[/dim]" for step in row.get("path", ()))
        fact = escape(f"{row['head']} {row['relation'].replace('_', ' ')} {row['tail']}")
        table.add_row(
            str(row["id"]), fact + way, escape(str(row.get("source", ""))), escape(str(row.get("span", ""))[:80])
        )
    Console().print(table)


@app.command()
def path(
    folder: Folder,
    one: Annotated[str, typer.Argument(help="An entity.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    as_json: Json = False,
) -> None:
    """The fewest facts that lead from one entity to another."""
    with opened(folder) as memory:
        facts = memory.relational.path(one, other)
        if as_json:
            emit({"path": [_plain(fact) for fact in facts]})
        elif not facts:
            print(f"no way leads from {one} to {other}")  # noqa: T201
        else:
            _table([_plain(fact) for fact in facts])


@app.command()
def show(
    folder: Folder,
    entity: Annotated[str, typer.Argument(help="An entity or a question.")],
    k: Annotated[int, typer.Option("-k", help="How many facts.")] = 20,
    picture: Annotated[Path | None, typer.Option(help="Draw it: a .png or .svg file.")] = None,
    history: Annotated[str, typer.Option(help="All that was ever told of this relation instead.")] = "",
    as_json: Json = False,
) -> None:
    """What is known around an entity, and a picture of it."""
    with opened(folder) as memory:
        if history:
            rows = [_plain(fact) for fact in memory.relational.history(entity, history)]
        else:
            found = memory.relational.retrieve(entity, k)
            rows = [_told(item) for item in found.facts]
            if picture is not None:
                from agent.graph_picture import draw

                draw(found.graph, found.seeds, picture, entity)
        names = memory.relational.aliases.names(entity.lower())
        if as_json:
            emit({"entity": entity, "names": names, "facts": rows, "picture": str(picture) if picture else None})
            return
        _table(rows)
        if picture is not None and not history:
            print(f"drawn in {picture}")  # noqa: T201


@app.command()
def contradictions(folder: Folder, as_json: Json = False) -> None:
    """Facts that can't both be so."""
    with opened(folder) as memory:
        found = memory.relational.contradictions()
        rows = [
            {"entity": c.entity, "relation": c.relation, "reason": c.reason, "facts": [_plain(f) for f in c.facts]}
            for c in found
        ]
        if as_json:
            emit({"contradictions": rows})
            return
        table = Table("reason", "fact", "against", box=None)
        for one in found:
            table.add_row(one.reason, *(escape(f"{fact.id}: {fact}") for fact in one.facts))
        Console().print(table if found else "no contradictions")


@app.command()
def resolve(
    folder: Folder,
    least: Annotated[float, typer.Option(min=0, max=1, help="Least cosine of two names.")] = 0.6,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Merge names that are spelled alike and mean the same; `unmerge` undoes one."""
    with opened(folder) as memory:
        found = memory.relational.resolve(least, dry_run=dry_run)
        merged = [{"id": a.id, "alias": a.alias, "entity": a.entity, "score": round(a.score, 3)} for a in found]
        say({"dry_run": dry_run, "merged": merged}, as_json)


@app.command()
def merge(
    folder: Folder,
    alias: Annotated[str, typer.Argument(help="The other name.")],
    entity: Annotated[str, typer.Argument(help="The entity.")],
    as_json: Json = False,
) -> None:
    """Say that two names are one entity's."""
    with opened(folder) as memory:
        say({"id": memory.relational.merge(alias, entity), "alias": alias, "entity": entity}, as_json)


@app.command()
def unmerge(
    folder: Folder, alias_id: Annotated[int, typer.Argument(help="Number of a merge.")], as_json: Json = False
) -> None:
    """Undo a merge: what was told of either is told apart again."""
    with opened(folder) as memory:
        undone = memory.relational.unmerge(alias_id)
        say({"alias": undone.alias, "entity": undone.entity}, as_json)


@app.command()
def export(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="A .graphml or .jsonld file to write.")],
    as_json: Json = False,
) -> None:
    """Write the facts that hold now, with their sources, for other programs."""
    with opened(folder) as memory:
        say({"file": str(file), "facts": export_graph(memory.relational, file)}, as_json)
