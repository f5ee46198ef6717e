"""How weights are loaded: in which precision, on which device, quantised or not."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from agent.hub import adapters
from agent.models.local_config import LocalModelConfig


def load_network(config: LocalModelConfig, folder: Path, adapter: Path | None, tokenizer: Any) -> Any:
    """Return a causal language model from safetensors, its adapter added to the weights where that is right.

    Args:
        config: Device, precision, and whether to merge the adapter.
        folder: The model.
        adapter: The adapter's folder.
        tokenizer: The model's tokenizer.
    """
    device = torch.device(device_of(config))
    if not adapter:
        return _network(config, folder, adapter, device)
    adapters.check(adapter, folder)
    if not config.merge or config.load_in_4bit:
        return _network(config, folder, adapter, device)
    return merged(lambda: _network(config, folder, adapter, device), tokenizer, known=bool(adapters.card(adapter)))


def device_of(config: LocalModelConfig) -> str:
    """Return the device that is asked for: by default the GPU, if there is one."""
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return config.device


def _network(config: LocalModelConfig, folder: Path, adapter: Path | None, device: torch.device) -> Any:
    """Return the network with the adapter beside its weights, if there is one."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    options = load_options(precision(config.dtype, device), device, "sdpa", config.load_in_4bit)
    model = AutoModelForCausalLM.from_pretrained(folder, **options)
    if not config.load_in_4bit:
        model = model.to(device)
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    return model.eval()


def load_options(dtype: torch.dtype, device: torch.device | str, attention: str, nf4: bool = False) -> dict[str, Any]:
    """Return the options of ``from_pretrained`` for a causal language model from safetensors.

    Args:
        dtype: Precision of the weights, or of the computation with quantised ones.
        device: Where quantised weights go; others are moved there by the caller.
        attention: Transformers' name of the attention implementation.
        nf4: Whether to quantise the weights to NF4 with double quantisation (QLoRA, Dettmers et al. 2023).
    """
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention, "use_safetensors": True}
    if nf4:
        from transformers import BitsAndBytesConfig

        options["device_map"] = {"": device}
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return options


def precision(name: str, device: torch.device | str) -> torch.dtype:
    """Return the precision in which weights are computed with.

    It is the named one, but ``float32`` instead of ``bfloat16`` on a CPU that has no instructions for that and would
    imitate it: a decision takes a third of the time there, a training step a twelfth.

    Args:
        name: ``"bfloat16"``, ``"float16"`` or ``"float32"``.
        device: Where the computation is done.
    """
    slow = name == "bfloat16" and torch.device(device).type == "cpu" and not _native_bfloat16()
    return torch.float32 if slow else getattr(torch, name)


@cache
def _native_bfloat16() -> bool:
    """Return whether this CPU computes with bfloat16 itself."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported()) if supported is not None else True


PROBES = (
    "<|im_start|>user\nYou see a red ball 2 steps forward.<|im_end|>\n<|im_start|>assistant\n",
    "The blue key opens Ada's box, and the box stands in the grey room.",
)
"""Texts on which a merged adapter must predict what it predicts unmerged."""

AGREE = 0.8
"""Least share of tokens after which both predict the same next token."""


def merged(load: Callable[[], Any], tokenizer: Any, known: bool) -> Any:
    """Add an adapter to the weights, if the model then still says what it says with the adapter beside them.

    It does not where the adapter changes the output layer and this shares its weights with the embeddings: the
    embeddings would change with it. Then the model is returned with the adapter beside the weights, which is slower
    and right.

    Args:
        load: Loads the PEFT model, in evaluation mode. It is called again where merging was wrong: taking an adapter
            out of weights of 16 bits leaves rounding errors in them.
        tokenizer: Its tokenizer.
        known: Whether the adapter was exported and checked before (it has a card); then only the layers are looked at.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a flag of an old name
        return _merged(load, tokenizer, known)


def _merged(load: Callable[[], Any], tokenizer: Any, known: bool) -> Any:
    model = load()
    if changes_tied_weights(model):
        return model
    if known:
        return model.merge_and_unload()
    wanted = _predicted(model, tokenizer)
    model.merge_adapter()
    got = _predicted(model, tokenizer)
    if float((wanted == got).float().mean()) < AGREE:
        del model
        return load()
    return model.unload()


def changes_tied_weights(model: Any) -> bool:
    """Return whether an adapter changes an output layer or embeddings that share their weights."""
    base = model.get_base_model()
    if not getattr(base.config, "tie_word_embeddings", False):
        return False
    ends = (base.get_output_embeddings(), base.get_input_embeddings())
    return any(hasattr(layer, "lora_A") or hasattr(layer, "lora_embedding_A") for layer in ends)


@torch.inference_mode()
def _predicted(model: Any, tokenizer: Any) -> torch.Tensor:
    device = next(model.parameters()).device
    ids = [tokenizer(text, return_tensors="pt")["input_ids"].to(device) for text in PROBES]
    return torch.cat([model(one).logits[0].argmax(-1) for one in ids])
