"""A foreign adapter is added to the weights only if the model then says the same."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from agent.models import weights
from agent.models.weights import changes_tied_weights, merged


class Bytes:
    """A tokenizer of bytes."""

    def __call__(self, text: str, return_tensors: str = "pt") -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor([list(text.encode())])}


def tiny(tied: bool) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, tie_word_embeddings=tied,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


TARGETS = [
    ["q_proj"],
    ["q_proj", "v_proj", "o_proj"],
    ["lm_head"],
    ["q_proj", "lm_head"],
    ["embed_tokens"],
    ["embed_tokens", "lm_head"],
]


@pytest.mark.parametrize(("targets", "tied", "known"), [*itertools.product(TARGETS, (True, False), (True, False))])
def test_the_model_says_the_same_with_the_adapter_merged_or_not(
    targets: list[str], tied: bool, known: bool, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = get_peft_model(tiny(tied), LoraConfig(r=4, target_modules=targets, init_lora_weights=False)).eval()
        made.save_pretrained(tmp_path)

    def load() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PeftModel.from_pretrained(tiny(tied), tmp_path).eval()

    ids = torch.randint(0, 256, (4, 12))
    with torch.inference_mode():
        wanted = made(ids).logits.argmax(-1)
        played = merged(load, Bytes(), known)
        assert (played(ids).logits.argmax(-1) == wanted).float().mean() > 0.95
    safe = not tied or not {"lm_head", "embed_tokens"} & {*targets}
    assert isinstance(played, PeftModel) is not safe
    assert changes_tied_weights(made) is not safe


def test_where_merging_is_wrong_the_weights_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = get_peft_model(tiny(False), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
        made.save_pretrained(tmp_path)
    base = {name: weight.to(torch.bfloat16) for name, weight in tiny(False).state_dict().items()}

    def load() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PeftModel.from_pretrained(tiny(False).to(torch.bfloat16), tmp_path).eval()

    monkeypatch.setattr(weights, "AGREE", 1.1)
    played = merged(load, Bytes(), known=False)
    assert isinstance(played, PeftModel)
    kept = played.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight
    assert torch.equal(kept, base["model.layers.0.self_attn.q_proj.weight"])
