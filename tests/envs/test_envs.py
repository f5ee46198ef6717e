import importlib
import json
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs import EnvConfigError, UnknownEnvError
from envs.perception import MAX_TOLD, Perception, SeenCell
from envs.registry import IDS
from envs.text_grid import TextGrid

SAMPLE = ["BabyAI-GoToLocal-v0", "BabyAI-UnlockPickup-v0", "MiniGrid-DoorKey-6x6-v0", "MiniGrid-LavaGapS5-v0"]
OURS = [name for name in IDS if name != "hippo/DocumentQA-v0"]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., gym.Env[str, Any]]:
    """Make any of our environments; the one over documents with a set of its own."""

    def made(name: str, **settings: Any) -> gym.Env[str, Any]:
        if name == "hippo/DocumentQA-v0":
            (tmp_path / "corpus.json").write_text(json.dumps({f"Town {i}": [f"It has mill {i}."] for i in range(9)}))
            asked = [
                {"question": f"What has Town {i}?", "answer": f"mill {i}", "supporting_facts": [[f"Town {i}", 0]]}
                for i in range(9)
            ]
            (tmp_path / "questions.json").write_text(json.dumps(asked))
            settings["path"] = str(tmp_path)
        return envs.make(name, **settings)

    return made


Make = Callable[..., gym.Env[str, Any]]


@pytest.mark.parametrize("mode", ["rgb_array", "ansi", None])
@pytest.mark.parametrize("name", IDS)
def test_ours_pass_gymnasiums_own_check(name: str, mode: str | None, make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(name, render_mode=mode).unwrapped)


def choose(env: gym.Env[str, Any], step: int, info: dict[str, Any]) -> Any:
    """One of the actions that can be taken now, in turn."""
    actions = dict(env.get_wrapper_attr("named_actions"))
    names = [name for name in info["available_actions"] if name in actions]
    return actions[names[step % len(names)]][0] if names else "an answer"


@pytest.mark.parametrize("name", [*IDS, *SAMPLE])
def test_the_same_seed_gives_the_same_episode(name: str, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    def play() -> list[object]:
        env = make(name)
        seen: list[object] = []
        for seed in (7, 8):
            observation, info = env.reset(seed=seed)
            seen += [observation, info]
            for step in range(30):
                observation, reward, terminated, truncated, info = env.step(choose(env, step, info))
                assert env.observation_space.contains(observation)
                seen += [observation, reward, terminated, info]
                if terminated or truncated:
                    break
        return seen

    assert play() == play()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", [*IDS, *SAMPLE])
def test_environments_pickle(name: str, make: Make) -> None:
    env = make(name)
    _, info = env.reset(seed=3)
    copy = pickle.loads(pickle.dumps(env))
    for step in range(5):
        action = choose(env, step, info)
        observation, reward, over, _, info = env.step(action)
        assert copy.step(action)[:3] == (observation, reward, over)
        if over:
            break


@pytest.mark.parametrize("name", OURS)
def test_without_a_seed_worlds_differ(name: str) -> None:
    env = envs.make(name)
    env.reset(seed=0)
    missions = [env.reset() for _ in range(6)]
    assert len({(text, info["mission"]) for text, info in missions}) > 1


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_levels(name: str, level: str) -> None:
    text, info = envs.make(name, level=level).reset(seed=1)
    assert text
    assert {"mission", "kind", "available_actions", "visit"} <= set(info)


@pytest.mark.parametrize("name", IDS)
def test_ours_are_described(name: str) -> None:
    module, _, entry = IDS[name].partition(":")
    words = str(getattr(importlib.import_module(module), entry).__doc__)
    parts = ["Description", "Mission", "Actions", "Observation", "Reward", "Termination", "Registered ids"]
    assert re.findall(r"## (.+)", words) == parts
    assert name in words


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in envs.known_ids() if name not in IDS][::12])
def test_any_grid_id_speaks(name: str) -> None:
    env = envs.make(name)
    observation, info = env.reset(seed=0)
    assert observation.startswith("You ")
    assert info["mission"]
    assert set(info["available_actions"]) <= {*env.get_wrapper_attr("named_actions"), "answer"}


def test_words_say_what_is_seen() -> None:
    env = envs.make("BabyAI-GoToLocal-v0")
    observation, info = env.reset(seed=1)
    assert info["mission"] == "go to the purple box"
    assert "a purple box 1 step left and 1 step forward" in observation
    assert {"kind": "box", "color": "purple", "state": "", "forward": 1, "right": -1} in info["view"]["objects"]


def test_what_is_carried_is_said() -> None:
    env = envs.make("BabyAI-PickupLoc-v0")
    _, info = env.reset(seed=0)
    walk = iter([2, 2, 0, 2, 2, 1, 2] * 40)
    while "pickup" not in info["available_actions"]:
        _, _, _, _, info = env.step(next(walk))
    observation, _, _, _, info = env.step(env.get_wrapper_attr("named_actions")["pickup"][0])
    assert "You carry a " in observation
    assert info["view"]["carrying"]
    assert "pickup" not in info["available_actions"]


def test_experts_know_the_way() -> None:
    env = envs.make("BabyAI-GoToLocal-v0")
    env.reset(seed=1)
    assert env.get_wrapper_attr("optimal_steps")() == 2
    door = envs.make("MiniGrid-DoorKey-6x6-v0")
    door.reset(seed=1)
    assert door.get_wrapper_attr("optimal_steps")() is None


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownEnvError, match="did you mean hippo/WaterMaze-v0"):
        envs.make("hippo/WaterMase-v0")


def test_other_observations_are_refused() -> None:
    with pytest.raises(EnvConfigError, match="observes Box, not text"):
        envs.make("CartPole-v1")
    with pytest.raises(EnvConfigError, match="does not take these settings"):
        envs.make("hippo/WaterMaze-v0", colour="red")
    with pytest.raises(EnvConfigError, match="TextGrid wraps"):
        TextGrid(gym.make("CartPole-v1"))


def test_the_expert_gives_up_where_it_would_go_round_for_ever() -> None:
    env = envs.make("BabyAI-Unlock-v0")
    env.reset(seed=10_002)  # the key lies behind the door that it opens
    assert env.get_wrapper_attr("optimal_steps")() is None


def test_a_door_says_what_opens_it() -> None:
    env = envs.make("BabyAI-UnlockLocal-v0")
    _, info = env.reset(seed=1)
    doors = [cell for cell in info["view"]["cells"] if "door" in cell[2]]
    assert all(cell[4] == ("" if cell[2].startswith("locked") else "toggle") for cell in doors)
    _, info = envs.make("BabyAI-OpenDoorColor-v0").reset(seed=1)
    doors = [cell for cell in info["view"]["cells"] if "door" in cell[2]]
    assert doors
    assert {cell[4] for cell in doors} == {"toggle"}


def test_only_the_nearest_of_many_things_are_told() -> None:
    cells = tuple(SeenCell.of(forward, right, "lava", "red", "") for forward in range(1, 7) for right in range(-3, 4))
    text = Perception(cells, "").text()
    assert text.startswith("You see lava 1 step forward, ")
    assert text.count("lava") == MAX_TOLD
    assert text.endswith("and more beyond.")
