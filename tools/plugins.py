"""Tools that users bring, loaded by import path."""

import importlib
import inspect
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from memory.registered import PluginError, entries, registered
from tools.errors import ToolSchemaError, UnknownToolError
from tools.plugin_files import module_of_file
from tools.tool import Tool
from tools.toolbox import tools_of, unknown

GROUP = "hippo.tools"
"""Group of entry points with which an installed package offers a module with tools, or one tool."""


def load_all(paths: Iterable[str]) -> list[Tool]:
    """Load the tools that paths name; ``file.py:one,other`` names two of one file.

    Args:
        paths: As :func:`load` takes them, also several in one text, with commas between.

    Raises:
        UnknownToolError: A module or a tool does not exist.
        ToolSchemaError: A module holds no tool, or can't be imported.
    """
    loaded: list[Tool] = []
    place = ""
    for path in (part.strip() for text in paths for part in text.split(",") if part.strip()):
        beside = place and not Path(f"{path}.py").is_file()
        if beside and path in {item.name for item in tools_of(_module(place))}:
            loaded += load(f"{place}:{path}")
        else:
            place = split_path(path)[0] if split_path(path)[1] else ""
            loaded += load(path)
    return loaded


def load(path: str) -> list[Tool]:
    """Load the tools that ``path`` names.

    Args:
        path: ``module``, ``module:tool`` or ``folder/file.py[:tool]``, or a name that a package registered in the group
            ``hippo.tools``; without a tool, all of them.

    Raises:
        UnknownToolError: The module or the tool does not exist.
        ToolSchemaError: The module holds no tool, or can't be imported; or two packages registered the name.
    """
    place, name = split_path(path)
    module = _registered(place) or _module(place)
    by_name: dict[str, Tool] = {}
    for item in [module] if isinstance(module, Tool) else tools_of(module):
        if by_name.setdefault(item.name, item) is not item:
            raise ToolSchemaError(f"{place} holds two tools called {item.name!r}: give one another name")
    if not by_name:
        holders = [one for one, value in vars(module).items() if not inspect.ismodule(value) and tools_of(value)]
        hint = f"; {holders[0]} has some: assign them, as in `name = {holders[0]}.name`" if holders else ""
        raise ToolSchemaError(f"{place} holds no tool: decorate a typed function with @tool{hint}")
    if name and name not in by_name:
        raise UnknownToolError(unknown(f"tool in {place}", name, by_name))
    return [by_name[name]] if name else list(by_name.values())


def installed() -> list[EntryPoint]:
    """Return what installed packages registered in the group ``hippo.tools``, by name."""
    return entries(GROUP)


def _registered(name: str) -> Any:
    """Return what a package registered under a name; ``None`` if none did.

    Raises:
        ToolSchemaError: Two packages did, or it can't be imported.
    """
    try:
        return registered(GROUP, name)
    except PluginError as error:
        raise ToolSchemaError(str(error)) from error


def load_object(path: str, what: str) -> Any:
    """Load one thing of the user's own, such as a policy.

    Args:
        path: ``module:name`` or ``folder/file.py:name``.
        what: What it should be, for messages.

    Raises:
        UnknownToolError: There is no such module, file or name.
        ToolSchemaError: The module can't be imported.
    """
    place, name = split_path(path)
    if not name:
        raise UnknownToolError(f"{what} {path!r}: expected module:name or file.py:name")
    module = _module(place)
    if not hasattr(module, name):
        raise UnknownToolError(unknown(f"{what} in {place}", name, [one for one in vars(module) if one[:1] != "_"]))
    return getattr(module, name)


def split_path(path: str) -> tuple[str, str]:
    """Return a module or file, and the name of a tool; the colon after the letter of a drive separates nothing."""
    place, colon, name = path.rpartition(":")
    drive = len(place) == 1 and place.isalpha() and name[:1] in ("\\", "/")
    if not colon or drive or (name and not name.isidentifier()):
        return path, ""
    return place, name


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        here = Path(*place.split(".")).with_suffix(".py") if place.strip("./") else Path()
        if not here.is_file():
            try:
                return importlib.import_module(place)
            except (ModuleNotFoundError, ValueError, TypeError) as error:
                raise UnknownToolError(f"no module {place!r} ({error}): give a module name or a .py file") from error
        place = str(here)  # a module in the current folder, which a command does not search
    return module_of_file(place)
