"""``hippo eval``: measure the whole."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.console import Json, emit, plain_errors
from envs import EnvError

app = typer.Typer(no_args_is_help=True, help="Evaluation: retrieval over documents.")


@app.callback()
def group() -> None:
    """Evaluation."""


@app.command()
def retrieval(
    kind: Annotated[str, typer.Option("--format", help="hotpotqa, 2wiki, musique or locomo.")],
    data: Annotated[Path, typer.Option(help="Folder with questions.json and corpus.json; for locomo, locomo10.json.")],
    method: Annotated[str, typer.Option(help="bm25, dense, graph, dual or all; several with commas.")] = "all",
    limit: Annotated[int, typer.Option(min=0, help="Only the first questions of each corpus; 0 for all.")] = 0,
    as_json: Json = False,
) -> None:
    """Recall of the passages that answer questions together."""
    with plain_errors(EnvError):
        from envs.corpora import load
        from eval.retrieval import METHODS, evaluate, first, summary

        chosen = METHODS if method == "all" else tuple(method.split(","))
        if unknown := [name for name in chosen if name not in METHODS]:
            raise EnvError(f"unknown method {unknown[0]!r}: expected all, or some of {', '.join(METHODS)}")
        corpora = [first(corpus, limit) for corpus in load(kind, data)]
        documents = sum(len(corpus.documents) for corpus in corpora)
        questions = sum(len(corpus.questions) for corpus in corpora)
        with Progress(console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, Any] = {}

            def advance(step: str, count: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(step, total=documents if step in ("bm25", "reading") else questions)
                bar.advance(tasks[step], count)

            figures = summary(kind, corpora, evaluate(corpora, chosen, progress=advance))
        _show(figures)
        if as_json:
            emit(figures)


def _show(figures: dict[str, Any]) -> None:
    table = Table(
        "method", "recall@2", "recall@5", "95 %", "recall@10", "all@5", "index s", "query ms",
        title=f"{figures['format']}: {figures['n']} questions, {figures['passages']} passages", box=None,
    )  # fmt: skip
    for name, one in figures["methods"].items():
        low, high = one["ci95@5"]
        table.add_row(
            name, f"{one['recall@2']:.3f}", f"{one['recall@5']:.3f}", f"{low:.3f} to {high:.3f}",
            f"{one['recall@10']:.3f}", f"{one['all@5']:.3f}",
            f"{one['index_s']:.1f}", f"{one['query_ms_p50']:.1f}",
        )  # fmt: skip
    Console().print(table)
    for name, one in figures["methods"].items():
        if gap := one.get("dual_minus_this@5"):
            low, high = gap["ci95"]
