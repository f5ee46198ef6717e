"""What installed packages registered under a name, as entry points of a group."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from memory.errors import StoreError


class PluginError(StoreError):
    """What a package registered can't be used; the message says whose it is and why."""


def entries(group: str) -> list[EntryPoint]:
    """Return what installed packages registered in a group, by name."""
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def names(group: str) -> list[str]:
    """Return the names in a group, each once."""
    return list(dict.fromkeys(entry.name for entry in entries(group)))


def registered(group: str, name: str) -> Any:
    """Return what a package registered under a name; ``None`` if none did.

    Raises:
        PluginError: Two packages did, or it can't be imported.
    """
    found = [entry for entry in entries(group) if entry.name == name]
    if len(found) > 1:
        owners = [str(entry.dist and entry.dist.name) for entry in found]
        raise PluginError(f"{name!r} is registered by {' and '.join(owners)}: name the module, {found[0].module}")
    if not found:
        return None
    try:
        return found[0].load()
    except (Exception, SystemExit) as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        raise PluginError(f"plugin {name!r} ({found[0].value}) can't be imported: {words}") from error
