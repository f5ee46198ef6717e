"""The sentence embedder's network: PyTorch, ONNX Runtime and a GPU give the same vectors."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.hub import catalog
from memory import MiniLMEmbedder
from memory.sentence_model import FILE, is_prepared, load

TEXTS = [
    "you see a red ball",
    "x",
    "word " * 300,
    "Где ключ?",
    *(f"a key {number} steps off" for number in range(17)),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return catalog.fetch("minilm")


@pytest.mark.model
def test_onnx_runtime_gives_the_vectors_of_pytorch(folder: Path, tmp_path: Path) -> None:
    if not is_prepared(folder):
        pytest.skip("not prepared: hippo models prepare minilm")
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns(FILE))
    one, other = (MiniLMEmbedder(place).embed(TEXTS) for place in (folder, bare))
    assert np.abs(one - other).max() < 1e-5
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_vectors_however_many_texts_there_are(folder: Path) -> None:
    reference = MiniLMEmbedder(folder).embed(TEXTS)
    model = load(folder, "cuda")
    rows = model.tokens(TEXTS)
    for count in (1, 2, len(TEXTS), 3):
        assert np.abs(model.vectors(rows[:count]) - reference[:count]).max() < 1e-4
