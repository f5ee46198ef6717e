"""What is installed, what is missing, how to get it."""

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from agent.hub import catalog
from agent.shadows import PACKAGES
from memory.paths import cache_dir

NEEDED = (
    "torch", "transformers", "peft", "bitsandbytes", "faiss-cpu", "networkx", "pydantic", "jinja2", "gymnasium",
    "minigrid", "llguidance", "hydra-core", "gguf", "spacy", "matplotlib",
)  # fmt: skip
OPTIONAL = {"trl": "training: pip install 'hippo-llm-memory[train]'", "smolagents": "the loop benchmark: [bench]"}
LEAST_FREE_GB = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; ``fix`` says what to do if ``ok`` is false."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = True


def checks() -> list[Check]:
    """Look at this machine: Python, packages, models, accelerator, disk."""
    results = [Check("python", True, platform.python_version())]
    results += [_package(name, True, "run `make setup`") for name in NEEDED]
    results += [_package(name, False, fix) for name, fix in OPTIONAL.items()]
    results += [
        Check(
            f"model {entry.name}",
            catalog.is_cached(entry.name),
            "fetched" if catalog.is_cached(entry.name) else "not fetched",
            f"run `hippo models fetch {entry.name}`",
            needed=entry.name in ("smollm2-135m", "minilm", "spacy-en"),
        )
        for entry in catalog.ENTRIES
    ]
    return [*results, _shadows(), _accelerator(), _disk()]


def _shadows() -> Check:
    """Look for files in the current folder that would hide a package from programs that are run here."""
    here = [
        name for package in PACKAGES for name in (f"{package}.py", f"{package}/__init__.py") if Path(name).is_file()
    ]
    ours = Path(__file__).resolve().parent.parent.parent
    if not here or Path.cwd().resolve() == ours:
        return Check("names in this folder", True, "none hides a package")
    found = f"{', '.join(here)} hides the package of that name from programs that are run here"
    return Check("names in this folder", False, found, "rename it", needed=False)


def _package(name: str, needed: bool, fix: str) -> Check:
    try:
        return Check(name, True, metadata.version(name), needed=needed)
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed", fix, needed)


def _accelerator() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("accelerator", False, "torch is not installed", needed=False)
    import torch

    if torch.cuda.is_available():
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Check("accelerator", True, f"{torch.cuda.get_device_name(0)}, {gib:.0f} GiB", needed=False)
    return Check("accelerator", True, f"none: the CPU is used ({os.cpu_count()} cores)", needed=False)


def _disk() -> Check:
    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    fix = f"free some space, or set HIPPO_CACHE to a folder on another disk (now {_short(cache_dir())})"
    return Check("free disk for the cache", free > LEAST_FREE_GB, f"{free:.1f} GB", fix)


def _short(path: Path) -> str:
    home = str(Path.home())
    return str(path).replace(home, "~", 1)
