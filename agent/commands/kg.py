"""``hippo kg``: fill the knowledge graph from text, ask it, draw it, export it."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from agent.commands.kg_files import items_of
from agent.commands.memory import (
    DryRun,
    Folder,
    opened,
    say,
    seconds,
)
from memory import InvalidItemError, Memory, provenance
from memory.reading import BATCH, Passage, Reader
from memory.relational import Fact, FoundFact, RuleExtractor, TemplateExtractor, Tuple
from memory.relational.export import export as export_graph
from memory.relational.language.tense import PLAN_END
from memory.relational.names import SAME_AS, normalise, relation_name
from memory.rows import chunks

app = typer.Typer(no_args_is_help=True, help="The knowledge graph: fill it from text, ask it, draw it, export it.")

Engine = Literal["rules", "templates", "lm", "both"]


@app.command()
def load(
    folder: Folder,
    files: Annotated[list[Path], typer.Argument(help=".txt or .md (by paragraph), .jsonl (text or tuples).")],
    source: Annotated[str, typer.Option(help="Source of the text; by default the file.")] = "",
    engine: Annotated[
        Engine, typer.Option(help="What finds the facts: rules over a parse, templates, lm (the 135 M model), or both.")
    ] = "rules",
    conf_min: Annotated[float, typer.Option(min=0, max=1, help="Drop facts with less confidence.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Read text into the memory: passages, the facts in them, and links between them. A missing memory is created.

    Lines of .jsonl are {"text": ..., "title": ..., "speaker": ...} or {"head": ..., "relation": ..., "tail": ...,
    "conf": 0.9, "text_span": ...}; both may have "source", "doc_id" and "time" (seconds or ISO 8601; its zone is that
    of "yesterday" in the text). "I" is the speaker. Files are checked whole before anything is written; when
    interrupted, what was read so far stays, and reading it again only strengthens it.
    """
    with plain_errors():
        items = [(file, list(items_of(file, source or str(file)))) for file in files]  # check all before writing any
        with Memory.open(folder) as memory:
            reader = Reader(memory.episodic, memory.relational, memory.retriever.mentions, _engine(engine), conf_min)
            counts = {"passages": 0, "facts": 0}
            with Progress(console=Console(stderr=True), transient=True) as bar:
                for file, file_items in items:
                    task = bar.add_task(file.name, total=len(file_items))
                    for batch in chunks(file_items, BATCH):
                        passages = [item for item in batch if isinstance(item, Passage)]
                        tuples = [item for item in batch if isinstance(item, Tuple) and item.conf >= conf_min]
                        readings = reader.read_many(passages)
                        fact_ids = memory.relational.upsert(tuples)
                        counts["passages"] += len(passages)
                        counts["facts"] += len(fact_ids) + sum(len(reading.facts) for reading in readings)
                        bar.advance(task, len(batch))
            memory.retriever.mentions.sync()
            if twice := sorted({conflict.entity for conflict in memory.relational.namesakes()}):
                names = f"{', '.join(twice[:5])}{' ...' if len(twice) > 5 else ''}"
                hint = (
                    f"hint: may be two of one name: {names}; see `hippo kg contradictions`, join with `hippo kg merge`"
                )
                print(hint, file=sys.stderr)  # noqa: T201
            say({**counts, "entities": len(memory.relational.entities()), "holding": len(memory.relational)}, as_json)


def _engine(name: Engine) -> Any:
    if name == "lm":
        from agent.extraction import ModelExtractor

        return ModelExtractor()
    if name == "both":
        from agent.extraction import JointExtractor

        return JointExtractor()
    return RuleExtractor() if name == "rules" else TemplateExtractor()


