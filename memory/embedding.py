"""Sentence embedders: they turn texts into vectors of length 1."""

import json
import re
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory.errors import EmbedderError
from memory.paths import cache_dir
from memory.registered import names, registered
from memory.sentence_model import SentenceModel, load

Vectors = NDArray[np.float32]

_DEFAULT = "minilm"

GROUP = "hippo.embedders"
"""Group of entry points with which an installed package offers an embedder."""


class Embedder(Protocol):
    """Interface of embedders, which turn texts into vectors whose inner product is their similarity.

    An embedder may have ``answer_min``, the least cosine of a question with a text that answers it; without it, the
    search for answers returns whatever is nearest.
    """

    name: str
    dim: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed ``texts`` as float32 ``[len(texts), dim]`` with rows of Euclidean length 1."""
        ...


class MiniLMEmbedder:
    """Embedder all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019), mean-pooled, 384 dimensions.

    The weights are loaded at the first text. The ``cache_size`` vectors used last are cached.

    Args:
        folder: Directory with ``config.json``, ``tokenizer.json`` and ``model.safetensors``;
            by default the one that ``hippo models fetch minilm`` makes.
        cache_size: How many vectors to keep in main memory.
        device: Where it computes, such as ``cuda``.
    """

    name = "all-MiniLM-L6-v2"
    dim = 384
    answer_min = 0.35
    """Least cosine of a question with a text that answers it; chosen on tests/memory/data/search.jsonl."""

    def __init__(self, folder: Path | None = None, cache_size: int = 4096, device: str = "cpu") -> None:
        self.folder = folder or cache_dir() / _DEFAULT
        self.cache_size = cache_size
        self.device = device
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self._model: SentenceModel | None = None

    def _load(self) -> SentenceModel:
        if not (self.folder / "model.safetensors").is_file():
            raise EmbedderError(
                f"no sentence embedder in {self.folder}: run `hippo models fetch {_DEFAULT}`, "
                "or open the memory with another embedder"
            )
        return load(self.folder, self.device)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed ``texts`` as float32 ``[len(texts), 384]`` with rows of Euclidean length 1."""
        with self._lock:
            return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        fresh = dict(zip(missing, self._compute(missing), strict=True)) if missing else {}
        vectors = [fresh[text] if text in fresh else self._cache[text] for text in texts]
        for text, vector in fresh.items():
            self._cache[text] = vector
        for text in texts:
            self._cache.move_to_end(text)
        while len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _compute(self, texts: list[str]) -> Vectors:
        if self._model is None:
            self._model = self._load()
        encoded = self._model.tokens(texts)
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))  # similar lengths together: little padding
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), self._model.together):
            rows = order[start : start + self._model.together]
            vectors[rows] = self._model.vectors([encoded[i] for i in rows])
        return vectors


class HashingEmbedder:
    """Embedder by signed feature hashing of words and word pairs (Weinberger et al. 2009), without a model.

    It reflects shared words, not shared meaning. Use it in tests and where no model is available.

    Args:
        dim: Length of the vectors.
    """

    def __init__(self, dim: int = 384) -> None:
        self.dim = dim
        self.name = f"hashing-{dim}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed ``texts`` as float32 ``[len(texts), dim]`` with rows of Euclidean length 1."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            words = re.findall(r"\w+", text.lower()) or [""]
            for feature in [*words, *(" ".join(pair) for pair in pairwise(words))]:
                code = zlib.crc32(feature.encode())
                row[code % self.dim] += 1.0 if code & 0x80000000 else -1.0
            row[0] += 1e-6
            row /= np.linalg.norm(row)
        return vectors


def by_name(name: str) -> Embedder:
    """Make the embedder that a configuration names: ``minilm``, ``hashing``, or one that a package registered.

    A class or function in the group ``hippo.embedders`` of entry points is called without arguments.

    Raises:
        EmbedderError: There is none of that name.
        PluginError: What was registered can't be imported.
    """
    known: dict[str, type[MiniLMEmbedder | HashingEmbedder]] = {
        "minilm": MiniLMEmbedder,
        "hashing": HashingEmbedder,
    }
    if name in known:
        return known[name]()
    made = registered(GROUP, name)
    if made is None:
        raise EmbedderError(
            f"unknown embedder {json.dumps(name)}: expected one of {', '.join([*known, *names(GROUP)])}"
        )
    found: Embedder = made()
    return found


def recorded(name: str) -> Embedder:
    """Make the embedder that a memory was written with, from the name that it stores.

    Raises:
        EmbedderError: No installed package has it; the caller must pass it when opening the memory.
    """
    if name == MiniLMEmbedder.name:
        return MiniLMEmbedder()
    kind, _, dim = name.partition("-")
    if kind == "hashing" and dim.isdigit():
        return HashingEmbedder(int(dim))
    for offered in names(GROUP):
        with suppress(Exception):  # somebody's package may be broken: it is not the one, or the error below is right
            made = by_name(offered)
            if made.name == name:
                return made
    raise EmbedderError(f"this memory was written with the embedder {name!r}: open it from Python, with that one")
