"""Training with a loss on conversations that are not learnt, and reports to a tracker."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from agent.hub import adapters
from tests.training.conftest import settings, silent
from training.card import words
from training.errors import TrainConfigError
from training.loading import load_model
from training.monitor import BEST, METRICS, Monitor
from training.qlora import train

pytestmark = pytest.mark.model


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.slow
def test_the_loss_on_what_is_not_learnt(
    tiny: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its figures stand in metrics, card, picture and TensorBoard; the weights with the least of it are kept."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    asked = ("data.eval_share=0.3", "train.steps=6", "train.eval_every=2", "train.report_to=[tensorboard]")
    said: list[str] = []
    done = train(settings(tiny, runs, tmp_path, *asked), said.append)
    assert "the loss is measured on" in said[0]
    held = {line["step"]: line["eval_loss"] for line in metrics(done.folder) if "eval_loss" in line}
    assert list(held) == [2, 4, 6]
    assert held[6] < held[2] < 11.0
    assert done.held_out_loss == held[6]
    card = adapters.card(done.folder)
    assert card["held_out_loss"] == held[6]
    assert f"Loss {held[6]:.4f} nats a token on {card['data']['held_out']['episodes']} conversations" in words(card)
    assert (done.folder / BEST).is_file()
    events = EventAccumulator(str(done.folder / "tensorboard"))
    events.Reload()
    reported = {event.step: event.value for event in events.Scalars("eval/loss")}
    assert reported == pytest.approx(held)
    assert len(events.Scalars("train/loss")) == 6


@pytest.mark.parametrize("losses", [[0.9, 0.5, 0.6, 0.5], [0.9, 0.5, math.nan, 0.7]])
def test_it_stops_where_the_loss_on_others_rises(tmp_path: Path, tiny: Path, runs: Path, losses: list[float]) -> None:
    """The weights of the least loss are kept, in a training that is resumed as well."""
    schedule = settings(tiny, runs, tmp_path, "train.eval_every=1", "train.patience=2").train
    model = load_model(settings(tiny, runs, tmp_path), torch.device("cpu"))
    monitor, control = Monitor(tmp_path, 99, silent, None, schedule), TrainerControl()
    for step, loss in enumerate(losses, start=1):
        if step == 3:
            monitor = Monitor(tmp_path, 99, silent, None, schedule)
            monitor.on_train_begin(None, TrainerState(global_step=2), control)
        for name, weight in model.named_parameters():
            if "lora_A" in name:
                weight.data.fill_(step)
        monitor.on_evaluate(None, TrainerState(global_step=step), control, {"eval_loss": loss}, model=model)
        assert control.should_training_stop == (step == 4)
    assert monitor.stopped == "no better validation for 2 times 1 steps"
    assert monitor.best is not None
    assert {float(w.mean()) for name, w in monitor.best.items() if "lora_A" in name} == {2.0}


def test_what_can_not_be_measured_is_refused(tiny: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainConfigError, match="give one"):
        train(settings(tiny, runs, tmp_path, "data.eval_share=0.3", f"data.eval_runs=[{runs}]"), silent)
    with pytest.raises(TrainConfigError, match=r"'tensorbord': .*tensorboard"):
        train(settings(tiny, runs, tmp_path, "train.report_to=[tensorbord]"), silent)
    with pytest.raises(TrainConfigError, match="pip install neptune"):
        train(settings(tiny, runs, tmp_path, "train.report_to=[neptune]"), silent)
    assert not (tmp_path / "made").exists()
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ
