"""Tools that users bring, loaded by import path."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.errors import ToolSchemaError, UnknownToolError
from tools.tool import Tool
from tools.toolbox import tools_of, unknown


def load(path: str) -> list[Tool]:
    """Load the tools that ``path`` names.

    Args:
        path: ``module``, ``module:tool`` or ``folder/file.py[:tool]``; without a tool, all of them.

    Raises:
        UnknownToolError: The module or the tool does not exist.
        ToolSchemaError: The module holds no tool, or can't be imported.
    """
    place, name = split_path(path)
    by_name = {item.name: item for item in tools_of(_module(place))}
    if not by_name:
        raise ToolSchemaError(f"{place} holds no tool: decorate a typed function with @tool")
    if name and name not in by_name:
        raise UnknownToolError(unknown(f"tool in {place}", name, by_name))
    return [by_name[name]] if name else list(by_name.values())


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
        here = Path(*place.split(".")).with_suffix(".py")
        if not here.is_file():
            try:
                return importlib.import_module(place)
            except ModuleNotFoundError as error:
                raise UnknownToolError(f"no module {place!r} ({error}): give a module name or a .py file") from error
        place = str(here)  # a module in the current folder, which a command does not search
    file = Path(place).expanduser()
    if not file.is_file():
        raise UnknownToolError(f"no file {place}: give a module name or a .py file")
    name = f"hippo_plugin_{file.stem}"  # a file called random.py must not hide the real one
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UnknownToolError(f"can't import {place}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, ToolSchemaError):
            raise
        raise ToolSchemaError(f"{place} can't be imported: {type(error).__name__}: {error}") from error
    return module
