"""``hippo eval``: runs evaluations, writes reports, and compares evaluations."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from agent.commands.console import Json, emit, plain_errors
from envs import EnvError
from eval.errors import EvalError
from memory.nearest import did_you_mean


class _Settings(typer.core.TyperGroup):
    """The command group; ``hippo eval suite=courier`` is short for ``hippo eval run suite=courier``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; if the first word is a setting, the command is ``run``."""
        return super().resolve_command(ctx, ["run", *args] if "=" in args[0] else args)


app = typer.Typer(cls=_Settings, no_args_is_help=True, help="Evaluation: suites, arms, one report.")


@app.callback()
def group() -> None:
    """Measure whether each memory makes a small model better, by how much and at what cost.

    hippo eval suite=courier n=100 processes=2

    hippo eval report runs/eval/NAME
    """


@app.command()
def run(
    overrides: Annotated[list[str], typer.Argument(help="key=value: suite, arms, n, model, processes, name ...")],
    as_json: Json = False,
) -> None:
    r"""Let the arms of a suite play the same worlds; the same name= resumes an interrupted evaluation.

    hippo eval suite=hei_nw n=50 arms=\[model,model_no_memory,memory_swapped] processes=2

    hippo eval suite=custom env=gym:kitchen.py:Kitchen-v0 arms=\[random_calls,./my_arm.yaml]

    hippo eval suite=retrieval data=FOLDER format=musique
    """
    with plain_errors(EnvError, EvalError):
        from eval.suites import load_suite, parse

        config = parse(overrides)
        if load_suite(config.suite, config.env).retrieval:
            from eval.retrieval_arms import evaluate_retrieval_arms

            summary = evaluate_retrieval_arms(config)
        else:
            from eval.harness import Evaluation
            from eval.summary import finish

            evaluation = Evaluation(config, _say)
            with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
                task = bar.add_task("episodes", total=None)
                try:
                    played = evaluation.run(lambda done, every: bar.update(task, completed=done, total=every))
                except KeyboardInterrupt:
                    _say(f"stopped; the same command with name={evaluation.folder.name} goes on where it was")
                    raise
            summary = finish(evaluation, played)
        from eval.harness import settings_of
        from eval.tables import arms_tables, checks_table
        from eval.verdict import verdicts

        console = Console(stderr=as_json)
        for words in verdicts(summary, settings_of(Path(summary["folder"]))["config"]["arms"]):
            console.print(words, style="bold", highlight=False)
        for table in arms_tables(summary):
            console.print(table)
        console.print(checks_table(summary))
        console.print(f"hippo eval episodes {summary['folder']}", highlight=False)
        console.print(f"hippo eval report {summary['folder']}", highlight=False)
        if as_json:
            emit(summary)
        if not summary["ok"]:
            raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of evaluations, made by `hippo eval`.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.md and pictures.")] = Path("runs/report"),
    growth: Annotated[Path | None, typer.Option(help="Output file of `python -m eval.bench.growth --json`.")] = None,
    as_json: Json = False,
) -> None:
    """Write a self-contained report.html, and the same report in Markdown with pictures."""
    with plain_errors(EvalError):
        from eval.report import write_report

        done = write_report(runs, out, growth)
        print(f"{done.html}\n{done.markdown}", file=sys.stderr if as_json else sys.stdout)
        for problem in done.problems:
            print(f"error: {problem}", file=sys.stderr)  # noqa: T201
        if as_json:
            emit({"html": str(done.html), "markdown": str(done.markdown), "problems": done.problems})
        if done.problems:
            raise typer.Exit(1)


@app.command()
def episodes(
    run: Annotated[Path, typer.Argument(help="Folder of an evaluation, made by `hippo eval`.")],
    arm: Annotated[str | None, typer.Option(help="Only this arm.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only episodes that were not solved.")] = False,
    as_json: Json = False,
) -> None:
    """List the episodes behind the scores, each with its log for `hippo episodes show`."""
    with plain_errors(EvalError):
        from eval.summary import read_run

        summary, records = read_run(run)
        if arm is not None and arm not in summary["arms"]:
            raise EvalError(f"no arm {arm!r} in {run}: {did_you_mean(arm, summary['arms'])}")
        wanted = [row for row in records if arm in (None, row["arm"]) and not (failed and row["success"])]
        rows = [{key: row[key] for key in _EPISODE} | {"log": str((run / row["log"]).parent)} for row in wanted]
        if as_json:
            emit({"episodes": rows})
            return
        for row in rows:
            told = "solved" if row["success"] else row["ending"]
            print(f"{row['arm']}, {row['task']}, seed {row['seed']}: {told}, {row['steps']} steps. {row['mission']}")  # noqa: T201
            print(f"  {row['log']}")  # noqa: T201


_EPISODE = ("arm", "task", "seed", "world", "kind", "success", "ending", "steps", "mission")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of an evaluation, made by `hippo eval`.")],
    b: Annotated[Path, typer.Argument(help="Folder of another evaluation of the same suite and worlds.")],
    as_json: Json = False,
) -> None:
    """Compare the arms of two evaluations, paired by episode."""
    with plain_errors(EvalError):
        from eval.compare import compare as compared
        from eval.tables import compare_table

        comparison = compared(a, b)
        Console(stderr=as_json).print(compare_table(comparison))
        for note in comparison["notes"]:
            print(f"note: {note}", file=sys.stderr)  # noqa: T201
        if as_json:
            emit(comparison)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201


@app.command()
def retrieval(
    kind: Annotated[str, typer.Option("--format", help="hotpotqa, 2wiki, musique or locomo.")],
    data: Annotated[Path, typer.Option(help="Folder with questions.json and corpus.json; for locomo, locomo10.json.")],
    method: Annotated[str, typer.Option(help="bm25, dense, graph, dual or all; separate several by commas.")] = "all",
    limit: Annotated[int, typer.Option(min=0, help="Only the first questions of each corpus; 0 for all.")] = 0,
    as_json: Json = False,
) -> None:
    """Measure how well methods find the passages that answer questions."""
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
        "method",
        "recall@2",
        "recall@5",
        "95 %",
        "recall@10",
        "all@5",
        "index s",
        "query ms",
        title=f"{figures['format']}: {figures['n']} questions, {figures['passages']} passages",
        box=None,
    )
    for name, scores in figures["methods"].items():
        low, high = scores["ci95@5"]
        table.add_row(
            name,
            f"{scores['recall@2']:.3f}",
            f"{scores['recall@5']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{scores['recall@10']:.3f}",
            f"{scores['all@5']:.3f}",
            f"{scores['index_s']:.1f}",
            f"{scores['query_ms_p50']:.1f}",
        )
    Console().print(table)
    for name, scores in figures["methods"].items():
        if gap := scores.get("dual_minus_this@5"):
            low, high = gap["ci95"]
            print(f"recall@5 of dual minus {name}: {gap['diff']:+.3f} (95 % {low:+.3f} to {high:+.3f})")  # noqa: T201


if __name__ == "__main__":
    app()
