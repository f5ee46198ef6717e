"""Train the adapter that reads facts from messages: LoRA on annotated texts.

::

    python -m training.reader prepare training/data/messages.jsonl rows.pt
    python -m training.reader train rows.pt ~/.cache/hippo/smollm2-135m hippo-reader
    python -m training.reader card training/data/messages.jsonl hippo-reader

The second command wants a GPU, and needs only torch, transformers and peft: on a host with them, this file runs alone.

Each line of the data is ``{"text", "speaker", "facts": [{"is", "head", "relation", "tail"}]}``; ``is`` is one of now,
was, will and over. Every text is repeated with other names in the place of its own, so that names are copied, not
remembered.
"""

import argparse
import json
import math
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Row = tuple[list[int], list[int]]
"""Tokens of a chat, and 1 for each that the model is trained to produce."""

COPIES, EPOCHS, RATE, TOKENS = 5, 3, 5e-4, 16_384
"""Copies of a text with other names; passes over the data; greatest learning rate; tokens of a batch."""

LOG = "train.json"
HELD_OUT = 150
"""Number of texts kept aside to measure the loss."""

LORA = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.1,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "task_type": "CAUSAL_LM",
}

_NO_NAMES = frozenset(
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "I",
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
    ]
)
_PLACED = re.compile(r"lives_in|located_in|born_in|studies_in|visits|moves|stays")


# data


def read(path: Path) -> list[dict[str, Any]]:
    """Return the annotated texts of a file.

    Raises:
        ValueError: A line is no annotated text.
    """
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        item = json.loads(line)
        if not all(fact.get("is") in ("now", "was", "will", "over") for fact in item["facts"]):
            raise ValueError(f"{path}:{number}: `is` must be now, was, will or over, got {line}")
        items.append(item)
    return items


