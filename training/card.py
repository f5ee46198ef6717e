"""The card of an adapter: what it was made of, how, and how well it does."""

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import torch

from agent import adapters, catalog
from agent.files import whole
from training.config import TrainConfig, plain

README = "README.md"
PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "hippo-llm-memory")


class Outcome(Protocol):
    """What a training came to."""

    steps: int
    loss: float
    seconds: float
    tokens_per_second: float
    peak_memory: int
    stopped: str
    validation: dict[str, float]


def write_card(
    folder: Path, config: TrainConfig, data: dict[str, Any], outcome: Outcome, device: torch.device
) -> dict[str, Any]:
    """Write ``card.json`` and, for people, ``README.md``.

    Args:
        folder: The adapter's.
        config: What it was trained with.
        data: The card of the data.
        outcome: What the training came to.
        device: Where.
    """
    path = catalog.resolve(config.model.name)
    parent = adapters.resolve(config.adapter) if config.adapter else None
    card = {
        "v": 1,
        "name": config.name,
        "sha256": adapters.digest(folder),
        "base": {"name": config.model.name, "weights_sha256": adapters.weights_digest(path)},
        "parent": {"name": parent.name, "sha256": adapters.digest(parent)} if parent else None,
        "lineage": [*(adapters.card(parent).get("lineage", []) if parent else ()), data["sha256"]],
        "sources": sorted({*data["sources"], *(adapters.card(parent).get("sources", []) if parent else ())}),
        "data": {key: value for key, value in data.items() if key != "mark"},
        "settings": {key: plain(config)[key] for key in ("lora", "train", "seed")},
        "command": " ".join(["hippo", *map(shlex.quote, sys.argv[1:])]),
        "steps": outcome.steps,
        "loss": outcome.loss,
        "seconds": round(outcome.seconds, 1),
        "tokens_per_second": round(outcome.tokens_per_second, 1),
        "peak_memory": outcome.peak_memory,
        "stopped": outcome.stopped,
        "validation": outcome.validation,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "packages": {name: _version(name) for name in PACKAGES},
    }
    with whole(folder / adapters.CARD) as file:
        json.dump(card, file, indent=1)
    with whole(folder / README) as file:
        file.write(words(card))
    return card


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def words(card: dict[str, Any]) -> str:
    """A card in Markdown."""
    data = card["data"]
    taken = "\n".join(f"| {kind} | {count:,} |" for kind, count in data["taken"].items())
    left = ", ".join(f"{count:,} {why}" for why, count in data["left_out"].items()) or "none"
    parent = f", trained on from {card['parent']['name']}" if card["parent"] else ""
    solved = "".join(f"- {name}: {share:.1%}\n" for name, share in card["validation"].items())
    lora, minutes = card["settings"]["lora"], card["seconds"] / 60
    learnt, tokens = sum(data["learnt_tokens"].values()), sum(data["tokens"].values())
    return (
        f"""# {card["name"]}

A LoRA adapter for {card["base"]["name"]}{parent}: rank {lora["r"]}, alpha {lora["alpha"]}, {lora["targets"]}.
{card["steps"]:,} steps, last loss {card["loss"]:.4f} nats a token, {minutes:.1f} minutes on {card["device"]}.

```
{card["command"]}
```

## Data

{learnt:,} tokens learnt of {tokens:,}, split {data["split"]}; left out: {left}.

| episodes of | taken |
| --- | ---: |
{taken}

{"## Success in validation worlds" if solved else ""}

{solved}""".rstrip()
        + "\n"
    )
