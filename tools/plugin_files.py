"""Python files of the user's own, imported under a name that hides nothing."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tools.errors import ToolSchemaError, UnknownToolError

PREFIX = "hippo_plugin_"
"""What stands before the name of a file's module."""

_imported: dict[str, tuple[Path, int, int]] = {}
"""File, time and size of each plugin that was imported, by the name of its module: it is imported once."""


def module_of_file(place: str) -> ModuleType:
    """Import a file, unless it was imported before and has not changed.

    Raises:
        UnknownToolError: There is no such file.
        ToolSchemaError: It can't be imported.
    """
    file = Path(place).expanduser()
    if not file.is_file():
        raise UnknownToolError(f"no file {place}: give a module name or a .py file")
    name = f"{PREFIX}{file.stem}"  # a file called random.py must not hide the real one
    state = file.resolve(), file.stat().st_mtime_ns, file.stat().st_size
    if name in sys.modules and _imported.get(name) == state:
        return sys.modules[name]
    if (known := _imported_as_world(file)) is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UnknownToolError(f"can't import {place}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if (folder := str(file.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # what stands beside the file can be imported by it, and hides nothing
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        words = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        raise ToolSchemaError(f"{place} can't be imported: {words}{_line(error, file)}") from error
    _imported[name] = state
    return module


def _imported_as_world(file: Path) -> ModuleType | None:
    """Return the module of a file that was imported for a world that it registers, which must not be done twice."""
    worlds = [module for name, module in [*sys.modules.items()] if name.startswith("hippo_env_")]
    return next((one for one in worlds if Path(str(one.__file__)).resolve() == file.resolve()), None)


def _line(error: BaseException, file: Path) -> str:
    """Return where in a file an error came from, in words; empty where that is unknown or said already."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f" (line {lines[-1]})" if lines and not isinstance(error, SyntaxError) else ""
