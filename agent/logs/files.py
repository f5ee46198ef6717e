"""The files of runs: as :mod:`memory.files` writes and locks them, with this package's error."""

from functools import partial

from agent.errors import LogError
from memory import files

atomic_path = partial(files.atomic_path, error=LogError)
atomic_write = partial(files.atomic_write, error=LogError)
folder_lock = partial(files.folder_lock, error=LogError)