@app.command()
def ask(
    folder: Folder,
    question: Annotated[str, typer.Argument(help="A question that names entities, or says what is wanted.")],
    k: Annotated[int, typer.Option("-k", help="Greatest number of answers.")] = 5,
    at: Annotated[
        str | None,
        typer.Option(help="Only facts that held at this time: seconds or ISO 8601; a fact holds from its own time on."),
    ] = None,
    passages: Annotated[bool, typer.Option("--passages", help="Show passages that were read, not facts.")] = False,
    as_json: Json = False,
) -> None:
    """Find the facts that answer a question, each with its sources and the path that led to it."""
    with opened(folder) as memory:
        moment = seconds(at)
        if passages:
            if moment is not None:
                raise InvalidItemError("--at is for facts: leave out --passages")
            _passages(memory, question, k, as_json)
            return
        if moment is not None:
            facts = _sourced(memory, memory.relational.ask(question, k, at=moment))
        else:
            plans = _sourced(memory, memory.relational.planned(question, k))
            facts = [*memory.relational.retrieve(question, k).facts, *plans]
        rows = [_told(item) for item in facts]
        if as_json:
            emit({"question": question, "facts": rows})
            return
        _table(rows)


def _passages(memory: Memory, question: str, k: int, as_json: bool) -> None:
    passages = [
        {
            "trace": item.trace.id,
            "text": item.trace.key,
            "path": list(item.path),
            "facts": memory.relational.sentences(item.facts),
            "sources": sorted({origin.source for origin in item.trace.provenance}),
        }
        for item in (memory.retrieve(question, k) if memory.episodic.answers(question, 5) else ())
    ]
    if as_json:
        emit({"question": question, "passages": passages})
        return
    console = Console()
    if not passages:
        console.print("nothing was read that answers it" if len(memory.episodic) else "nothing was read yet")
    for item in passages:
        console.print(f"[bold]{item['trace']}[/bold] {escape(str(item['text']))}", highlight=False)
        console.print(f"   [dim]{escape(' → '.join(map(str, item['path'])))}[/dim]", highlight=False)  # type: ignore[call-overload]


def _sourced(memory: Memory, facts: Sequence[Fact]) -> list[FoundFact]:
    """Return facts with the sources that told them."""
    sources = provenance.of_many(memory.store.db, "facts", [fact.id for fact in facts])
    return [FoundFact(fact, 0.0, (), sources.get(fact.id, ())) for fact in facts]


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
        "id": fact.id,
        "head": fact.head,
        "relation": fact.relation,
        "tail": fact.tail,
        "conf": fact.conf,
        "valid_from": fact.valid_from,
        "valid_to": fact.valid_to,
        "strength": fact.strength,
    }


def _day(time: float | None) -> str:
    if time is None:
        return "now"
    if time >= PLAN_END:
        return "planned"
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{time:g}"


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        Console().print("nothing is known of that")
        return
    ended = any(row["valid_to"] is not None for row in rows)
    table = Table("id", "fact", *(["from", "to"] if ended else []), "said by", "words", box=None)
    for row in rows:
        way = "".join(f"\n[dim]  by {escape(step)}[/dim]" for step in row.get("path", ()))
        fact = escape(f"{row['head']} {row['relation'].replace('_', ' ')} {row['tail']}")
        times = [_day(row["valid_from"]), _day(row["valid_to"])] if ended else []
        table.add_row(
            str(row["id"]),
            fact + way,
            *times,
            escape(str(row.get("source", ""))),
            escape(str(row.get("span", ""))[:80]),
        )
    Console().print(table)


@app.command()
def path(
    folder: Folder,
    one: Annotated[str, typer.Argument(help="The first entity.")],
    other: Annotated[str, typer.Argument(help="The second entity.")],
    as_json: Json = False,
) -> None:
    """Find the shortest chain of facts from one entity to another."""
    with opened(folder) as memory:
        facts = memory.relational.path(one, other)
        rows = [_told(item) for item in _sourced(memory, facts)]
        if as_json:
            emit({"path": rows})
        elif not facts:
            print(f"no way leads from {one} to {other}")  # noqa: T201
        else:
            _table(rows)


