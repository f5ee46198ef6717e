"""Adapters: LoRA weights with a card that says where they come from."""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import safe_open

from agent.errors import CatalogError
from memory.nearest import nearest

WEIGHTS = "adapter_model.safetensors"
SETTINGS = "adapter_config.json"
CARD = "card.json"
OWN = Path("runs/adapters")
SHIPPED = "hippo-135m"
"""The adapter that plays where no model is named."""


def shipped() -> Path:
    """Return the folder of the adapters that come with the package."""
    return Path(str(files("agent"))) / "adapter_weights"


def found(folder: Path | None = None) -> Iterator[Path]:
    """Yield the folders of the adapters that ship, then those of the adapters in a folder."""
    for home in (shipped(), folder):
        if home is not None and home.is_dir():
            yield from sorted(path.parent for path in home.glob(f"*/{SETTINGS}") if (path.parent / WEIGHTS).is_file())


def resolve(name: str) -> Path:
    """Return the folder of an adapter.

    ``name`` is that folder itself, or the name of an adapter that ships or was trained here (``runs/adapters``).

    Raises:
        CatalogError: There is none.
    """
    for folder in (Path(name), shipped() / name, OWN / name):
        if (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file():
            return folder
    known = [path.name for path in found(OWN)]
    near = nearest(name, known, most=1, least=0.4) or known
    hint = f"; there is {', '.join(near)}" if near else ""
    if not Path(name).is_dir():
        raise CatalogError(f"there is no adapter {name!r}{hint}")
    raise CatalogError(f"{name} is no PEFT adapter: there is no {SETTINGS} with {WEIGHTS} in it{hint}")


def card(folder: Path) -> dict[str, Any]:
    """Return the card of an adapter: base model, data, command, metrics; an empty mapping if it has none.

    Raises:
        CatalogError: It can't be read.
    """
    path = folder / CARD
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return dict(content) if {"v", "base", "data"} <= {*content} else {}  # or another program's file
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{path} is no card: {error}") from error


def settings(folder: Path) -> dict[str, Any]:
    """Return PEFT's settings of an adapter.

    Raises:
        CatalogError: They can't be read.
    """
    try:
        content: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"{folder / SETTINGS} can't be read: {error}") from error
    return content


def base_of(folder: Path) -> str:
    """Return the name or folder of the model that an adapter was trained on.

    Raises:
        CatalogError: Its card or settings can't be read, or do not say.
    """
    name = card(folder).get("base", {}).get("name") or settings(folder).get("base_model_name_or_path")
    if not name:
        raise CatalogError(f"{folder / SETTINGS} does not say which model the adapter was trained on")
    return str(name)


def digest(folder: Path) -> str:
    """Return the SHA-256 of the weights, in hexadecimal."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def check(folder: Path, model: Path) -> None:
    """Check that an adapter was trained on this model and has the weights that its card describes.

    Raises:
        CatalogError: Other weights than the card's, or another base model.
    """
    about = check_weights(folder)
    base = about.get("base", {})
    if base.get("weights_sha256") not in (None, weights_digest(model)):
        raise CatalogError(
            f"{folder.name} was trained on {base.get('name', 'another model')}, and {model.name} is not it: choose "
            f"model={base.get('name', 'that one')}"
        )


def check_weights(folder: Path) -> dict[str, Any]:
    """Check that an adapter's weights can be read and are those that its card describes; return the card.

    Raises:
        CatalogError: They are not.
    """
    settings(folder)
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            file.keys()
    except Exception as error:  # safetensors has errors of its own
        raise CatalogError(f"{folder / WEIGHTS} is damaged ({error}): fetch or train it again") from error
    about = card(folder)
    if about.get("sha256") not in (None, digest(folder)):
        raise CatalogError(f"{folder / WEIGHTS} is not the file that its card describes: fetch or train it again")
    return about


def weights_digest(model: Path) -> str:
    """Return the SHA-256 of a model's tensors, independent of the headers of its files.

    A safetensors file is the length of its header in 8 bytes, the header, then the tensors.
    """
    hasher = hashlib.sha256()
    for path in sorted(model.glob("*.safetensors")):
        with path.open("rb") as file:
            file.seek(int.from_bytes(file.read(8), "little"), 1)
            while block := file.read(1 << 22):
                hasher.update(block)
    return hasher.hexdigest()


def trained_on(source: str, folder: Path | None = None) -> list[dict[str, str]]:
    """Return the adapters whose data, or whose parents' data, came from a source.

    Each has the keys ``name``, ``folder`` and ``rebuild``, the commands that train it again without the source.

    Args:
        source: The source as provenance names it: ``env:hippo/Courier-v0``, or the name of a run.
        folder: Folder of your own adapters, searched beside those that ship.
    """
    affected = []
    for path in found(folder):
        about = card(path)
        if about and source in _learnt_from(about):
            affected.append({"name": about["name"], "folder": str(path), "rebuild": _rebuild(about, source, folder)})
    return affected


def _learnt_from(about: dict[str, Any]) -> set[str]:
    """Return every source of an adapter and of the adapters from which its training started."""
    return {*about.get("sources", ()), *about.get("runs", ()), *about.get("data", {}).get("runs", ())}


def _rebuild(about: dict[str, Any], source: str, folder: Path | None) -> str:
    """Return the commands that train an adapter without a source: first its parents, if they learnt from it."""
    name, command, before = about["name"], f"{about['command']} ", ""
    parent = (about.get("parent") or {}).get("name")
    parent_folder = next((path for path in found(folder) if path.name == parent), None)
    if parent_folder is not None and source in _learnt_from(card(parent_folder)):
        before = f"{_rebuild(card(parent_folder), source, folder)} && "
        command = re.sub(r"\badapter=\S+ ", f"adapter={parent}-without ", command)
    if "name=" in command:
        command = re.sub(rf"\bname={re.escape(name)} ", f"name={name}-without ", command)
    else:  # a recipe, which takes its name from the variable NAME
        command = f"NAME={name}-without {command}"
    return f"{before}{command.strip()} 'data.exclude=[{source}]'"
