"""How weights are loaded: in which precision, on which device, quantised or not."""

from typing import Any

import torch


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
