"""Rows packed without padding give what each gives alone, for the families of models that we support."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agent.errors import ConfigError, ModelError
from agent.models.engine import Row, draw
from agent.models.graphs import shape_of
from agent.models.torch_engine import LARGEST, LOGITS, TorchEngine

VOCABULARY = 320


def network(family: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Any:
    """A small model of a family, with random weights."""
    import transformers

    common: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    scaling = {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
        "rope_theta": 500000.0,
    }
    config = {
        "llama3": lambda: transformers.LlamaConfig(**common, rope_parameters=scaling, tie_word_embeddings=True),
        "qwen2": lambda: transformers.Qwen2Config(**common, tie_word_embeddings=True),
        "phi3": lambda: transformers.Phi3Config(**common, sliding_window=2047),
    }[family]()
    torch.manual_seed(0)
    made = transformers.AutoModelForCausalLM.from_config(config).to(device, dtype)
    torch.manual_seed(1)
    for parameter in made.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return made.eval()


def all_allowed(count: int) -> Callable[[], NDArray[np.int32]]:
    return lambda: np.full((count, VOCABULARY // 32), -1, np.int32)


@torch.inference_mode()
def alone(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    """Log-probabilities after each token, computed by Transformers without a cache."""
    ids = torch.tensor([list(tokens)], device=model.device)
    return torch.as_tensor(model(input_ids=ids).logits[0].float().log_softmax(-1).cpu())


def play(engine: TorchEngine, model: Any, passes: int, most: int, tolerance: float, agree: float = 1.0) -> None:
    """Pass random rows of several conversations through the engine, and compare with Transformers."""
    rng = np.random.default_rng(0)
    kept: dict[int, list[int]] = {slot: [] for slot in range(6)}
    right = wanted = 0
    for _ in range(passes):
        rows = []
        for slot in rng.permutation(6)[: rng.integers(1, 7)]:
            if rng.random() < 0.2:  # a conversation is cut, or begins again
                del kept[slot][int(rng.integers(0, len(kept[slot]) + 1)) :]
            size = 1 if rng.random() < 0.4 else int(rng.integers(1, most))
            ids = rng.integers(3, VOCABULARY, size).tolist()
            scored = range(size // 3, size) if rng.random() < 0.5 else range(0)
            rows.append(Row(int(slot), len(kept[slot]), ids, scored, bool(rng.random() < 0.8)))
            kept[slot] += ids
        computed = engine.begin(rows, all_allowed(sum(row.chooses for row in rows)))()
        for row, got in zip(rows, computed, strict=True):
            expected = alone(model, kept[row.slot])
            before = [expected[row.start + i - 1, row.ids[i]].item() for i in row.places]
            assert got.logprobs == pytest.approx(before, abs=tolerance)
            assert (got.token >= 0) == row.chooses
            if row.chooses:
                wanted += 1
                right += got.token == int(expected[-1].argmax())
    assert right >= agree * wanted > 0


@pytest.mark.parametrize("family", ["llama3", "qwen2", "phi3"])
def test_rows_of_different_lengths_are_what_each_is_alone(family: str) -> None:
    model = network(family)
    play(TorchEngine(model, 400), model, passes=25, most=14, tolerance=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", ["llama3", "qwen2", "phi3"])
@pytest.mark.parametrize("record", [True, False])
def test_recorded_passes_are_right_too(family: str, record: bool) -> None:
    model = network(family, torch.bfloat16, "cuda")
    engine = TorchEngine(model, 500)
    engine.record = record
    play(engine, model, passes=40, most=14, tolerance=0.15, agree=0.9)
    assert engine._graphed is not None
    assert (engine._graphed.recorded > 0) == record
    assert not engine._graphed.broken


def test_masks_bind_the_choice() -> None:
    engine = TorchEngine(network("llama3"), 100)
    masks = np.zeros((2, VOCABULARY // 32), np.int32)
    masks[0, 3], masks[1, 5] = 1 << 7, 1 << 30
    rows = [Row(0, 0, [5, 6]), Row(1, 0, [7], chooses=False), Row(2, 0, [8, 9, 10], temperature=2.0, seed=3)]
    assert [computed.token for computed in engine.begin(rows, lambda: masks)()] == [3 * 32 + 7, -1, 5 * 32 + 30]


def test_the_attention_of_a_model_in_training_stays() -> None:
    model = network("qwen2")
    before = model.config._attn_implementation
    TorchEngine(model, 100).begin([Row(0, 0, [5])], all_allowed(1))()
    assert model.config._attn_implementation == before


def test_a_conversation_that_is_too_long_is_refused() -> None:
    engine = TorchEngine(network("llama3"), 60)
    with pytest.raises(ModelError, match=r"65 tokens does not fit into 64: raise model\.seq_len"):
        engine.begin([Row(0, 60, [5] * 5)], all_allowed(1))()


def test_too_many_worlds_for_the_card_are_told_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TorchEngine(network("llama3"), 1024)
    each = engine._cache.slot_bytes
    working = 12 * LOGITS + LARGEST * 64 * 64
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (working + 101 * each, 1 << 40))
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda _device: 0)
    engine._check_memory(100)
    with pytest.raises(ConfigError, match=r"150 worlds at once need .* are free: at most batch=100, or a smaller"):
        engine._check_memory(150)


def test_room_is_made_without_losing_what_is_kept() -> None:
    model = network("llama3")
    engine = TorchEngine(model, 100)
    tokens = [5, 9, 17, 33]
    engine.begin([Row(0, 0, tokens[:3], chooses=False)], all_allowed(0))()
    engine.reserve(40)
    after = engine.begin([Row(39, 0, [8, 8]), Row(0, 3, tokens[3:])], all_allowed(2))()
    assert after[1].token == int(alone(model, tokens)[-1].argmax())


def test_attention_over_fewer_tokens_is_refused() -> None:
    model = network("phi3")
    model.config.sliding_window = 50
    with pytest.raises(ConfigError, match=r"the last 50 tokens only: set model\.seq_len"):
        TorchEngine(model, 60)
    TorchEngine(model, 50)


def test_draws_follow_the_seed_and_the_mask() -> None:
    logits = np.full(50, -np.inf, np.float32)
    logits[[4, 9, 11]] = [0.0, 1.0, -2.0]
    drawn = [draw(logits, 1.0, seed) for seed in range(2000)]
    assert drawn == [draw(logits, 1.0, seed) for seed in range(2000)]
    shares = np.bincount(drawn, minlength=50) / 2000
    weights = np.exp([0.0, 1.0, -2.0])
    assert shares[[4, 9, 11]] == pytest.approx(weights / weights.sum(), abs=0.04)
    assert shares[[4, 9, 11]].sum() == pytest.approx(1)


def test_shapes_are_few_and_large_enough() -> None:
    shapes = {shape_of(tokens, 256, 60, 16_384) for tokens in range(256, 16_384)}
    assert len(shapes) < 40
    for tokens, rows, longest in ((1, 1, 1), (17, 3, 9), (16_384, 256, 900), (20_000, 1, 20_000)):
        shape = shape_of(tokens, rows, longest, 16_384)
        assert all(a >= b for a, b in zip(shape, (tokens, rows, longest), strict=True))
