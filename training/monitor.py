"""Monitoring of a training: progress line, JSONL metrics, validation and early stopping."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from agent.logs.files import atomic_path, atomic_write
from training.config import Schedule
from training.errors import TrainingError

METRICS = "metrics.jsonl"
LOSSES = "loss.png"
BEST = "best.safetensors"
"""File with the weights of the best validation so far; a resumed training keeps them."""

Success = dict[str, float]
"""Share of validation episodes that were solved, by environment."""


class Validates(Protocol):
    """A function that plays validation worlds with a model in training."""

    def __call__(self, model: Any) -> Success:
        """Return the success rate in each environment."""
        ...


PROBED = 2
"""Steps after which the length of a training is foretold."""

LONG = 1800.0
"""Seconds from which on a training on a CPU is called long."""


def duration(seconds: float) -> str:
    """Return a time in words: ``"40 s"``, ``"12 min"``, ``"6.5 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Monitor(TrainerCallback):
    """A trainer callback that logs, validates, keeps the best weights and stops early.

    Args:
        folder: Folder of ``metrics.jsonl``; lines of later steps than the training resumes from are removed.
        steps: Number of steps in all.
        say: Called with each progress line.
        validate: Plays validation worlds; ``None`` for no validation.
        schedule: How often to validate, and the patience of early stopping.

    Attributes:
        held_out: The newest loss on held-out conversations, in nats per token: the mean over their packed rows;
            ``None`` if it was not measured.
        report: Called with the success in validation worlds, for the trackers of ``train.report_to``.
    """

    def __init__(
        self, folder: Path, steps: int, say: Callable[[str], None], validate: Validates | None, schedule: Schedule
    ) -> None:
        self.path = folder / METRICS
        self.steps = steps
        self.say = say
        self.validate = validate
        self.schedule = schedule
        self.loss = math.nan
        self.tokens = 0.0
        self.stopped = ""
        self.success: Success = {}
        self.held_out: float | None = None
        self.report: Callable[[dict[str, float]], None] = lambda _metrics: None
        self._best = folder / BEST
        self._best_score = -math.inf
        self._worse = 0
        self._began = time.perf_counter()
        self._from = 0
        self._recall()

    @property
    def best(self) -> dict[str, torch.Tensor] | None:
        """The weights that did best in validation worlds, if any were played."""
        weights: dict[str, torch.Tensor] | None = load_file(self._best) if self._best.is_file() else None
        return weights

    def _recall(self) -> None:
        """Restore the last losses from the metrics of a training that is resumed."""
        for line in _lines(self.path):
            self.loss = line.get("loss", self.loss)
            self.held_out = line.get("eval_loss", self.held_out)

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Remove the metrics that an interrupted training wrote after its last checkpoint."""
        self._began, self._from = time.perf_counter(), state.global_step
        kept = [line for line in _lines(self.path) if line["step"] <= state.global_step]
        for line in kept:  # in every process: otherwise one process would stop early alone
            success = {key[6:]: value for key, value in line.items() if key.startswith("valid/")}
            self._judge(success, line.get("eval_loss"), None)
        if not state.is_world_process_zero:
            return
        if not state.global_step:
            self._best.unlink(missing_ok=True)
        with atomic_write(self.path) as file:
            file.writelines(f"{json.dumps(line)}\n" for line in kept)
        if state.global_step:
            self.say(f"going on from step {state.global_step} of {self.steps}")

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Write one line of metrics.

        Raises:
            TrainingError: The loss is not finite.
        """
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        self.loss = float(logs["loss"])
        self.tokens = float(logs.get("num_tokens", 0.0))
        seconds = time.perf_counter() - self._began
        speed = self.tokens / seconds
        line = {
            "step": state.global_step,
            "loss": self.loss,
            "accuracy": logs.get("mean_token_accuracy"),
            "learning_rate": logs.get("learning_rate"),
            "grad_norm": logs.get("grad_norm"),
            "tokens": int(self.tokens),
            "tokens_per_second": round(speed, 1),
            "seconds": round(seconds, 2),
        }
        self._write(line)
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"the loss is {self.loss} at step {state.global_step}: lower train.learning_rate and train again from "
                "the last checkpoint"
            )
        done = state.global_step - self._from
        remaining = seconds / max(done, 1) * (self.steps - state.global_step)
        left = f"{duration(remaining)} left" if remaining else "done"
        accuracy = f", {line['accuracy']:.1%} of tokens right" if line["accuracy"] is not None else ""
        self.say(
            f"step {state.global_step} of {self.steps}, loss {self.loss:.4f}{accuracy}, {speed:,.0f} tokens/s, {left}"
        )

    def _foretell(self, step: int) -> None:
        """Say how long the training will take at the speed of its first steps, and what memory it takes."""
        each = (time.perf_counter() - self._began) / PROBED
        cuda = torch.cuda.is_available()
        memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if cuda else ""
        words = (
            f"{self.steps:,} steps of {self.schedule.tokens_per_step:,} tokens, {each:.1f} s each: "
            f"about {duration(each * (self.steps - step))}{memory}"
        )
        if not cuda and each * (self.steps - step) > LONG:
            words += " on this CPU; consider a GPU, fewer episodes, or train.steps="
        self.say(words)

    def on_step_end(self, _args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Say after two steps how long it will take; validate after every ``validate_every`` steps and at the end."""
        if state.global_step == self._from + PROBED and state.is_world_process_zero and self.steps > state.global_step:
            self._foretell(state.global_step)
        period = self.schedule.validate_every
        if self.validate is None or (state.global_step % period and state.global_step != self.steps):
            return
        success = self._shared(self.validate(model) if state.is_world_process_zero else {})
        self.report({f"eval_success_{env}": share for env, share in success.items()})
        if state.is_world_process_zero:
            self._tell(success, state.global_step)
        self._judge(success, None, model if state.is_world_process_zero else None)
        self._stop(control, period)

    def on_evaluate(
        self, _args: Any, state: Any, control: Any, metrics: Mapping[str, float], model: Any = None, **_: Any
    ) -> None:
        """Write the loss on held-out conversations; if no worlds are played, it decides which weights are best."""
        self.held_out = loss = float(metrics["eval_loss"])
        accuracy = metrics.get("eval_mean_token_accuracy")
        if state.is_world_process_zero:
            self._write({"step": state.global_step, "eval_loss": loss, "eval_accuracy": accuracy})
            right = f", {accuracy:.1%} of tokens right" if accuracy is not None else ""
            self.say(f"step {state.global_step}, loss {loss:.4f}{right} on held-out conversations")
        self._judge({}, loss, model if state.is_world_process_zero else None)
        self._stop(control, self.schedule.eval_every)

    def _stop(self, control: Any, period: int) -> None:
        """Stop early after as many validations without a better one as patience says."""
        if self._worse >= self.schedule.patience:
            self.stopped = f"no better validation for {self._worse} times {period} steps"
            control.should_training_stop = True

    @staticmethod
    def _shared(successes: Success) -> Success:
        """Return the result of the first process in all processes."""
        if not torch.distributed.is_initialized():
            return successes
        objects = [successes]
        torch.distributed.broadcast_object_list(objects)
        return objects[0]

    def _tell(self, successes: Success, step: int) -> None:
        self._write({"step": step, **{f"valid/{env}": share for env, share in successes.items()}})
        self.say(", ".join(f"{env} {share:.0%}" for env, share in successes.items()) + " of validation episodes solved")

    def _judge(self, successes: Success, loss: float | None, model: Any) -> None:
        """Keep the weights if this validation is the best so far; else count it as worse.

        Worlds that are played decide; without any, the loss does.
        """
        if successes:
            score = sum(successes.values()) / len(successes)
        elif loss is not None and self.validate is None:
            score = -loss if math.isfinite(loss) else -math.inf
        else:
            return
        if score < self._best_score or score == self._best_score < 1.0:  # a tie at 1.0: the later has less
            self._worse += 1
            return
        self.success, self._best_score, self._worse = successes, score, 0
        if model is not None:
            from peft import get_peft_model_state_dict

            weights = get_peft_model_state_dict(model)
            with atomic_path(self._best) as part:
                save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, part)

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    data = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in data[: data.rfind("\n") + 1].splitlines()]


def draw_losses(metrics: Path, picture: Path) -> None:
    """Draw the loss, that on held-out conversations, and the success in validation worlds over the steps."""
    from matplotlib.figure import Figure

    lines = _lines(metrics)
    losses = [line for line in lines if "loss" in line]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([line["step"] for line in losses], [line["loss"] for line in losses], color="#35618f", label="loss")
    axes.set(xlabel="step", ylabel="loss (nats a token)", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    held = [line for line in lines if "eval_loss" in line]
    if held:
        steps, values = [line["step"] for line in held], [line["eval_loss"] for line in held]
        axes.plot(steps, values, color="#c4622d", marker="o", markersize=3, label="held out")
        axes.legend(frameon=False, fontsize=8)
    played = [line for line in lines if any(key.startswith("valid/") for key in line)]
    if played:
        success_axes = axes.twinx()
        success_axes.set(ylim=(0, 1.02), ylabel="validation episodes solved")
        success_axes.spines["top"].set_visible(False)
        for name in sorted({key for line in played for key in line if key.startswith("valid/")}):
            points = [(line["step"], line[name]) for line in played if name in line]
            success_axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name.removeprefix("valid/"))
        success_axes.legend(frameon=False, fontsize=8, loc="center right")
    figure.savefig(picture, dpi=130)
