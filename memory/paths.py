"""Where downloaded models are cached."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder for downloaded models: ``HIPPO_CACHE``, else ``hippo`` in the user's cache folder."""
    if override := os.environ.get("HIPPO_CACHE"):
        return Path(override).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hippo"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "hippo"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hippo"
