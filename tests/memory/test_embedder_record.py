"""Vectors of two embedders are never mixed; what was mixed is named and repaired."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from memory import EmbedderError, HashingEmbedder, Memory
from memory.relational import Tuple

Hippo = Callable[..., tuple[int, str, str]]


class Named(HashingEmbedder):
    """Embedder with a name of choice, and other weights by a seed."""

    def __init__(self, name: str = "house", dim: int = 64, seed: int = 0, says: int | None = None) -> None:
        super().__init__(dim)
        self.name, self.seed, self.made = name, seed, dim
        self.dim = says or dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        inner = HashingEmbedder(self.made).embed(texts)
        turn = np.random.default_rng(self.seed).permutation(self.made) if self.seed else np.arange(self.made)
        return np.ascontiguousarray(inner[:, turn])


def begun(path: Path, embedder: HashingEmbedder) -> None:
    with Memory.open(path, embedder) as memory:
        for word in ("lamp", "boat", "key"):
            memory.episodic.write(f"Ada hid the {word}", origin="x")
        memory.relational.upsert([Tuple("Ada", "likes", "tea")])
        memory.relational.retrieve("What does Ada like?")


@pytest.mark.parametrize("width", [8, 32, 63, 65, 128, 384])
def test_another_width_under_the_same_name_is_refused(width: int, tmp_path: Path) -> None:
    begun(tmp_path / "m", Named())
    with pytest.raises(EmbedderError, match=rf"vectors of 64 values.*makes {width}: .*--repair"):
        Memory.open(tmp_path / "m", Named(dim=width))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_weights_under_the_same_name_are_refused_at_the_first_write(seed: int, tmp_path: Path) -> None:
    begun(tmp_path / "m", Named())
    with Memory.open(tmp_path / "m", Named(seed=seed)) as memory:
        with pytest.raises(EmbedderError, match=r"weights changed.*--repair"):
            memory.episodic.write("Ada hid the letter", origin="x")
        assert len(memory.episodic) == 3
    with Memory.open(tmp_path / "m", Named()) as memory:
        memory.episodic.write("Ada hid the letter", origin="x")


def test_an_embedder_that_says_another_width_than_it_makes(tmp_path: Path) -> None:
    says = pytest.raises(EmbedderError, match="says that its vectors have 64")
    with Memory.open(tmp_path / "m", Named(dim=32, says=64)) as memory, says:
        memory.episodic.write("Ada hid the letter", origin="x")


@pytest.mark.parametrize("other", [Named(dim=32), Named(seed=4), Named("another"), HashingEmbedder(16)])
def test_everything_can_be_embedded_anew(other: HashingEmbedder, tmp_path: Path) -> None:
    begun(tmp_path / "m", Named())
    with Memory.open(tmp_path / "m", other, reembed=True) as memory:
        assert memory.verify().ok
        assert memory.episodic.recall("the boat", 1)[0].trace.key == "Ada hid the boat"
        memory.episodic.write("Ada hid the letter", origin="x")
        assert memory.relational.retrieve("What does Ada like?").facts
    with Memory.open(tmp_path / "m", other) as memory:
        assert memory.episodic.recall("the letter", 1)[0].trace.key == "Ada hid the letter"


@pytest.mark.parametrize("length", [0, 4, 10, 32, 256, 4000])
def test_a_vector_of_another_width_is_named_and_repaired(length: int, tmp_path: Path, cli: Hippo) -> None:
    begun(tmp_path / "m", HashingEmbedder(64))
    with Memory.open(tmp_path / "m") as memory:
        memory.store.db.execute("UPDATE traces SET vector = zeroblob(?) WHERE id = 2", (length,))
    for file in (tmp_path / "m" / "index").glob("*"):
        file.unlink()
    with Memory.open(tmp_path / "m") as memory:
        assert memory.episodic.recall("the lamp", 3)[0].trace.key == "Ada hid the lamp"
        assert any("vector" in problem for problem in memory.verify().problems)
        memory.episodic.recall("the boat", 3)
        memory.replay(2)
    code, out, _ = cli("memory", "verify", tmp_path / "m")
    assert (code, "traces whose vector" in out) == (1, True)
    assert cli("memory", "verify", tmp_path / "m", "--repair")[0] == 0
    assert cli("memory", "verify", tmp_path / "m")[0] == 0
    with Memory.open(tmp_path / "m") as memory:
        assert memory.episodic.recall("the boat", 1)[0].trace.key == "Ada hid the boat"


def test_another_embedder_from_the_command_line(tmp_path: Path, cli: Hippo) -> None:
    begun(tmp_path / "m", Named())
    code, _, err = cli("memory", "verify", tmp_path / "m")
    assert (code, "house" in err) == (2, True)
    assert cli("memory", "verify", tmp_path / "m", "--embedder", "hashing")[0] == 2
    assert cli("memory", "verify", tmp_path / "m", "--repair", "--embedder", "hashing")[0] == 0
    assert cli("memory", "search", tmp_path / "m", "boat")[0] == 0
