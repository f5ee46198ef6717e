import gymnasium as gym
import pytest

from envs import EnvConfigError
from envs.water_maze import WaterMaze


def maze(**settings: int) -> WaterMaze:
    env = gym.make("hippo/WaterMaze-v0", **settings).unwrapped
    assert isinstance(env, WaterMaze)
    return env


def test_the_maze_stays_and_the_start_changes() -> None:
    env = maze(maze_seed=3)
    layouts, starts = set(), set()
    for seed in range(12):
        env.reset(seed=seed)
        layouts.add((env.platform, env.grid.encode().tobytes()))
        starts.add((*env.agent_pos, env.agent_dir))
    assert len(layouts) == 1
    assert len(starts) > 8


def test_other_mazes_differ() -> None:
    assert len({maze(maze_seed=seed).reset(seed=0)[0] for seed in range(8)}) > 4


@pytest.mark.parametrize("seed", range(20))
def test_the_platform_can_be_reached_but_not_seen(seed: int) -> None:
    env = maze(maze_seed=seed)
    observation, info = env.reset(seed=seed)
    best = env.optimal_steps()
    assert best >= env.maze_size // 3
    told = observation + str(info)
    for _ in range(60):
        observation, _, terminated, _, info = env.step(int(env.np_random.integers(3)))
        told += "" if terminated else observation + str(info["view"])
        if terminated:
            break
    assert "platform" not in told.replace(env.mission, "")
    assert "goal" not in told


def test_standing_on_the_platform_ends_it() -> None:
    env = maze(maze_seed=1)
    env.reset(seed=1)
    x, y = env.platform
    env.agent_pos, env.agent_dir = (x - 1, y), 0
    if env.grid.get(x - 1, y) is not None:
        env.agent_pos, env.agent_dir = (x + 1, y), 2
    assert env.optimal_steps() == 1
    observation, reward, terminated, truncated, _ = env.step(2)
    assert (terminated, truncated) == (True, False)
    assert 0.9 < float(reward) <= 1
    assert observation.startswith("You stand on the hidden platform.")


def test_steps_run_out() -> None:
    env = maze(max_steps=3)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    "settings", [{"size": 7}, {"size": 65}, {"landmarks": 1}, {"landmarks": 19}, {"maze_seed": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(EnvConfigError, match=r"must (be|not be)"):
        WaterMaze(**settings)  # type: ignore[arg-type]


def test_too_many_landmarks_for_the_size_are_refused() -> None:
    with pytest.raises(EnvConfigError, match="do not fit"):
        maze(size=8, landmarks=18).reset(seed=0)


def test_it_can_be_drawn() -> None:
    env = maze()
    env.reset(seed=0)
    assert env.ansi().count("\n") == env.maze_size - 1
    assert "◌" in env.ansi()
    assert gym.make("hippo/WaterMaze-v0", render_mode="ansi").unwrapped.metadata["render_modes"]
    picture = WaterMaze(render_mode="rgb_array")
    picture.reset(seed=0)
    assert picture.render().shape[2] == 3


def landmarks(env: WaterMaze) -> dict[tuple[int, int], str]:
    cells = {(x, y): env.grid.get(x, y) for x in range(env.width) for y in range(env.height)}
    return {at: f"{c.color} {c.type}" for at, c in cells.items() if c is not None and c.type != "wall"}


def test_twins_look_alike() -> None:
    env = maze(maze_seed=4, landmarks=6, twins=3)
    env.reset(seed=0)
    looks = list(landmarks(env).values())
    assert len(looks) == 6
    assert len(set(looks)) == 3


def test_moved_landmarks_stand_elsewhere_and_the_rest_stay() -> None:
    env = maze(maze_seed=4, landmarks=6, moved=2)
    seen = []
    for seed in range(6):
        env.reset(seed=seed)
        seen.append(landmarks(env))
        assert env.platform not in seen[-1]
    assert len({tuple(sorted(one)) for one in seen}) > 3
    assert all(len(set(one.items()) & set(other.items())) >= 2 for one in seen for other in seen)
    env.reset(seed=0)
    assert landmarks(env) == seen[0]


@pytest.mark.parametrize("settings", [{"twins": 5}, {"twins": -1}, {"moved": 6}, {"moved": -1}])
def test_impossible_twins_and_moves_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(EnvConfigError, match="must be 0 to"):
        WaterMaze(landmarks=5, **settings)
