import numpy as np
import pytest

from envs.water_maze import WaterMaze
from eval.bench.maze import visit
from memory import HashingEmbedder, Memory


@pytest.mark.parametrize("twins", [0, 2])
def test_second_visits_are_short(twins: int) -> None:
    ratios = []
    for maze in range(6):
        env = WaterMaze(size=11, landmarks=5, maze_seed=500 + maze, twins=twins, moved=twins // 2)
        with Memory.open(None, HashingEmbedder(32)) as memory:
            first, second = visit(memory, env, 2 * maze), visit(memory, env, 2 * maze + 1)
            assert first.solved
            assert second.solved
            ratios.append((first.ratio, second.ratio))
    firsts, seconds = np.array(ratios).T
    assert seconds.mean() < 1.3
    assert firsts.mean() > 3 * seconds.mean()


def test_other_visits_of_other_mazes_are_not_believed() -> None:
    """A memory of one maze under the name of another helps nothing, and breaks nothing."""
    with Memory.open(None, HashingEmbedder(32)) as memory:
        env = WaterMaze(size=11, landmarks=5, maze_seed=1)
        visit(memory, env, 0)
        other = WaterMaze(size=11, landmarks=5, maze_seed=2)
        other.world = env.world  # type: ignore[method-assign]
        assert visit(memory, other, 1).solved
