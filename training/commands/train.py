"""``hippo train``: trains an adapter on logged episodes."""

import os
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from agent.commands.console import Json, emit, plain_errors

MAIN = os.environ.get("RANK", "0") == "0"
"""Whether this is the first of several processes, the only one that prints."""


def say(words: str) -> None:
    """Show a line of progress: on a terminal it replaces the last one, elsewhere it gets a line of its own."""
    if not MAIN:
        return
    end = "\033[K\r" if sys.stderr.isatty() else "\n"
    print(words, end=end, file=sys.stderr, flush=True)  # noqa: T201


def train(
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value: overrides configs/train.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Train an adapter on logged episodes and data sets; the same command resumes a training that was interrupted.

    \b
    hippo train name=mine 'data.runs=\\[runs/2026-11-22/skills]'
    hippo train name=mine 'data.runs=\\[runs/2026-11-22/skills]' dry_run=true
    hippo train name=desk 'data.runs=\\[desk.jsonl,runs/2026-11-22/skills]' data.eval_share=0.1
    hippo train name=big model=llama32-3b train=gpu12gb lora=all_linear 'data.runs=\\[runs]'
    """  # noqa: D301
    with plain_errors(*_errors()):
        from training.config import load_train

        config = load_train(overrides or [])
        import torch

        from training.qlora import train as trained

        try:
            done = trained(config, say)
        except KeyboardInterrupt:
            say(f"hint: the same command goes on from the last checkpoint, of every {config.train.save_every} steps")
            raise
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if not MAIN:
            return
        if config.prepare_only:
            print(f"{done.folder}: train with data.prepared={done.folder}")  # noqa: T201
            return
        if as_json:
            emit({**asdict(done), "folder": str(done.folder)})
            return
        held = f" ({done.held_out_loss:.4f} on held-out conversations)" if done.held_out_loss is not None else ""
        stopped = f"; stopped: {done.stopped}" if done.stopped else ""
        from agent.hub import adapters
        from training.monitor import duration

        sources = adapters.card(done.folder).get("sources", [])
        env = next((source[4:] for source in sources if source.startswith("env:")), "")
        play = f"hippo run env={env or '...'} model={config.model.name} model.adapter={done.folder}"
        then = f"play worlds that it never met: {play} seed=1000000"
        if not env:
            then = f"play with it: {play}; or take it elsewhere: hippo export {done.folder} merged"
        if config.dry_run:
            hours = duration(done.whole / max(done.tokens_per_second, 1e-9))
            then = (
                f"a dry run: this adapter has learnt nothing. The whole training is {done.whole:,} tokens, at this "
                f"speed {hours}; leave out dry_run=true"
            )
        print(  # noqa: T201
            f"{done.folder}: {done.steps} steps, loss {done.loss:.4f}{held}, {done.tokens_per_second:,.0f} tokens/s"
            f"{stopped}"
            f"\n{then}"
        )


def _errors() -> tuple[type[Exception], ...]:
    from envs import EnvError
    from training.errors import TrainingError

    return (TrainingError, EnvError)


if __name__ == "__main__":
    typer.run(train)
