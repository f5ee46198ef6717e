import pickle
import warnings

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs import EnvConfigError, UnknownEnvError
from envs.registry import IDS
from envs.text_grid import TextGrid

SAMPLE = ["BabyAI-GoToLocal-v0", "BabyAI-UnlockPickup-v0", "MiniGrid-DoorKey-6x6-v0", "MiniGrid-LavaGapS5-v0"]


@pytest.mark.parametrize("name", IDS)
def test_ours_pass_gymnasiums_own_check(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(name, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("name", [*IDS, *SAMPLE])
def test_the_same_seed_gives_the_same_episode(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def play() -> list[object]:
        env = envs.make(name)
        observation, info = env.reset(seed=7)
        seen: list[object] = [observation, info["view"]]
        for step in range(30):
            observation, reward, terminated, truncated, info = env.step([2, 0, 2, 1][step % 4] % env.action_space.n)
            assert env.observation_space.contains(observation)
            seen += [observation, reward, terminated, info["view"], info["available_actions"]]
            if terminated or truncated:
                break
        return seen

    assert play() == play()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", [*IDS, *SAMPLE])
def test_environments_pickle(name: str) -> None:
    env = envs.make(name).unwrapped
    env.reset(seed=3)
    copy = pickle.loads(pickle.dumps(env))
    assert copy.step(0)[1:3] == env.step(0)[1:3]


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")
@pytest.mark.parametrize("name", envs.known_ids()[::12])
def test_any_grid_id_speaks(name: str) -> None:
    env = envs.make(name)
    observation, info = env.reset(seed=0)
    assert observation.startswith("You ")
    assert info["mission"]
    assert set(info["available_actions"]) <= set(env.get_wrapper_attr("named_actions"))


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
