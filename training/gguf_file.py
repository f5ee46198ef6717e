"""Writing a model of the Llama family as a GGUF file, which llama.cpp and Ollama run.

Names of fields and the order of rotary rows follow llama.cpp's ``convert_hf_to_gguf.py``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import AdapterError

NORMAL, CONTROL, UNUSED = 1, 3, 5


def write_gguf(model: Any, base: Path, path: Path, template: str = "") -> None:
    """Write the weights in float16 (norms in float32), with the tokenizer.

    Args:
        model: A Llama model of Transformers.
        base: Folder of its base model, which has the tokenizer.
        path: The file to write.
        template: Chat template for programs that play the model; none if empty.

    Raises:
        AdapterError: The model is no Llama, or its tokenizer is no byte-level BPE.
    """
    import gguf

    config = model.config
    if config.model_type != "llama":
        raise AdapterError(f"GGUF is written for Llama models, and this is {config.model_type}: export safetensors")
    scaling = config.rope_parameters.get("rope_type", "default")
    if scaling != "default":
        raise AdapterError(
            f"GGUF is written without scaled rotations, and this model's are {scaling}: export safetensors"
        )
    writer = gguf.GGUFWriter(str(path), "llama")
    heads, pairs = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(base.name)
    if template:
        writer.add_chat_template(template)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(pairs)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _tokenizer(writer, base, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        gguf_name = names.get_name(name, try_suffixes=(".weight",))
        if gguf_name is None:
            raise AdapterError(f"GGUF has no name for the tensor {name}: export safetensors")
        values = tensor.float().numpy()
        if name.endswith("q_proj.weight"):
            values = interleaved(values, heads)
        elif name.endswith("k_proj.weight"):
            values = interleaved(values, pairs)
        writer.add_tensor(gguf_name, values.astype(np.float32 if values.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorder rows as llama.cpp rotates them: the two rows of a pair side by side, not in two halves."""
    rows = weights.reshape(heads, 2, weights.shape[0] // heads // 2, weights.shape[1])
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(weights.shape))


def _tokenizer(writer: Any, base: Path, config: Any) -> None:
    import gguf

    read = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    model = read["model"]
    if model["type"] != "BPE":
        raise AdapterError(f"GGUF is written with byte-level BPE tokenizers, and this is {model['type']}")
    words: dict[int, tuple[str, int]] = {number: (word, NORMAL) for word, number in model["vocab"].items()}
    for token in read["added_tokens"]:
        words[token["id"]] = (token["content"], CONTROL if token["special"] else NORMAL)
    tokens = [words.get(number, (f"[PAD{number}]", UNUSED)) for number in range(config.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm" if "smol" in base.name else "llama-bpe")
    writer.add_token_list([word for word, _ in tokens])
    writer.add_token_types([gguf.TokenType(kind) for _, kind in tokens])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]])
    for name, add in (("bos_token_id", writer.add_bos_token_id), ("eos_token_id", writer.add_eos_token_id)):
        value = getattr(config, name, None)
        if isinstance(value, int):
            add(value)
