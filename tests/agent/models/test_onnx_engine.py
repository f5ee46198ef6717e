"""ONNX Runtime computes what PyTorch computes."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from agent.errors import CatalogError, ConfigError, ModelError
from agent.models import prepared
from agent.models.engine import Row
from agent.models.local import LocalModel, LocalModelConfig
from agent.models.onnx_engine import OnnxEngine
from agent.models.torch_engine import TorchEngine

pytestmark = pytest.mark.skipif(not prepared.available(), reason="ONNX Runtime GenAI is not installed")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a byte tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(BPE({letter: at for at, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", bos_token="<|im_start|>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=288,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIPPO_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = prepared.prepare(LocalModelConfig(name=str(tiny)), tiny, None)
        assert prepared.is_prepared(prepared.folder_of(tiny, None))
        assert prepared.prepare(LocalModelConfig(name=str(tiny)), tiny, None) == folder
    return folder


def allowed(count: int) -> Any:
    return lambda: np.full((count, 9), -1, np.int32)


def test_it_says_what_pytorch_says(tiny: Path, made: Path) -> None:
    onnx = OnnxEngine(made, 300, 1)
    reference = TorchEngine(LlamaForCausalLM.from_pretrained(tiny).eval(), 300)
    assert onnx.vocab_size == reference.vocab_size == 288
    rng = np.random.default_rng(0)
    kept = {0: 0, 1: 0, 2: 0}
    for _ in range(20):
        rows = []
        for slot in rng.permutation(3)[: rng.integers(1, 4)]:
            if rng.random() < 0.3:
                kept[slot] = int(rng.integers(0, kept[slot] + 1))
            ids = rng.integers(0, 256, int(rng.integers(1, 14))).tolist()
            rows.append(Row(int(slot), kept[slot], ids, range(len(ids) // 2, len(ids)), bool(rng.random() < 0.7)))
            kept[slot] += len(ids)
        count = sum(row.chooses for row in rows)
        one, other = onnx.begin(rows, allowed(count))(), reference.begin(rows, allowed(count))()
        assert [computed.token for computed in one] == [computed.token for computed in other]
        for a, b in zip(one, other, strict=True):
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_masks_bind_and_long_conversations_are_refused(made: Path) -> None:
    engine = OnnxEngine(made, 100, 1)
    mask = np.zeros((1, 9), np.int32)
    mask[0, 2] = 1 << 9
    assert engine.begin([Row(0, 0, [1, 2, 3])], lambda: mask)()[0].token == 2 * 32 + 9
    with pytest.raises(ModelError, match=r"103 tokens does not fit into 100: raise model\.seq_len"):
        engine.begin([Row(0, 3, [1] * 100)], allowed(1))()


def test_what_it_can_not_do_is_said(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"leave out model\.load_in_4bit=true"):
        LocalModel(name=str(tiny), backend="onnx", load_in_4bit=True)
    with pytest.raises(ConfigError, match=r"leave out model\.device=cuda"):
        LocalModel(name=str(tiny), backend="onnx", device="cuda")


def test_a_damaged_model_is_named(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    assert prepared.is_prepared(copy)
    data = copy / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-100])
    assert not prepared.is_prepared(copy)
    with pytest.raises(CatalogError, match="is damaged or incomplete: run `hippo models prepare` again"):
        OnnxEngine(copy, 100, 1)


def test_what_changed_is_prepared_again(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    before = prepared.folder_of(copy, None)
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert prepared.folder_of(copy, None).name != before.name
    with pytest.raises(CatalogError, match="spacy-en is not converted"):
        prepared.prepare_named("spacy-en")