@app.command()
def show(
    folder: Folder,
    entity: Annotated[str, typer.Argument(help="An entity or a question.")],
    k: Annotated[int, typer.Option("-k", help="How many facts.")] = 20,
    picture: Annotated[Path | None, typer.Option(help="Draw the facts into this .png or .svg file.")] = None,
    history: Annotated[str, typer.Option(help="Show instead everything that was ever told of this relation.")] = "",
    as_json: Json = False,
) -> None:
    """Show what is known around an entity, and draw a picture of it if asked for."""
    with opened(folder) as memory:
        if history:
            if picture is not None:
                raise InvalidItemError("--picture draws what holds now: leave out --history")
            relation = relation_name(history)
            facts = memory.relational.history(entity, SAME_AS.get(relation, relation))
            rows = [_told(item) for item in _sourced(memory, facts)]
        else:
            subgraph = memory.relational.retrieve(entity, k)
            rows = [_told(item) for item in subgraph.facts]
            if picture is not None:
                from agent.pictures.graph_picture import draw

                draw(subgraph.graph, subgraph.seeds, picture, entity)
        names = memory.relational.aliases.names(normalise(entity))
        if as_json:
            emit({"entity": entity, "names": names, "facts": rows, "picture": str(picture) if picture else None})
            return
        _table(rows)
        if picture is not None and not history:
            print(f"drawn in {picture}")  # noqa: T201


@app.command()
def contradictions(folder: Folder, as_json: Json = False) -> None:
    """List facts that can't both be true, of relations that allow one tail.

    These are lives_in, located_in, is_at, owned_by and works_at.
    """
    with opened(folder) as memory:
        conflicts = memory.relational.contradictions()
        rows = [
            {"entity": c.entity, "relation": c.relation, "reason": c.reason, "facts": [_plain(f) for f in c.facts]}
            for c in conflicts
        ]
        if as_json:
            emit({"contradictions": rows})
            return
        table = Table("reason", "fact", "against", box=None)
        for conflict in conflicts:
            table.add_row(conflict.reason, *(escape(f"{fact.id}: {fact}") for fact in conflict.facts))
        Console().print(table if conflicts else "no contradictions")


@app.command()
def resolve(
    folder: Folder,
    least: Annotated[float, typer.Option(min=0, max=1, help="Least cosine similarity of two names.")] = 0.6,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Merge names that are spelled alike and mean the same; `unmerge` undoes one."""
    with opened(folder) as memory:
        joined = memory.relational.resolve(least, dry_run=dry_run)
        merged = [{"id": a.id, "alias": a.alias, "entity": a.entity, "score": round(a.score, 3)} for a in joined]
        say({"dry_run": dry_run, "merged": merged}, as_json)


@app.command()
def aliases(folder: Folder, as_json: Json = False) -> None:
    """List the names that stand for others, with their numbers for `unmerge`."""
    with opened(folder) as memory:
        known_aliases = memory.relational.aliases.all()
        if as_json:
            emit({"aliases": [asdict(alias) for alias in known_aliases]})
            return
        table = Table("id", "name", "stands for", "found by", box=None)
        for row in known_aliases:
            table.add_row(str(row.id), escape(row.alias), escape(row.entity), row.method)
        Console().print(table if known_aliases else "no names are joined")


@app.command()
def merge(
    folder: Folder,
    alias: Annotated[str, typer.Argument(help="The other name.")],
    entity: Annotated[str, typer.Argument(help="The entity.")],
    as_json: Json = False,
) -> None:
    """Say that two names stand for the same entity."""
    with opened(folder) as memory:
        say({"id": memory.relational.merge(alias, entity), "alias": alias, "entity": entity}, as_json)


@app.command()
def unmerge(
    folder: Folder,
    alias_id: Annotated[int, typer.Argument(help="Number of a merge, as `aliases` lists it.")],
    as_json: Json = False,
) -> None:
    """Undo a merge: the facts of the two names are kept apart again."""
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
