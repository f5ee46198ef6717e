"""Registry of environments by name."""

import difflib
import importlib
import importlib.util
import inspect
import sys
import warnings
import zlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from envs.errors import EnvConfigError, UnknownEnvError

IDS = {
    "hippo/WaterMaze-v0": "envs.water_maze:WaterMaze",
    "hippo/Courier-v0": "envs.courier:Courier",
    "hippo/BabyAIMixed-v0": "envs.babyai_mixed:BabyAIMixed",
    "hippo/EpisodicQA-v0": "envs.episodic_qa:EpisodicQA",
    "hippo/MultiHopQA-v0": "envs.multi_hop_qa:MultiHopQA",
    "hippo/DocumentQA-v0": "envs.document_qa:DocumentQA",
}


GROUP = "hippo.envs"
"""Group of entry points with which an installed package offers a world, or a module that registers some."""

GRIDS = ("MiniGrid-", "BabyAI-")


def register() -> None:
    """Register our ids with gymnasium; calling it twice does nothing."""
    for name, entry_point in IDS.items():
        if name not in gym.registry:
            gym.register(name, entry_point=entry_point, disable_env_checker=True)


def known_ids() -> list[str]:
    """Return every id that speaks text: ours, and those of MiniGrid and BabyAI through the text wrapper."""
    import minigrid  # importing it registers its ids

    register()
    made_from_files = Path(minigrid.__file__).parent / "envs" / "wfc" / "patterns"
    unfit = () if made_from_files.is_dir() else ("MiniGrid-WFC-",)  # minigrid's wheel lacks the files that these need
    return [*IDS, *sorted(i for i in gym.registry if i.startswith(GRIDS) and not i.startswith(unfit))]


def make(name: str, **settings: Any) -> gym.Env[str, Any]:
    """Make an environment whose observations are text.

    Args:
        name: One of our ids, a MiniGrid or BabyAI id, or any gymnasium id whose observation is text. It may have the
            prefix ``gym:`` and the module or file that registers the id (``gym:my_worlds.py:Kitchen-v0``).
        settings: Passed on to the environment.

    Raises:
        UnknownEnvError: There is no such id; the message names similar ones.
        EnvConfigError: Its observation is not text, or it refuses the settings.
    """
    ids = known_ids()
    place, colon, name = name.removeprefix("gym:").rpartition(":")
    if colon:
        _import(place)
    if not colon and name not in gym.registry:
        _register_installed(name)
    if name not in gym.registry:
        near = difflib.get_close_matches(name, sorted({*ids, *gym.registry}), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "see `hippo envs`"
        raise UnknownEnvError(f"unknown environment {name!r}: {hint}")
    try:
        env: gym.Env[Any, Any] = gym.make(name, **settings)
    except EnvConfigError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        raise EnvConfigError(f"{name} does not take these settings: {error or type(error).__name__}") from error
    except (ImportError, OSError) as error:
        raise EnvConfigError(f"{name} can't be made here: {type(error).__name__}: {error}") from error
    if name.startswith(GRIDS):
        from envs.text_grid import TextGrid

        return TextGrid(env)
    if not isinstance(env.observation_space, spaces.Text):
        raise EnvConfigError(
            f"{name} observes {type(env.observation_space).__name__}, not text: wrap it in an "
            "environment whose observation space is gymnasium.spaces.Text"
        )
    return env


def installed_ids() -> list[str]:
    """Return every id that installed packages offer, in the group ``hippo.envs`` of entry points or in its modules.

    What can't be imported is told with a warning, and does not stop the rest.
    """
    before = set(gym.registry)
    for entry in entry_points(group=GROUP):
        try:
            _offered(entry)
        except EnvConfigError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
    return sorted({*gym.registry} - before)


def _register_installed(name: str) -> None:
    """Register what installed packages offer: the world of a name, or else all, which may register the id.

    Raises:
        EnvConfigError: The world of that name can't be imported, or two packages registered it.
    """
    named = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if len(named) > 1:
        owners = [str(entry.dist and entry.dist.name) for entry in named]
        raise EnvConfigError(f"{name!r} is registered by {' and '.join(owners)}: name the module, {named[0].module}:ID")
    if named:
        _offered(named[0])
    elif "/" in name or "-v" in name:
        installed_ids()


def _offered(entry: EntryPoint) -> None:
    """Import what a package registered: a module, which registers ids with gymnasium, or what makes a world.

    Raises:
        EnvConfigError: It can't be imported.
    """
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # the boundary: somebody's module may raise anything
        words = f"{type(error).__name__}: {error}".rstrip(": ")
        raise EnvConfigError(f"world {entry.name!r} ({entry.value}) can't be imported: {words}") from error
    if not inspect.ismodule(found) and entry.name not in gym.registry:
        gym.register(entry.name, entry_point=found, disable_env_checker=True)


def _is_imported(file: Path) -> bool:
    """Return whether a file was imported before: it may hold tools or a policy as well."""
    found = (str(getattr(module, "__file__", "")) for name, module in [*sys.modules.items()] if name[:6] == "hippo_")
    return any(one and Path(one).resolve() == file.resolve() for one in found)


def _import(place: str) -> None:
    """Import the module, or the file, that registers an id.

    Raises:
        UnknownEnvError: The module or file does not exist.
        EnvConfigError: Importing it raises an error.
    """
    file = Path(place)
    mark = f"{zlib.crc32(str(file.resolve()).encode()):08x}"  # tells files of the same name in different folders apart
    name = f"hippo_env_{file.stem}_{mark}" if place.endswith(".py") else place
    if name in sys.modules or (place.endswith(".py") and _is_imported(file)):
        return
    try:
        if not place.endswith(".py"):
            importlib.import_module(place)
            return
        if not file.is_file():
            raise UnknownEnvError(f"no file {place}: give the module or the .py file that registers the environment")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        if (folder := str(file.resolve().parent)) not in sys.path:
            sys.path.append(folder)  # what stands beside the file can be imported by it, and hides nothing
        spec.loader.exec_module(module)
    except UnknownEnvError:
        raise
    except ModuleNotFoundError as error:
        sys.modules.pop(name, None)
        hint = " (a file needs its .py)" if error.name == place else ""
        raise UnknownEnvError(f"{place} can't be imported: no module {error.name!r}{hint}") from error
    except Exception as error:  # the boundary: somebody's module may raise anything
        sys.modules.pop(name, None)
        raise EnvConfigError(f"{place} can't be imported: {type(error).__name__}: {error}") from error