def names(item: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the names in the facts of a text: of persons and things, and of places."""
    others: set[str] = set()
    places: set[str] = set()
    shown = f"{item['text']} {item.get('speaker', '')}"
    for fact in item["facts"]:
        for end in ("head", "tail"):
            for found in re.findall(r"[^\W\d_][\w’'-]*", fact[end]):
                word = re.sub(r"['’]s$", "", found)
                if (
                    word[:1].isupper()
                    and word not in _NO_NAMES
                    and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", shown)
                ):
                    (places if end == "tail" and _PLACED.search(fact["relation"]) else others).add(word)
    return others - places, places


def renamed(item: Mapping[str, Any], pools: Sequence[Sequence[str]], rng: random.Random) -> Mapping[str, Any]:
    """Return a text with other names in the place of its own."""
    given = {name: rng.choice(pool) for own, pool in zip(names(item), pools, strict=True) for name in sorted(own)}
    if not given:
        return item
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, sorted(given, key=len, reverse=True)))})(?!\w)")

    def put(text: str) -> str:
        return pattern.sub(lambda match: given[match[1]], text)

    facts = [{**fact, "head": put(fact["head"]), "tail": put(fact["tail"])} for fact in item["facts"]]
    return {"text": put(item["text"]), "speaker": put(item.get("speaker", "")), "facts": facts}


def prepare(data: Path, out: Path, base: str = "smollm2-135m", seed: int = 0) -> dict[str, int]:
    """Write the token rows of annotated texts; returns how many there are."""
    from transformers import AutoTokenizer

    from agent.chat import Chat
    from agent.extraction import MISSION, SPEC, message, statement
    from agent.hub import catalog
    from agent.models.tokens import ChatTokens

    tokens = ChatTokens(AutoTokenizer.from_pretrained(catalog.resolve(base)))
    system = tokens.system(Chat(MISSION, [SPEC]))

    def row(item: Mapping[str, Any]) -> Row:
        asked = system + tokens.message(message(item["text"], item.get("speaker", "")))[0]
        ids, mask = tokens.learnt(statement(item["facts"]))
        return asked + ids, [0] * len(asked) + mask

    items, rng = read(data), random.Random(seed)  # noqa: S311
    rng.shuffle(items)
    kept, taught = items[:HELD_OUT], items[HELD_OUT:]
    found = [names(item) for item in taught]
    pools = [sorted({name for own in found for name in own[kind] if len(name) > 2}) for kind in (0, 1)]
    rows = [row(item) for item in taught]
    rows += [row(renamed(item, pools, rng)) for item in taught for _ in range(COPIES)]
    torch.save({"rows": rows, "held_out": [row(item) for item in kept]}, out)
    return {"texts": len(items), "rows": len(rows), "tokens": sum(len(ids) for ids, _ in rows)}


# training


def train(rows: Path, base: str, out: Path, seed: int = 0, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train LoRA weights and write them to ``out``; returns the losses, in nats per token.

    Args:
        rows: File that :func:`prepare` wrote.
        base: Folder of the model.
        out: Folder of the adapter.
        seed: Of weights, order and dropout.
        say: Called with each progress line.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = torch.load(rows, weights_only=True)
    torch.manual_seed(seed)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    files = {"gguf_file": next(Path(base).glob("*.gguf")).name} if [*Path(base).glob("*.gguf")] else {}
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, **files).to(device)
    model = get_peft_model(model, LoraConfig(**LORA))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.data = weight.data.float()
    rng = random.Random(seed)  # noqa: S311
    plan = [batch for _ in range(EPOCHS) for batch in _batches(data["rows"], rng)]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, len(plan)))
    losses, began = [], time.monotonic()
    for step, batch in enumerate(plan, start=1):
        model.train()
        total, count = _loss(model, [data["rows"][at] for at in batch], device)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        if step % max(1, len(plan) // 12) == 0 or step == len(plan):
            kept = _held_out(model, data["held_out"], device)
            losses.append({"step": step, "loss": (total / count).item(), "held_out": kept})
            say(f"step {step} of {len(plan)}, loss {(total / count).item():.4f}, held out {kept:.4f}")
    for weight in weights:
        weight.data = weight.data.to(torch.bfloat16)
    model.save_pretrained(str(out))
    device_name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    seconds = time.monotonic() - began
    found = {"steps": len(plan), "seconds": seconds, "device": device_name, **_counted(data["rows"]), "losses": losses}
    (out / LOG).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _counted(rows: Sequence[Row]) -> dict[str, int]:
    return {"tokens": sum(len(ids) for ids, _ in rows), "learnt": sum(sum(mask) for _, mask in rows)}


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (0.05 * steps + 1)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _batches(rows: Sequence[Row], rng: random.Random) -> Iterator[list[int]]:
    """Yield the rows of one pass in batches of rows of about one length."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), 1024):
        batch: list[int] = []
        for at in sorted(order[start : start + 1024], key=lambda at: len(rows[at][0])):
            if batch and (len(batch) + 1) * len(rows[at][0]) > TOKENS:
                batches.append(batch)
                batch = []
            batch.append(at)
        batches.append(batch)
    rng.shuffle(batches)
    yield from batches


def _loss(model: Any, rows: Sequence[Row], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed loss of the tokens that are learnt, and their number."""
    longest = max(len(ids) for ids, _ in rows)
    ids, there = torch.zeros(2, len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for at, (own, mask) in enumerate(rows):
        ids[at, : len(own)] = torch.tensor(own)
        there[at, : len(own)] = 1
        labels[at, : len(own)] = torch.tensor([one if learnt else -100 for one, learnt in zip(own, mask, strict=True)])
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device == "cuda"):
        logits = model(input_ids=ids.to(device), attention_mask=there.to(device)).logits[:, :-1].float()
    wanted = labels[:, 1:].reshape(-1).to(device)
    total = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted, ignore_index=-100, reduction="sum")
    return total, (wanted != -100).sum()


@torch.inference_mode()
def _held_out(model: Any, rows: Sequence[Row], device: str) -> float:
    model.eval()
    parts = [_loss(model, rows[at : at + 25], device) for at in range(0, len(rows), 25)]
    return float(sum(total.item() for total, _ in parts) / sum(count.item() for _, count in parts))


# card


def card(data: Path, folder: Path, base: str = "smollm2-135m") -> dict[str, Any]:
    """Write the card of a trained reader: base model, data, settings, losses, command; returns it."""
    import hashlib

    from agent.hub import adapters, catalog
    from training.card import README, words

    trained = json.loads((folder / LOG).read_text(encoding="utf-8"))
    texts = {"annotated messages": len(read(data))}
    about = {
        "v": 1,
        "name": folder.name,
        "sha256": adapters.digest(folder),
        "base": {"name": base, "weights_sha256": adapters.weights_digest(catalog.resolve(base))},
        "parent": None,
        "lineage": [hashlib.sha256(data.read_bytes()).hexdigest()],
        "sources": [f"file:{data.as_posix()}"],
        "runs": [],
        "data": {
            "split": "train",
            "taken": texts,
            "left_out": {},
            "learnt_tokens": {"annotated messages": trained["learnt"]},
            "tokens": {"annotated messages": trained["tokens"]},
        },
        "settings": {
            "train": {"epochs": EPOCHS, "learning_rate": RATE, "tokens_per_step": TOKENS, "copies": COPIES},
            "lora": {
                "r": LORA["r"],
                "alpha": LORA["lora_alpha"],
                "dropout": LORA["lora_dropout"],
                "targets": "all_linear",
            },
        },
        "command": "python -m training.reader prepare training/data/messages.jsonl rows.pt && python -m"
        f" training.reader train rows.pt <folder of {base}> {folder.name}",
        "steps": trained["steps"],
        "loss": trained["losses"][-1]["loss"],
        "held_out_loss": trained["losses"][-1]["held_out"],
        "seconds": round(trained["seconds"], 1),
        "device": trained["device"],
        "validation": {},
    }
    (folder / adapters.CARD).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    (folder / README).write_text(words(about), encoding="utf-8")
    settings = adapters.settings(folder) | {"base_model_name_or_path": base}
    (folder / adapters.SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return about


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, places in (
        ("prepare", ("data", "rows")),
        ("train", ("rows", "base", "out")),
        ("card", ("data", "folder")),
    ):
        command = commands.add_parser(name)
        for place in places:
            command.add_argument(place, type=str if place == "base" else Path)
    options = parser.parse_args(arguments)
    if options.command == "prepare":
        print(json.dumps(prepare(options.data, options.rows)))  # noqa: T201
    elif options.command == "train":
        train(options.rows, options.base, options.out)
    else:
        print(json.dumps(card(options.data, options.folder)))  # noqa: T201


if __name__ == "__main__":
    main()
