"""Files of a user's project that hide this project's packages, which have plain names."""

import importlib.util
from pathlib import Path

PACKAGES = ("agent", "tools", "envs", "memory", "training", "eval", "configs")


def hidden_by(package: str) -> Path | None:
    """Return the file that Python finds in place of one of this project's packages; ``None`` if there is none."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    place = Path(found.origin)
    home = Path(__file__).resolve().parent.parent
    return None if place.resolve().is_relative_to(home) else place


def check() -> None:
    """Raise if a file of another project hides one of this project's packages.

    Raises:
        ImportError: One does; the message names it.
    """
    for package in PACKAGES:
        if (place := hidden_by(package)) is not None:
            raise ImportError(
                f"{place} is in the way of the package {package!r} of hippo-llm-memory: rename it, or run from another "
                "folder"
            )


check()
