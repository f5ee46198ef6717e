"""Training of LoRA weights on logged episodes: TRL's trainer over PEFT, optionally in NF4 (QLoRA, arXiv:2305.14314).

hippo collect env=babyai_mixed window=true episodes=2000 name=skills
hippo train name=mine 'data.runs=[runs/2026-11-22/skills]'
"""

import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from agent.config import load_collect
from agent.errors import LogError
from agent.hub import adapters, catalog
from agent.logs.files import atomic_path, atomic_write
from agent.logs.resume import changed_settings, flat_settings
from agent.models.weights import precision
from agent.models.window import Window
from training.card import Trained, write_card
from training.config import TrainConfig, plain
from training.errors import TrainConfigError
from training.examples import Source
from training.loading import load_model, load_tokenizer, probe, score_learnt_tokens
from training.monitor import LOSSES, METRICS, Monitor, draw_losses
from training.row_files import check_runs
from training.tokenized import Prepared, prepare, summary
from training.trackers import check_trackers, reports_in
from training.validation import Validator

CHECKPOINTS = "checkpoints"
CONFIG = "train.json"
DRY_STEPS = 2
RESUMABLE_KEYS = {
    "out", "dry_run", "prepare_only", "data.workers", "train.workers", "train.save_every", "train.patience",
    "train.report_to", "model.device",
}  # fmt: skip
"""Settings that may change when a training is resumed."""

LARGE = 1_000_000_000
"""Number of parameters above which training on a CPU is refused."""


