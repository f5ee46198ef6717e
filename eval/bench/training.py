"""Tokens per second, memory and loss curves of training, compared with the plain recipe of PEFT and bitsandbytes.

    python -m eval.bench.training shape --out shapes/3b           # a model of Llama-3.2-3B's shape, random weights
    python -m eval.bench.training speed --model shapes/3b --runs RUNS --recipe plain --batch 1
    python -m eval.bench.training speed --model shapes/3b --runs RUNS --recipe ours --batch 16
    python -m eval.bench.training losses --model smollm2-135m --runs RUNS --recipe plain   # and ours: the same steps

The plain recipe: NF4 with double quantisation, ``prepare_model_for_kbit_training``, LoRA of rank 16 on the attention
projections, gradient checkpointing, PyTorch's loss over all logits. Both see the same packed rows in the same order.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from agent.hub import catalog

LLAMA_3B = {
    "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256, "max_position_embeddings": 131072,
    "rope_theta": 500000.0, "tie_word_embeddings": True, "rms_norm_eps": 1e-5,
}  # fmt: skip
"""https://huggingface.co/meta-llama/Llama-3.2-3B/blob/main/config.json"""

SKIPPED = 5
"""First steps, which are not timed."""


def shape(out: Path, settings: dict[str, Any]) -> None:
    """Write a model with random weights, and the tokenizer that the rows are made with."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = LlamaForCausalLM(LlamaConfig(**settings)).to(torch.bfloat16)
    model.save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        source = catalog.resolve("smollm2-135m") / name
        if source.is_file():
            shutil.copy(source, out / name)


def config_of(asked: argparse.Namespace, out: str) -> Any:
    """Settings of the training that is measured."""
    from training.config import load_train

    where = ["train=gpu12gb"] if asked.large else []
    return load_train(
        [
            "name=bench",
            f"out={out}",
            f"model={asked.model}",
            "model.load_in_4bit=true",
            *where,
            f"data.runs={json.dumps(list(map(str, asked.runs)))}",
            f"data.split={asked.split}",
            *([f"data.prepared={asked.prepared}"] if asked.prepared else []),
            f"train.steps={asked.steps}",
            f"train.batch={asked.batch}",
            "train.log_every=1",
            "train.save_every=100000",
            f"train.tokens_per_step={asked.rows * 1024}",
            "train.warmup=0",
            "train.scheduler=constant",
            "train.learning_rate=2e-4",
            *asked.set,
        ]
    )


def ours(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure ``hippo train``."""
    from training.monitor import METRICS
    from training.qlora import train

    with tempfile.TemporaryDirectory() as out:
        done = train(config_of(asked, out), lambda _words: None)
        lines = [json.loads(line) for line in (done.folder / METRICS).read_text().splitlines()]
    timed = lines[SKIPPED:] if len(lines) > SKIPPED + 1 else lines
    tokens = timed[-1]["tokens"] - lines[SKIPPED - 1]["tokens"] if len(lines) > SKIPPED + 1 else timed[-1]["tokens"]
    seconds = timed[-1]["seconds"] - (lines[SKIPPED - 1]["seconds"] if len(lines) > SKIPPED + 1 else 0.0)
    return {
        "tokens_per_second": tokens / seconds,
        "peak_gib": done.peak_memory / 2**30,
        "losses": [line["loss"] for line in lines],
    }


def plain(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure the plain recipe on the rows that ``hippo train`` would see."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from agent.models.window import Window
    from training.examples import Source
    from training.tokenized import prepare

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as out:
        config = config_of(asked, out)
        path = catalog.resolve(config.model.name)
        rows = prepare(Source(str(path), Window(), config.data), Path(out) / "data", config.seed).rows
        torch.manual_seed(config.seed)
        quantized = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.bfloat16, quantization_config=quantized, device_map={"": device}
        )
        model.config.use_cache = False
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False}
        )
        lora = LoraConfig(
            r=config.lora.r,
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=config.lora.modules,
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(model, lora).train()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.0)
        order = torch.utils.data.RandomSampler(rows, generator=torch.Generator().manual_seed(config.seed))
        return _loop(model, optimizer, rows, list(order), asked, device)


def _loop(
    model: Any, optimizer: Any, rows: Any, order: list[int], asked: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    losses, tokens, began = [], 0, time.perf_counter()
    micro = max(1, asked.rows // asked.batch)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for step in range(asked.steps):
        if step == SKIPPED and asked.steps > SKIPPED + 1:
            _wait(device)
            tokens, began = 0, time.perf_counter()
        taken = [rows[order[(step * asked.rows + i) % len(order)]] for i in range(asked.rows)]
        count = sum(label != -100 for row in taken for label in _labels(row))
        total = 0.0
        for part in range(micro):
            batch = _batch(taken[part * asked.batch : (part + 1) * asked.batch], device)
            tokens += int((batch["input_ids"] != 0).sum()) if asked.batch > 1 else batch["input_ids"].numel()
            labels = batch.pop("labels")
            with torch.autocast(device.type, torch.bfloat16):
                logits = model(**batch).logits
            loss = (
                torch.nn.functional.cross_entropy(
                    logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
                )
                / count
            )
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    _wait(device)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return {"tokens_per_second": tokens / (time.perf_counter() - began), "peak_gib": peak, "losses": losses}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _labels(row: dict[str, Any]) -> list[int]:
    """Labels as the packed rows have them: the first token of a document is predicted by nothing."""
    labels = list(row["labels"])
    start = 0
    for length in row["seq_lengths"]:
        labels[start] = -100
        start += length
    return labels


def _batch(rows: list[dict[str, Any]], device: torch.device) -> dict[str, torch.Tensor]:
    """Rows padded to the longest, with positions that begin anew in each document."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[index, :length] = torch.tensor(row["input_ids"])
        labels[index, :length] = torch.tensor(_labels(row))
        positions[index, :length] = torch.cat([torch.arange(n) for n in row["seq_lengths"]])
    return {"input_ids": ids.to(device), "labels": labels.to(device), "position_ids": positions.to(device)}


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shape", "speed", "losses"])
    parser.add_argument("--out", type=Path, default=Path("shape"))
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--runs", nargs="*", type=Path, default=[])
    parser.add_argument("--prepared", type=Path, help="a data set of prepare_only=true instead of runs")
    parser.add_argument("--split", default="train")
    parser.add_argument("--recipe", choices=["plain", "ours"], default="ours")
    parser.add_argument("--batch", type=int, default=1, help="packed rows at once")
    parser.add_argument("--rows", type=int, default=0, help="packed rows of one optimiser step; the batch by default")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--large", action="store_true", help="with the settings of train=gpu12gb")
    parser.add_argument("--set", nargs="*", default=[], help="more settings, such as train.checkpointing=false")
    parser.add_argument("--layers", type=int, default=28)
    options = parser.parse_args()
    options.rows = options.rows or options.batch
    if options.what == "shape":
        shape(options.out, {**LLAMA_3B, "num_hidden_layers": options.layers})
        return
    result = ours(options) if options.recipe == "ours" else plain(options)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    about = {
        "recipe": options.recipe,
        "model": options.model,
        "batch": options.batch,
        "rows": options.rows,
        "set": options.set,
    }
    print(json.dumps({**about, "device": device, **result}))


if __name__ == "__main__":
    main()
