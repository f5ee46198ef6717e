"""Adapters: LoRA weights with a card that says where they come from."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from agent.errors import CatalogError

WEIGHTS = "adapter_model.safetensors"
SETTINGS = "adapter_config.json"
CARD = "card.json"
OWN = Path("runs/adapters")


def shipped() -> Path:
    """The folder of the adapters that come with the package."""
    return Path(str(files("agent"))) / "adapter_weights"


def found(folder: Path | None = None) -> Iterator[Path]:
    """The adapters that ship, and those in a folder."""
    for home in (shipped(), folder):
        if home is not None and home.is_dir():
            yield from sorted(path.parent for path in home.glob(f"*/{SETTINGS}") if (path.parent / WEIGHTS).is_file())


def resolve(name: str) -> Path:
    """The folder of an adapter, given that, or the name of one that ships or was trained here (``runs/adapters``).

    Raises:
        CatalogError: There is none.
    """
    for folder in (Path(name), shipped() / name, OWN / name):
        if (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file():
            return folder
    known = [path.name for path in found(OWN)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or known
    hint = f"; there is {', '.join(near)}" if near else ""
    raise CatalogError(f"{name} is no PEFT adapter: there is no {SETTINGS} with {WEIGHTS} in such a folder{hint}")


def card(folder: Path) -> dict[str, Any]:
    """The card of an adapter: base model, data, command, metrics; empty if it has none.

    Raises:
        CatalogError: It can't be read.
    """
    path = folder / CARD
    if not path.is_file():
        return {}
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return dict(read) if {"v", "base", "data"} <= {*read} else {}  # a file of somebody else's
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{path} is no card: {error}") from error


def settings(folder: Path) -> dict[str, Any]:
    """PEFT's settings of an adapter.

    Raises:
        CatalogError: They can't be read.
    """
    try:
        read: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"{folder / SETTINGS} can't be read: {error}") from error
    return read


def digest(folder: Path) -> str:
    """SHA-256 of the weights."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def check(folder: Path, model: Path) -> None:
    """See that an adapter was trained on this model and is the one that its card describes.

    Raises:
        CatalogError: Other weights than the card's, or another base model.
    """
    about = card(folder)
    if about.get("sha256") not in (None, digest(folder)):
        raise CatalogError(f"{folder / WEIGHTS} is not the file that its card describes: fetch or train it again")
    base = about.get("base", {})
    if base.get("weights_sha256") not in (None, weights_digest(model)):
        raise CatalogError(
            f"{folder.name} was trained on {base.get('name', 'another model')}, and {model.name} is not it: choose "
            f"model={base.get('name', 'that one')}"
        )


def weights_digest(model: Path) -> str:
    """SHA-256 of a model's tensors, whatever the headers of its files say.

    A safetensors file is the length of its header in 8 bytes, the header, then the tensors.
    """
    seen = hashlib.sha256()
    for path in sorted(model.glob("*.safetensors")):
        with path.open("rb") as file:
            file.seek(int.from_bytes(file.read(8), "little"), 1)
            while block := file.read(1 << 22):
                seen.update(block)
    return seen.hexdigest()


def trained_on(source: str, folder: Path | None = None) -> list[dict[str, str]]:
    """The adapters whose data, or whose parents' data, came from a source, and the command that makes each without it.

    Args:
        source: As provenance has it: ``env:hippo/Courier-v0``, or the name of a run.
        folder: Of your own adapters, beside those that ship.
    """
    using = []
    for path in found(folder):
        about = card(path)
        if about and source in _learnt_from(about):
            using.append({"name": about["name"], "folder": str(path), "rebuild": _rebuild(about, source, folder)})
    return using


def _learnt_from(about: dict[str, Any]) -> set[str]:
    """Every source of an adapter and of those that it was trained on from."""
    return {*about.get("sources", ()), *about.get("runs", ()), *about.get("data", {}).get("runs", ())}


def _rebuild(about: dict[str, Any], source: str, folder: Path | None) -> str:
    """The commands that make an adapter without a source: its parents first, as far as they learnt from it."""
    name, command, before = about["name"], f"{about['command']} ", ""
    parent = (about.get("parent") or {}).get("name")
    made = next((path for path in found(folder) if path.name == parent), None)
    if made is not None and source in _learnt_from(card(made)):
        before = f"{_rebuild(card(made), source, folder)} && "
        command = re.sub(r"\badapter=\S+ ", f"adapter={parent}-without ", command)
    if "name=" in command:
        command = re.sub(rf"\bname={re.escape(name)} ", f"name={name}-without ", command)
    else:  # a recipe
        command = f"NAME={name}-without {command}"
    return f"{before}{command.strip()} 'data.exclude=[{source}]'"
