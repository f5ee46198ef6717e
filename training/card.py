"""The model card of an adapter: base model, data, command and results."""

import json
import shlex
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from agent.hub import adapters, catalog
from agent.logs.files import atomic_write
from training.config import TrainConfig, plain

README = "README.md"
PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "hippo-llm-memory")


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of a training.

    Attributes:
        folder: Folder of the adapter.
        steps: Optimiser steps, including those before an interruption.
        loss: Loss of the last logged step, in nats per token.
        seconds: Wall-clock time of this run.
        tokens_per_second: Speed of this run.
        peak_memory: Greatest memory allocated on the GPU in bytes; 0 without one.
        stopped: Why the training stopped early; empty if it did not.
        validation: Success rate of the best validation so far, by environment.
        whole: Tokens of the whole training as it is set, padding included.
        held_out_loss: Newest loss on held-out conversations in nats per token; ``None`` if it was not measured.
    """

    folder: Path
    steps: int
    loss: float
    seconds: float
    tokens_per_second: float
    peak_memory: int
    stopped: str
    validation: dict[str, float]
    whole: int = 0
    held_out_loss: float | None = None


def write_card(
    folder: Path, config: TrainConfig, data: dict[str, Any], outcome: Trained, device: torch.device
) -> dict[str, Any]:
    """Write ``card.json`` and, for human readers, ``README.md``; return the card.

    Args:
        folder: Folder of the adapter.
        config: Settings of the training.
        data: The card of the data set.
        outcome: The outcome of the training.
        device: The device that it was trained on.
    """
    path = catalog.resolve(config.model.name)
    parent = adapters.resolve(config.adapter) if config.adapter else None
    card = {
        "v": 1,
        "name": config.name,
        "sha256": adapters.digest(folder),
        "base": {"name": config.model.name, "weights_sha256": adapters.weights_digest(path)},
        "parent": _parent(parent) if parent else None,
        "lineage": [*(adapters.card(parent).get("lineage", []) if parent else ()), data["sha256"]],
        "sources": sorted({*data["sources"], *(adapters.card(parent).get("sources", []) if parent else ())}),
        "runs": sorted({*data["runs"], *(_runs(adapters.card(parent)) if parent else ())}),
        "data": {key: value for key, value in data.items() if key != "mark"},
        "settings": {key: plain(config)[key] for key in ("train", "seed")} | {"lora": _lora(config, parent)},
        "command": " ".join(["hippo", *map(shlex.quote, _words(sys.argv))]),
        "steps": outcome.steps,
        "loss": outcome.loss,
        "held_out_loss": outcome.held_out_loss,
        "seconds": round(outcome.seconds, 1),
        "tokens_per_second": round(outcome.tokens_per_second, 1),
        "peak_memory": outcome.peak_memory,
        "stopped": outcome.stopped,
        "dry_run": config.dry_run,
        "validation": outcome.validation,
        "device": _hardware(device),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    with atomic_write(folder / adapters.CARD) as file:
        json.dump(card, file, indent=1)
    with atomic_write(folder / README) as file:
        file.write(words(card))
    return card


def _hardware(device: torch.device) -> str:
    """Return the name of the hardware that was trained on; every process uses one device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    count = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    return f"{count} x {name}" if count > 1 else name


def _lora(config: TrainConfig, parent: Path | None) -> dict[str, Any]:
    """Return the LoRA settings of the adapter; those of its parent if the training went on from one."""
    if parent is None:
        lora: dict[str, Any] = plain(config)["lora"]
        return lora
    shape = adapters.settings(parent)
    targets = adapters.card(parent).get("settings", {}).get("lora", {}).get("targets", "of its parent")
    return {"r": shape["r"], "alpha": shape["lora_alpha"], "dropout": shape["lora_dropout"], "targets": targets}


def _runs(card: dict[str, Any]) -> list[str]:
    """Return the runs that an adapter or its parents were trained on."""
    return [*card.get("runs", ()), *card.get("data", {}).get("runs", ())]


def _parent(folder: Path) -> dict[str, Any]:
    """Describe the adapter that the training went on from, with the command that made it."""
    return {"name": folder.name, "sha256": adapters.digest(folder), "command": adapters.card(folder).get("command")}


def _words(argv: list[str]) -> list[str]:
    """Return the words of the command; a module that was started by itself is named as ``hippo`` names it."""
    if argv[1:2] in (["train"], ["distill"]):
        return argv[1:]
    return ["distill" if Path(argv[0]).name == "distill.py" else "train", *argv[1:]]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def words(card: dict[str, Any]) -> str:
    """Render a card in Markdown."""
    data = card["data"]
    table_rows = "\n".join(f"| {kind} | {count:,} |" for kind, count in data["taken"].items())
    left_out = ", ".join(f"{count:,} {why}" for why, count in data["left_out"].items()) or "none"
    parent = f", trained on from {card['parent']['name']}" if card["parent"] else ""
    solved = "".join(f"- {name}: {share:.1%}\n" for name, share in card["validation"].items())
    lora, minutes = card["settings"]["lora"], card["seconds"] / 60
    learnt, tokens = sum(data["learnt_tokens"].values()), sum(data["tokens"].values())
    loss, held = card.get("held_out_loss"), data.get("held_out")
    others = f" on {held['episodes']:,} conversations that were not learnt" if held else " on texts not learnt"
    held_out = f"Loss {loss:.4f} nats a token{others}.\n" if loss is not None else ""
    return (
        f"""# {card["name"]}

A LoRA adapter for {card["base"]["name"]}{parent}: rank {lora["r"]}, alpha {lora["alpha"]}, {lora["targets"]}.
{card["steps"]:,} steps, last loss {card["loss"]:.4f} nats a token, {minutes:.1f} minutes on {card["device"]}.
{held_out}
```
{card["command"]}
```

## Data

{learnt:,} tokens learnt of {tokens:,}, split {data["split"]}; left out: {left_out}.

| conversations of | taken |
| --- | ---: |
{table_rows}

{"## Success in validation worlds" if solved else ""}

{solved}""".rstrip()
        + "\n"
    )
