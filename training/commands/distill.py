"""``hippo distill``: mines macros from logs, and trains an agent in rounds on its own successes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.console import Json, emit, plain_errors
from memory import Memory

app = typer.Typer(no_args_is_help=True, help="Distillation: solved episodes become macros and training rows.")


@app.callback()
def group() -> None:
    """Distil logged episodes into macros, rows and adapters."""


@app.command()
def clone(
    folder: Annotated[Path, typer.Argument(help="Folder of the memory whose library takes the macros.")],
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs or episodes, or events.jsonl files.")],
    rows: Annotated[Path, typer.Option(help="JSONL file of training rows to write.")] = Path("rows.jsonl"),
    most: Annotated[int, typer.Option(min=1, max=64, help="The greatest number of macros to mine.")] = 16,
    as_json: Json = False,
) -> None:
    """Turn solved episodes into macro candidates and into rows of `messages` and `tools`."""
    with plain_errors():
        from training.cloning import clone as cloned

        with Memory.open(folder) as memory:
            done = cloned(runs, memory, rows, most)
        result = {
            **asdict(done.counts),
            "macros": [macro.name for macro in done.macros],
            "file": str(rows),
        }
        if as_json:
            emit(result)
            return
        names = ", ".join(macro.name for macro in done.macros)
        print(f"{done.counts.rows} rows of {done.counts.episodes} episodes in {rows}; macros: {names}")  # noqa: T201


@app.command()
def macros(
    folder: Annotated[Path, typer.Argument(help="Folder of the memory whose library takes the macros.")],
    runs: Annotated[list[Path], typer.Argument(help="Runs of one task: folders or events.jsonl files.")],
    env: Annotated[str, typer.Option(help="Environment to test and play macros in, as for `hippo run env=`.")],
    trials: Annotated[int, typer.Option(min=20, help="Fresh worlds that each macro is tested in.")] = 40,
    episodes: Annotated[int, typer.Option(min=0, help="Train worlds to play with the accepted macros.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the logs of those episodes.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Mine macros, test and accept them; then log episodes that call them, as data for `hippo train`."""
    from envs import EnvError

    with plain_errors(EnvError):
        from training.commands.train import say
        from training.distill import distill

        done = distill(folder, runs, env, trials, episodes, out, say)
        if as_json:
            emit({**asdict(done), "runs": str(done.runs) if done.runs else None})
            return
        print(f"{len(done.accepted)} accepted: {', '.join(done.accepted) or 'none'}")  # noqa: T201
        if done.runs and done.collected:
            print(  # noqa: T201
                f"{done.collected['episodes']} episodes in {done.runs}, {done.collected['success']:.0%} solved, "
                f"a macro called in {done.called:.0%}"
            )


@app.command()
def improve(
    overrides: Annotated[list[str], typer.Argument(help="key=value settings of `hippo train`; adapter= and name=.")],
    env: Annotated[
        list[str] | None,
        typer.Option(help="A task, as for `hippo run env=`; repeatable. By default the adapter's tasks."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in all, earlier ones included.")] = 2,
    worlds: Annotated[int, typer.Option(min=1, help="Worlds of each task that a round plays.")] = 32,
    validate: Annotated[int, typer.Option(min=1, help="Validation episodes of each task.")] = 64,
    replayed: Annotated[int, typer.Option(min=1, help="Episodes that a round trains on.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Worlds that are played side by side.")] = 16,
    processes: Annotated[int, typer.Option(min=1, help="Processes that play at the same time.")] = 1,
    tolerance: Annotated[float, typer.Option(min=0, help="Greatest drop of success that is accepted.")] = 0.02,
    as_json: Json = False,
) -> None:
    r"""Run rounds of self-improvement: play, keep the successes, replay them with old ones, train, compare.

    If a round lowers the success on a task by more than the tolerance, compared with the first adapter, the round is
    recorded but its adapter is not used. Old episodes, such as the expert's, come from data.runs=\[...].

    hippo distill improve name=better adapter=hippo-135m train.steps=40
    """
    from envs import EnvError
    from training.errors import TrainingError

    with plain_errors(TrainingError, EnvError):
        from training.commands.train import say
        from training.config import load_train
        from training.improve import ImproveConfig, Improver, tasks_of
        from training.qlora import train

        config = load_train(overrides)
        envs = env or (tasks_of(config.adapter) if config.adapter else [])
        loop = ImproveConfig(envs, worlds, validate, replayed, batch, tolerance, processes=processes)
        done = Improver(config, loop, lambda settings: train(settings, say), say).run(rounds)
        if as_json:
            emit(done)
            return
        for record in done:
            taken = "taken" if record["taken"] else f"not taken, it lowers {', '.join(record['worse'])}"
            print(f"round {record['round']}: {record['adapter']}, {taken}")  # noqa: T201


if __name__ == "__main__":
    app()
