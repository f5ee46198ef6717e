"""Experiment trackers that a training reports to, beside its own ``metrics.jsonl``."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from memory.nearest import did_you_mean
from training.errors import TrainConfigError


def check_trackers(names: Sequence[str]) -> None:
    """Check that trackers are known and installed.

    Raises:
        TrainConfigError: One is neither.
    """
    if not names:
        return
    from transformers.integrations import integration_utils

    known = sorted(integration_utils.INTEGRATION_TO_CALLBACK)
    for name in names:
        if name not in known:
            raise TrainConfigError(f"no tracker is called {name!r}: {did_you_mean(name, known)}")
        if name not in integration_utils.get_available_reporting_integrations():
            raise TrainConfigError(f"train.report_to={name} needs its package: pip install {name}")


@contextmanager
def reports_in(folder: Path) -> Iterator[None]:
    """Let trackers that write files write below the adapter's folder, unless the user has said where."""
    usual = {
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard"), "WANDB_DIR": str(folder), "WANDB_PROJECT": "hippo",
    }  # fmt: skip
    mine = {name: value for name, value in usual.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)
