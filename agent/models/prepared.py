"""Models prepared for ONNX Runtime: the adapter added to the weights, converted once, kept in the cache folder."""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from agent.errors import CatalogError
from agent.hub import adapters, catalog
from agent.models.local_config import LocalModelConfig
from agent.models.tokenizer import FastTokenizer
from agent.models.tokens import tokenizer_of
from memory import sentence_model
from memory.paths import cache_dir

BUILDER = "onnxruntime_genai.models.builder"
FORM = "fp32"
"""Precision of prepared models. Those of 8 and 4 bits are no faster at the length of our steps, and say other things
(docs/results/batch.md)."""

SIZES = "hippo_sizes.json"
"""Name of the list of a prepared model's files and their sizes in bytes."""

MOST_PACKED = 1 << 30
"""Bytes of weights that are kept packed as well: they take the same space again."""

PACKED = {
    "session.optimized_model_external_initializers_file_name": "model.onnx.data",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
    "session.save_external_prepacked_constant_initializers": "1",
}


def available() -> bool:
    """Return whether ONNX Runtime GenAI is installed, and what it converts with."""
    return all(find_spec(name) for name in ("onnxruntime_genai", "onnx", "onnx_ir"))


def folder_of(model: Path, adapter: Path | None) -> Path:
    """Return where a prepared model is kept, whether it is there or not."""
    manifest = model / catalog.MANIFEST
    weights = sorted(model.glob("*.safetensors"))
    sizes = [f"{part.name} {part.stat().st_size} {part.stat().st_mtime_ns}" for part in weights]
    small = [model / "config.json", model / "tokenizer.json"]
    parts = [FORM, platform.machine(), metadata.version("onnxruntime"), metadata.version("onnxruntime-genai")]
    parts += [manifest.read_text(encoding="utf-8")] if manifest.is_file() else sizes
    if adapter:
        small.append(adapter / adapters.SETTINGS)
        parts.append(adapters.digest(adapter))
    parts += [hashlib.sha256(file.read_bytes()).hexdigest() for file in small if file.is_file()]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_dir() / "onnx" / f"{adapter.name if adapter else model.name}-{key}"


def is_prepared(folder: Path) -> bool:
    """Return whether a prepared model is there, whole."""
    listed = folder / SIZES
    if not listed.is_file():
        return False
    sizes: dict[str, int] = json.loads(listed.read_text(encoding="utf-8"))
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def prepare_named(name: str) -> Path:
    """Convert the sentence embedder, a model or an adapter on its base model, and return where it is.

    Args:
        name: ``minilm``, a name of the catalogue, a folder of a model, or an adapter.

    Raises:
        CatalogError: There is none of that name, or it can't be converted.
    """
    if name == "minilm":
        return sentence_model.prepare(catalog.resolve(name))
    if name in catalog.BY_NAME and catalog.entry(name).role != "language":
        raise CatalogError(f"{name} is not converted: only language models, adapters and minilm are")
    if name in catalog.BY_NAME or (Path(name) / "config.json").is_file():
        return prepare(LocalModelConfig(name=name), catalog.resolve(name), None)
    adapter = adapters.resolve(name)
    base = adapters.base_of(adapter)
    return prepare(LocalModelConfig(name=base), catalog.resolve(base), adapter)


def prepare(config: LocalModelConfig, model: Path, adapter: Path | None) -> Path:
    """Convert a model with its adapter, if that was not done before, and return the folder.

    Args:
        config: Settings of the model.
        model: Folder of the model.
        adapter: Folder of the adapter.

    Raises:
        CatalogError: It can't be converted.
    """
    target = folder_of(model, adapter)
    if is_prepared(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_prepared(target):
            return target
        for leftover in target.parent.glob(f".{target.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        print(  # noqa: T201 - it takes a while
            f"Preparing {target.name.rsplit('-', 1)[0]} for this CPU, once (about 30 s)", file=sys.stderr
        )
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            merged, made = Path(scratch) / "merged", Path(scratch) / "made"
            tokenizer = tokenizer_of(model)
            _merge(config, model, adapter, tokenizer, merged)
            _convert(merged, Path(scratch) / "converted")
            _pack(Path(scratch) / "converted", made)
            FastTokenizer.of(tokenizer).save(made)
            sizes = {path.name: path.stat().st_size for path in made.iterdir()}
            (made / SIZES).write_text(json.dumps(sizes), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            made.replace(target)
    return target


def _merge(config: LocalModelConfig, model: Path, adapter: Path | None, tokenizer: Any, folder: Path) -> None:
    from agent.models.weights import load_network

    plain = config.model_copy(update={"device": "cpu", "load_in_4bit": False, "dtype": "float32"})
    network = load_network(plain, model, adapter, tokenizer)
    if hasattr(network, "get_base_model"):
        raise CatalogError("this adapter can't be added to the weights: it runs with model.backend=torch")
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _convert(merged: Path, folder: Path) -> None:
    asked = ["-m", str(merged), "-i", str(merged), "-o", str(folder), "-p", FORM, "-e", "cpu", "-c", str(merged)]
    done = subprocess.run([sys.executable, "-m", BUILDER, *asked], capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "genai_config.json").is_file():
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise CatalogError(f"ONNX Runtime can't convert this model ({lines[-1]}): it runs with model.backend=torch")
    settings = json.loads((folder / "genai_config.json").read_text())
    if settings["model"].get("vocab_size", 0) <= 0:
        raise CatalogError("ONNX Runtime's converter gave no size of the vocabulary: use model.backend=torch")


def _pack(source: Path, folder: Path) -> None:
    """Keep the weights also in the order in which this processor computes with them, so that they load at once."""
    import onnxruntime

    files = [path.name for path in source.iterdir()]
    graph, data = "model.onnx", "model.onnx.data"
    if (source / data).stat().st_size > MOST_PACKED:
        source.replace(folder)
        return
    folder.mkdir()
    for name in {*files} - {graph, data}:
        (source / name).replace(folder / name)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / graph)
    options.log_severity_level = 3
    for key, value in PACKED.items():
        options.add_session_config_entry(key, value)
    try:
        onnxruntime.InferenceSession(str(source / graph), options, ["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has errors of its own, such as for a full disk
        raise CatalogError(f"ONNX Runtime can't keep the converted model in {folder.parent.parent}: {error}") from error
