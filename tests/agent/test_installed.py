"""What other people's packages offer by entry points: worlds, models, embedders, backends of the memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envs
from agent import ConfigError
from agent.policies.choice import named_model
from envs.errors import EnvConfigError, UnknownEnvError
from envs.registry import installed_ids
from memory import HashingEmbedder, InvalidItemError, Memory
from memory.backends import VectorBackend
from memory.embedding import by_name

Hippo = Callable[..., tuple[int, str, str]]

CODE = '''
import gymnasium as gym
import numpy as np
from agent import ScriptedModel
from memory import HashingEmbedder
from tests.agent.corridor import AHEAD, Corridor

gym.register("OthersCorridor/Long-v0", Corridor, disable_env_checker=True)

def short(**settings):
    return Corridor(**settings)

def walker():
    return ScriptedModel([AHEAD] * 4, name="walker")

class Small(HashingEmbedder):
    def __init__(self):
        super().__init__(64)

class Plain:
    """Vectors in a dictionary."""
    made = 0
    def __init__(self, dim):
        type(self).made += 1
        self.kept = {}
    def __len__(self):
        return len(self.kept)
    def add(self, ids, vectors):
        self.kept.update(zip(ids.tolist(), vectors))
    def remove(self, ids):
        for one in ids.tolist():
            self.kept.pop(one, None)
    def search(self, query, k):
        scores = {one: float(query @ vector) for one, vector in self.kept.items()}
        best = sorted(scores, key=scores.get, reverse=True)[:k]
        return np.array(best, np.int64), np.array([scores[one] for one in best], np.float32)
'''

ENTRIES = """
[hippo.envs]
others_corridor = others_9:short
others_module = others_9
broken_world = broken_8

[hippo.models]
walker = others_9:walker
broken_model = broken_8

[hippo.embedders]
small = others_9:Small

[hippo.memory]
plain = others_9:Plain
half = others_9:short
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "others_9.py").write_text(CODE)
    (tmp_path / "broken_8.py").write_text("raise RuntimeError('out of order')")
    info = tmp_path / "others_9-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others_9\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_worlds(cli: Hippo, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"'broken_world' .* can't be imported: RuntimeError: out of order"):
        assert envs.make("OthersCorridor/Long-v0").reset(seed=0)[0] == "You stand at door 0."
    assert envs.make("others_corridor").reset(seed=0)[0] == "You stand at door 0."
    with pytest.raises(EnvConfigError, match="out of order"):
        envs.make("broken_world")
    with pytest.warns(UserWarning, match="broken_world"), pytest.raises(UnknownEnvError):
        envs.make("OthersCorridor/Longer-v0")
    with pytest.warns(UserWarning, match="broken_world"):
        installed_ids()
    assert "OthersCorridor/Long-v0" in gym.registry
    settings = ["memory=none", f"runs={tmp_path}", "episodes=1", "-q"]
    code, out, err = cli("run", "env=others_corridor", "model=walker", *settings)
    assert (code, "solved 1 of 1" in " ".join(out.split())) == (0, True), err


@pytest.mark.usefixtures("package")
def test_models() -> None:
    assert named_model("walker").name == "walker"
    with pytest.raises(ConfigError, match=r"'broken_model' .* can't be imported: RuntimeError: out of order"):
        named_model("broken_model")
    with pytest.raises(ConfigError, match="did you mean walker"):
        named_model("walke")


@pytest.mark.usefixtures("package")
def test_embedders_and_backends(tmp_path: Path) -> None:
    assert by_name("small").dim == 64
    texts = [f"{name} lives in {place}" for name in ("Ada", "Bo", "Cleo") for place in ("Oslo", "Riga", "Rome")]

    def filled(**settings: Any) -> list[Any]:
        with Memory.open(tmp_path / json.dumps(settings), HashingEmbedder(), **settings) as memory:
            ids = [memory.episodic.write(text, {"who": "me"}) for text in texts]
            memory.episodic.delete(ids[4])
            with pytest.raises(RuntimeError), memory.transaction():
                memory.episodic.write("Dan lives in Paris", {"who": "me"})
                assert memory.episodic.recall("Dan lives in Paris", 1)[0].trace.key == "Dan lives in Paris"
                raise RuntimeError
            assert memory.verify().ok
            return [[(hit.trace.key, round(hit.score, 4)) for hit in memory.episodic.recall(text, 3)] for text in texts]

    assert filled(backend="plain") == filled()
    with Memory.open(tmp_path / json.dumps({"backend": "plain"}), HashingEmbedder(), backend="plain") as again:
        assert again.episodic.recall("Ada lives in Oslo", 1)[0].trace.key == "Ada lives in Oslo"
    with pytest.raises(InvalidItemError, match="unknown backend 'plane' of the memory: did you mean plain"):
        Memory.open(None, HashingEmbedder(), backend="plane")
    with pytest.raises(InvalidItemError, match="lacks __len__, add, remove, search"):
        Memory.open(None, HashingEmbedder(), backend=lambda _dim: object())  # type: ignore[arg-type, return-value]


def test_a_backend_that_forgets_is_filled_again() -> None:
    import faiss

    class Faiss:
        def __init__(self, dim: int) -> None:
            self.index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))

        def __len__(self) -> int:
            return int(self.index.ntotal)

        def add(self, ids: Any, vectors: Any) -> None:
            self.index.add_with_ids(vectors, ids)

        def remove(self, ids: Any) -> None:
            self.index.remove_ids(ids)

        def search(self, query: Any, k: int) -> Any:
            scores, ids = self.index.search(query[None], k)
            return ids[0], scores[0]

    made: VectorBackend = Faiss(4)
    made.add(np.array([7]), np.eye(4, dtype=np.float32)[:1])
    assert len(made) == 1
    with Memory.open(None, HashingEmbedder(), backend=Faiss) as memory:
        memory.episodic.write("the red ball is in the hall", {"who": "me"})
        assert memory.episodic.recall("red ball", 1)
        memory.store.invalidate()
        assert memory.episodic.recall("red ball", 1)