def train(config: TrainConfig, say: Callable[[str], None] = print) -> Trained:
    """Train an adapter, or resume an interrupted training of the same name.

    Args:
        config: Settings.
        say: Called with each progress line.

    Raises:
        TrainConfigError: The settings can't be trained with; nothing was changed.
        LogError: There are no logs, or some are damaged.
        CatalogError: The model or the adapter does not exist.
    """
    device = _device(config)
    for env in config.data.validate_in:
        load_collect([f"env={env}"])
    check_trackers(config.train.report_to)
    if config.data.eval_runs and config.data.eval_share:
        raise TrainConfigError("data.eval_runs and data.eval_share both say what the loss is measured on: give one")
    if config.data.validate_in and not config.train.validate_every:
        raise TrainConfigError("data.validate names worlds, and none is played: add train.validate_every=200")
    with PartialState(cpu=device.type == "cpu").main_process_first():
        fresh = not config.folder.exists()
        folder = _claim(config)
    try:
        with reports_in(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a flag of an old name
            return _train(config, folder, device, say)
    except (TrainConfigError, LogError):
        if fresh and _checkpoint(folder) is None and not (folder / METRICS).is_file():
            shutil.rmtree(folder, ignore_errors=True)  # a refused training leaves nothing
        raise


def _train(config: TrainConfig, folder: Path, device: torch.device, say: Callable[[str], None]) -> Trained:
    tokenizer = load_tokenizer(config)
    window = Window(config.model.seq_len, config.model.max_call_tokens)
    path = catalog.resolve(config.model.name)
    with PartialState(cpu=device.type == "cpu").main_process_first():
        source = Source(str(path), window, config.data)
        prepared = prepare(source, folder / "data", config.seed, began=_began(folder))
    if config.prepare_only:
        say(summary(prepared.card))
        return Trained(folder / "data", 0, math.nan, 0.0, 0.0, 0, "", {})
    if prepared.card["seq_len"] != config.model.seq_len:
        raise TrainConfigError(
            f"the data set was made for windows of {prepared.card['seq_len']} tokens, and model.seq_len is "
            f"{config.model.seq_len}: set the same"
        )
    model = load_model(config, device)
    settings = _arguments(config, prepared, device)
    done = _done(folder, settings.max_steps)
    if done is not None and not config.dry_run:
        return done
    validator = None
    if config.train.validate_every and not config.dry_run:
        data = config.data.model_copy(update={"without": prepared.card["without"]})
        validator = Validator(config.model_copy(update={"data": data}), tokenizer)
    monitor = Monitor(folder, settings.max_steps, say, validator, config.train)
    trainer = _trainer(model, tokenizer, settings, prepared, monitor)
    probe(trainer, config)
    if trainer.is_world_process_zero() and _checkpoint(folder) is None:
        say(summary(prepared.card))
    began = time.perf_counter()
    checkpoint = _checkpoint(folder)
    if checkpoint is not None and _step(checkpoint) >= settings.max_steps:
        _take(trainer, checkpoint)  # it was interrupted after its last step, before the adapter was saved
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - began
    result = Trained(
        folder,
        trainer.state.global_step,
        monitor.loss,
        seconds,
        monitor.tokens / max(seconds, 1e-9),
        torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
        monitor.stopped,
        monitor.success,
        _whole(config, prepared),
        monitor.held_out,
    )
    if not trainer.is_world_process_zero():
        return result
    _save(trainer.model, monitor.best, folder, config)
    draw_losses(folder / METRICS, folder / LOSSES)
    write_card(folder, config, prepared.card, result, device)
    return result


def _whole(config: TrainConfig, prepared: Prepared) -> int:
    """Return the tokens of the whole training, whatever part of it a dry run does."""
    schedule, rows = config.train, len(prepared.rows)
    each = schedule.tokens_per_step
    return each * schedule.steps if schedule.steps else round(schedule.epochs * rows * config.model.seq_len)


def _device(config: TrainConfig) -> torch.device:
    wanted = config.model.device
    if config.dry_run:
        wanted = "cpu"
    elif wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise TrainConfigError(f"model.device={wanted} is no device: use auto, cpu or cuda") from error
    if config.model.adapter:
        raise TrainConfigError(f"model.adapter={config.model.adapter} is for playing: train on from it with adapter=")
    if device == torch.device("cuda"):
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainConfigError(f"model.device={wanted}, and torch finds no GPU: leave it away, or use model.device=cpu")
    size = sum(file.stat().st_size for file in catalog.resolve(config.model.name).glob("*.safetensors"))
    if device.type == "cpu" and size > 2 * LARGE and not config.dry_run:
        raise TrainConfigError(
            f"{config.model.name} ({size / 1e9:.1f} GB) needs a GPU to be trained, and torch finds none: use a smaller "
            "model, or dry_run=true for two steps"
        )
    return device


def _claim(config: TrainConfig) -> Path:
    """Create the adapter's folder, or check that it holds a training with the same settings; return it.

    Raises:
        TrainConfigError: The folder holds another training.
    """
    if config.data.prepared is None:
        check_runs(config.data.runs)
        if config.data.eval_runs:
            check_runs(config.data.eval_runs)
    folder = config.folder
    if folder.parent.exists() and not folder.parent.is_dir():
        raise TrainConfigError(f"out={folder.parent} is a file: name a folder")
    settings = plain(config)
    if (folder / CONFIG).is_file():
        before, now = flat_settings(json.loads((folder / CONFIG).read_text())), flat_settings(settings)
        other = sorted(changed_settings(before, dict.fromkeys(before) | now, RESUMABLE_KEYS))
        if other and _began(folder):
            raise TrainConfigError(
                f"{folder} is a training with another {', '.join(other)}: choose another name=, or the same settings "
                "to go on with it"
            )
    elif any(folder.glob("*")) if folder.is_dir() else False:
        raise TrainConfigError(f"{folder} holds something else: choose another name=")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainConfigError(f"out={folder.parent} can't be made: {error.strerror}; name another folder") from error
    with atomic_write(folder / CONFIG) as file:
        json.dump(settings, file, indent=1)
    return folder


def _began(folder: Path) -> bool:
    """Return whether a training has left a checkpoint or an adapter that another one must not replace."""
    card = adapters.card(folder) if (folder / adapters.WEIGHTS).is_file() else {}
    return _checkpoint(folder) is not None or (bool(card) and not card.get("dry_run"))


def _arguments(config: TrainConfig, prepared: Prepared, device: torch.device) -> Any:
    from trl import SFTConfig

    schedule = config.train
    batch = 1 if config.dry_run else schedule.batch
    processes = PartialState().num_processes
    least = batch * config.model.seq_len * processes
    if schedule.tokens_per_step < least and not config.dry_run:
        raise TrainConfigError(
            f"train.tokens_per_step={schedule.tokens_per_step} is less than one batch, {least} tokens ({batch} rows of "
            f"{config.model.seq_len} in each of {processes} processes): lower train.batch, or raise it"
        )
    accumulation = 1 if config.dry_run else round(schedule.tokens_per_step / least)
    if len(prepared.rows) < batch * processes:
        raise TrainConfigError(
            f"{len(prepared.rows)} packed rows are less than one batch ({batch} in each of {processes} processes): "
            "lower train.batch, or collect more episodes"
        )
    epoch_steps = max(1, len(prepared.rows) // (batch * accumulation * processes))
    steps = DRY_STEPS if config.dry_run else schedule.steps or max(1, round(schedule.epochs * epoch_steps))
    arguments = SFTConfig(
        output_dir=str(config.folder / CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=schedule.scheduler,
        warmup_steps=round(schedule.warmup * steps),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        activation_checkpointing=schedule.checkpointing,
        max_length=config.model.seq_len,
        packing=True,
        packing_strategy="bfd",
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=precision(config.model.dtype, device) == torch.bfloat16,
        optim="adamw_torch_fused" if device.type == "cuda" else "adamw_torch",
        use_cpu=device.type == "cpu",
        seed=config.seed,
        data_seed=config.seed,
        logging_steps=1 if config.dry_run else min(schedule.log_every, steps),
        save_strategy="no" if config.dry_run else "steps",
        save_steps=schedule.save_every,
        save_total_limit=2,
        eval_strategy="no" if config.dry_run or prepared.held_out is None else "steps",
        eval_steps=schedule.eval_every,
        per_device_eval_batch_size=1,
        dataloader_num_workers=schedule.workers,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        report_to=[] if config.dry_run else schedule.report_to,
        run_name=config.name,
        disable_tqdm=True,
        log_level="error",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are used through torchrun, with one process for each
    return arguments


def _trainer(model: Any, tokenizer: Any, settings: Any, prepared: Prepared, monitor: Monitor) -> Any:
    from trl import SFTTrainer

    score_learnt_tokens()
    trainer = SFTTrainer(
        model=model, args=settings, train_dataset=prepared.rows,
        eval_dataset=prepared.held_out if settings.eval_strategy != "no" else None,
        processing_class=tokenizer, callbacks=[monitor],
    )  # fmt: skip
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    monitor.report = trainer.log
    return trainer


def _done(folder: Path, steps: int) -> Trained | None:
    """Return the outcome of a training that is finished, else ``None``; its adapter and card are left as they are."""
    card = adapters.card(folder) if (folder / adapters.WEIGHTS).is_file() else {}
    if not card or card.get("dry_run") or (card["steps"] < steps and not card["stopped"]):
        return None
    return Trained(
        folder,
        card["steps"],
        card["loss"],
        card["seconds"],
        card["tokens_per_second"],
        card["peak_memory"],
        card["stopped"],
        card["validation"],
        held_out_loss=card.get("held_out_loss"),
    )


def _checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint."""
    checkpoints = (path.parent for path in (folder / CHECKPOINTS).glob("checkpoint-*/trainer_state.json"))
    return max(checkpoints, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _take(trainer: Any, checkpoint: Path) -> None:
    """Load the weights of a checkpoint at which the training is finished."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(trainer.model, load_file(checkpoint / adapters.WEIGHTS))
    trainer.state.global_step = _step(checkpoint)


def _save(model: Any, best: dict[str, torch.Tensor] | None, folder: Path, config: TrainConfig) -> None:
    """Write the adapter in bfloat16, completely or not at all."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = best or get_peft_model_state_dict(model)
    half = {name: tensor.detach().to(torch.bfloat16).cpu().contiguous() for name, tensor in weights.items()}
    with atomic_path(folder / adapters.WEIGHTS) as part:
        save_file(half, part, {"format": "pt"})
        part.chmod((folder / CONFIG).stat().st_mode)  # the library writes for the owner alone
    lora = model.peft_config["default"].to_dict() | {"base_model_name_or_path": config.model.name, "revision": None}
    settings = {key: sorted(value) if isinstance(value, set) else value for key, value in lora.items()}
    settings["inference_mode"] = True
    with atomic_write(folder / adapters.SETTINGS) as file:
        json.dump(settings, file, indent=1, default=str)
