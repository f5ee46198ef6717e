"""Environments by name."""

import difflib
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


def register() -> None:
    """Register our ids with gymnasium; calling it twice does nothing."""
    for name, entry_point in IDS.items():
        if name not in gym.registry:
            gym.register(name, entry_point=entry_point, disable_env_checker=True)


def known_ids() -> list[str]:
    """Every id that speaks text: ours, and MiniGrid's and BabyAI's through the text wrapper."""
    import minigrid  # noqa: F401  (registers its ids)

    register()
    return [*IDS, *sorted(i for i in gym.registry if i.startswith(("MiniGrid-", "BabyAI-")))]


def make(name: str, **settings: Any) -> gym.Env[str, Any]:
    """Make an environment that speaks text.

    Args:
        name: One of our ids, a MiniGrid or BabyAI id, or any registered gymnasium id whose
            observation is text (``gym:`` before it is allowed).
        settings: Passed on to the environment.

    Raises:
        UnknownEnvError: No such id; the message names the nearest.
        EnvConfigError: Its observation is not text, or it refuses the settings.
    """
    name = name.removeprefix("gym:")
    ids = known_ids()
    if name not in gym.registry:
        near = difflib.get_close_matches(name, sorted({*ids, *gym.registry}), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "see `hippo envs`"
        raise UnknownEnvError(f"unknown environment {name!r}: {hint}")
    try:
        env: gym.Env[Any, Any] = gym.make(name, **settings)
    except TypeError as error:
        raise EnvConfigError(f"{name} does not take these settings: {error}") from error
    if name.startswith(("MiniGrid-", "BabyAI-")):
        from envs.text_grid import TextGrid

        return TextGrid(env)
    if not isinstance(env.observation_space, spaces.Text):
        raise EnvConfigError(
            f"{name} observes {type(env.observation_space).__name__}, not text: wrap it in an "
            "environment whose observation space is gymnasium.spaces.Text"
        )
    return env
