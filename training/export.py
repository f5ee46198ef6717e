"""Export of an adapter: merged into its base model, checked, and written as safetensors or GGUF."""

import contextlib
import io
import json
import shutil
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from agent.hub import adapters, catalog
from agent.logs.files import atomic_write
from agent.models.tokens import ChatTokens, plain_template
from training.errors import AdapterError
from training.gguf_file import write_gguf
from training.model_card import tools_of, write_beside

Form = Literal["safetensors", "gguf"]

AGREE = 0.8
"""Least share of tokens at which the written model, in half precision, must predict the same next token."""

PROMPTS = (
    "<|im_start|>system\nYou act in a world, one tool call a turn.\nMission: pick up the red ball<|im_end|>\n"
    '<|im_start|>user\nYou see a red ball 2 steps forward.<|im_end|>\n<|im_start|>assistant\n{"name":"',
    "<|im_start|>user\nOn Friday noon Rita left the broken clock in the attic.<|im_end|>\n<|im_start|>assistant\n",
    "The blue key opens Ada's box, and the box stands in the grey room.",
)
"""Texts on which the logits of the models are compared."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The outcome of an export; each difference is the greatest one between logits, over all tokens and prompts.

    Attributes:
        path: The folder (safetensors) or the file (GGUF).
        form: The format that was written.
        merged: Difference between the base model with the adapter and the merged model, both in float32.
        unmerged: Difference between the base model and the merged model after unmerging.
        written: Difference between the model with the adapter and the written model, in the precision of the latter.
        agree: Share of tokens at which both predict the same next token.
        scale: Standard deviation of the logits, to compare the differences with.
    """

    path: Path
    form: Form
    merged: float
    unmerged: float
    written: float
    agree: float
    scale: float


def export(
    adapter: str, out: Path, form: Form = "safetensors", tolerance: float = 1e-3, tools: Path | None = None
) -> Exported:
    """Merge an adapter into its base model, verify the result, and write it.

    Args:
        adapter: Name or folder of the adapter.
        out: A new folder for safetensors; a new file for GGUF.
        form: The format to write.
        tolerance: Greatest difference of logits that merging in float32 may cause.
        tools: JSON list of the tools that the model was trained with, in OpenAI's form; by default those of the worlds
            that the adapter's card names. Their schema is written beside the model, with a model card.

    Raises:
        AdapterError: Merging or unmerging changes the logits by more than the tolerance, the written model predicts
            other tokens, or ``out`` exists already or can't be written.
        CatalogError: There is no such adapter, or its base model is not on this machine.
    """
    folder = adapters.resolve(adapter)
    card = adapters.card(folder)
    name = adapters.base_of(folder)
    path = catalog.resolve(name)
    adapters.check(folder, path)
    listed = tools_of(card, tools)
    if out.exists():
        raise AdapterError(f"{out} is there already: choose another")
    part = out.with_name(f"{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    except OSError as error:
        raise AdapterError(f"can't write {out}: {error.strerror}; name a folder that can be written to") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a flag of an old name
            done = _export(folder, path, card, out, part, form, tolerance)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    write_beside(
        out, card, listed, name, chatml="<|im_start|>" in (path / "tokenizer.json").read_text(encoding="utf-8")
    )
    return done


def _export(
    folder: Path, path: Path, card: dict[str, Any], out: Path, part: Path, form: Form, tolerance: float
) -> Exported:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
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
    written_logits = _logits(read, tokenizer)
    same = torch.cat([(a.argmax(-1) == b.argmax(-1)).float() for a, b in zip(wanted, written_logits, strict=True)])
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
    return Exported(out, form, merged, unmerged, _apart(wanted, written_logits), agree, scale)


def _written(model: Any, tokenizer: Any, base: Path, folder: Path, card: dict[str, Any], part: Path, form: Form) -> Any:
    """Write the model, and load what was written as a user would."""
    from transformers import AutoModelForCausalLM

    template = plain_template(ChatTokens(tokenizer).template)
    if form == "gguf":
        write_gguf(model, base, part / "model.gguf", template)
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that has no switch
            read = AutoModelForCausalLM.from_pretrained(part, gguf_file="model.gguf", dtype=torch.float32)
        return read.eval()
    model.to(torch.bfloat16).save_pretrained(part)
    for weights in part.glob("*.safetensors"):
        weights.chmod((part / "config.json").stat().st_mode)  # the library writes for the owner alone
    tokenizer.chat_template = template
    tokenizer.save_pretrained(part)
    with atomic_write(part / adapters.CARD) as file:
        json.dump(_lineage(folder, card), file, indent=1)
    return AutoModelForCausalLM.from_pretrained(part, dtype=torch.bfloat16, use_safetensors=True).eval()


def _lineage(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Return the card of a merged model: the adapter's card with the adapter's name and digest."""
    return {"merged": {"adapter": folder.name, "sha256": adapters.digest(folder)}, **card}


@torch.inference_mode()
def _logits(model: Any, tokenizer: Any) -> list[torch.Tensor]:
    """Return the logits of every token of each prompt, float32 ``[tokens, vocabulary]``."""
    encoded = (tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"] for prompt in PROMPTS)
    return [model(input_ids=ids).logits[0].float() for ids in encoded]


def _apart(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def figures(done: Exported) -> dict[str, Any]:
    """Return the export as one JSON object."""
    return {**asdict(done), "path": str(done.path)}
