"""An adapter added to its base model's weights: checked, and written as safetensors or GGUF."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from agent.hub import adapters, catalog
from agent.logs.files import atomic_write
from training.errors import AdapterError
from training.gguf_file import write_gguf

Form = Literal["safetensors", "gguf"]

AGREE = 0.8
"""Least share of tokens after which what was written, in half precision, must say the same."""

PROMPTS = (
    "<|im_start|>system\nYou act in a world, one tool call a turn.\nMission: pick up the red ball<|im_end|>\n"
    '<|im_start|>user\nYou see a red ball 2 steps forward.<|im_end|>\n<|im_start|>assistant\n{"name":"',
    "<|im_start|>user\nOn Friday noon Rita left the broken clock in the attic.<|im_end|>\n<|im_start|>assistant\n",
    "The blue key opens Ada's box, and the box stands in the grey room.",
)
"""What both are asked to go on with."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to; differences are of logits, the greatest of all tokens and prompts.

    Attributes:
        path: The folder, or the GGUF file.
        form: Which of them.
        merged: Between base with adapter and merged, both in float32.
        unmerged: Between the base and what is left when the adapter is taken out again.
        written: Between merged and what was written, in its precision.
        agree: Share of tokens after which the written model would say the same as the merged.
        scale: Standard deviation of the logits, to compare them with.
    """

    path: Path
    form: Form
    merged: float
    unmerged: float
    written: float
    agree: float
    scale: float


def export(adapter: str, out: Path, form: Form = "safetensors", tolerance: float = 1e-3) -> Exported:
    """Merge an adapter, verify, write.

    Args:
        adapter: Name or folder.
        out: A new folder for safetensors; a new file for GGUF.
        form: Which of them.
        tolerance: Greatest difference of logits that merging in float32 may make.

    Raises:
        AdapterError: The logits differ by more, the base can't be restored, what was written says something else, or
            ``out`` is there already or can't be written.
        CatalogError: There is no such adapter, or its base model is not on this machine.
    """
    folder = adapters.resolve(adapter)
    card = adapters.card(folder)
    settings = adapters.settings(folder)
    name = card.get("base", {}).get("name") or settings["base_model_name_or_path"]
    path = catalog.resolve(name)
    adapters.check(folder, path)
    if out.exists():
        raise AdapterError(f"{out} is there already: choose another")
    part = out.with_name(f"{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    except OSError as error:
        raise AdapterError(f"can't write {out}: {error.strerror}; name a folder that can be written to") from error
    try:
        return _export(folder, path, card, out, part, form, tolerance)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _export(
    folder: Path, path: Path, card: dict[str, Any], out: Path, part: Path, form: Form, tolerance: float
) -> Exported:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, use_safetensors=True).eval()
    before = _logits(base, tokenizer)
    model = PeftModel.from_pretrained(base, str(folder)).eval()
    wanted = _logits(model, tokenizer)
    model.merge_adapter()
    merged = _apart(wanted, _logits(model, tokenizer))
    model.unmerge_adapter()
    with model.disable_adapter():
        unmerged = _apart(before, _logits(model, tokenizer))
    if max(merged, unmerged) > tolerance:
        raise AdapterError(
            f"merging changes logits by {merged:.2e} and taking it out again by {unmerged:.2e}, more than "
            f"{tolerance:.0e}: the adapter is damaged, or was trained on other weights"
        )
    whole_model = model.merge_and_unload()
    read = _written(whole_model, tokenizer, path, folder, card, part, form)
    found = _logits(read, tokenizer)
    same = torch.cat([(a.argmax(-1) == b.argmax(-1)).float() for a, b in zip(wanted, found, strict=True)])
    agree, scale = float(same.mean()), float(torch.cat([a.flatten() for a in wanted]).std())
    if agree < AGREE:
        raise AdapterError(
            f"the {form} file says the same as the merged model after {agree:.0%} of the tokens only: it was not kept"
        )
    if form == "gguf":
        (part / "model.gguf").replace(out)
        with atomic_write(out.with_suffix(".card.json")) as file:
            json.dump(_lineage(folder, card), file, indent=1)
    else:
        part.replace(out)
    return Exported(out, form, merged, unmerged, _apart(wanted, found), agree, scale)


def _written(model: Any, tokenizer: Any, base: Path, folder: Path, card: dict[str, Any], part: Path, form: Form) -> Any:
    """Write the model, and read it again as others will."""
    from transformers import AutoModelForCausalLM

    if form == "gguf":
        write_gguf(model, base, part / "model.gguf")
        return AutoModelForCausalLM.from_pretrained(part, gguf_file="model.gguf", dtype=torch.float32).eval()
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    with atomic_write(part / adapters.CARD) as file:
        json.dump(_lineage(folder, card), file, indent=1)
    return AutoModelForCausalLM.from_pretrained(part, dtype=torch.bfloat16, use_safetensors=True).eval()


def _lineage(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Where a merged model comes from."""
    return {"merged": {"adapter": folder.name, "sha256": adapters.digest(folder)}, **card}


@torch.inference_mode()
def _logits(model: Any, tokenizer: Any) -> list[torch.Tensor]:
    """Of every token of the prompts: float32 ``[tokens, vocabulary]`` each."""
    encoded = (tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"] for prompt in PROMPTS)
    return [model(input_ids=ids).logits[0].float() for ids in encoded]


def _apart(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def figures(done: Exported) -> dict[str, Any]:
    """The export in one object."""
    return {**asdict(done), "path": str(done.path)}
