import shutil
from pathlib import Path

import pytest
import torch

from agent.config import load_collect
from agent.hub import catalog
from agent.rollout.collect import Collection
from envs import make
from envs.splits import seeds_of
from training.config import TrainConfig, load_train


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a trained adapter as slow: making it takes a minute in each process of tests."""
    for item in items:
        if "made" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


TINY = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 49152, "max_position_embeddings": 2048,
    "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def collect(folder: Path, *asked: str, split: str = "train") -> Path:
    """Log some episodes; the run's folder."""
    config = load_collect([*asked, f"split={split}", f"runs={folder}", "workers=1"])
    collection = Collection(config, seeds_of(split), make)
    collection.run()
    return collection.folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two small layers with random weights and SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny-llama"
    write_tiny(folder)
    return folder


def write_tiny(folder: Path) -> None:
    """Write the same tiny model every time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**TINY)).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        source = catalog.resolve("smollm2-135m") / name
        if source.is_file():
            shutil.copy(source, folder / name)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logged episodes of three worlds, played by experts under the model's window."""
    folder = tmp_path_factory.mktemp("runs")
    collect(folder, "env=multi_hop_qa", "episodes=14", "window=true", "name=hops")
    collect(folder, "env=babyai_mixed", "episodes=6", "window=true", "name=skills")
    collect(folder, "env=water_maze", "episodes=4", "window=true", "name=maze")
    return folder


def settings(tiny: Path, runs: Path, out: Path, *asked: str) -> TrainConfig:
    return load_train(
        [
            f"model={tiny}",
            f"data.runs=[{runs}]",
            f"out={out}",
            "train.batch=1",
            "train.tokens_per_step=1024",
            "train.log_every=1",
            "model.device=cpu",
            "name=made",
            *asked,
        ]
    )


def silent(_words: str) -> None:
    pass


@pytest.fixture(scope="session")
def made(tiny: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of eight steps."""
    from training.qlora import train

    out = tmp_path_factory.mktemp("adapters")
    return train(settings(tiny, runs, out, "train.steps=8", "train.save_every=3", "lora=all_linear"), silent).folder
