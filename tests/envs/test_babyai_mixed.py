from collections import Counter
from typing import Any

import pytest

from agent.policies.missions import goals_of
from envs import EnvConfigError
from envs.babyai_mixed import LEVELS, SKILLS, BabyAIMixed


@pytest.mark.parametrize("level", LEVELS)
def test_all_skills_are_asked_for_and_can_be_done(level: str) -> None:
    env = BabyAIMixed(level)
    kinds: Counter[str] = Counter()
    for seed in range(40):
        _, info = env.reset(seed=seed)
        kinds[info["kind"]] += 1
        assert goals_of(env.understand(info["mission"])), info["mission"]
        if seed < 15:
            assert env.optimal_steps()
    assert set(kinds) == set(SKILLS)


def test_missions_of_a_test_are_in_other_words() -> None:
    env = BabyAIMixed()
    said = {
        split: {env.reset(seed=start + i)[1]["mission"].split()[0] for i in range(80)}
        for split, start in (("train", 0), ("test", 2_000_000))
    }
    assert "go" in said["test"]
    assert not {"walk", "open", "put", "place"} & said["test"]


def test_chosen_skills_only() -> None:
    env = BabyAIMixed(rooms=1, skills=("put next to",), distractors=3)
    assert {env.reset(seed=seed)[1]["kind"] for seed in range(10)} == {"put next to"}


def test_doing_it_ends_the_episode() -> None:
    env = BabyAIMixed("easy", skills=("go to",))
    env.reset(seed=3)
    from envs.bot import bot_actions

    reward, over = 0.0, False
    for action in list(bot_actions(env)):
        _, reward, over, _, _ = env.step(action)  # type: ignore[assignment]
    assert over
    assert reward > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "hot"}, "unknown level 'hot': expected easy, medium, hard"),
        ({"rooms": 5}, "rooms must be one of 1, 2, 3, 4, 6, 9, got 5"),
        ({"room_size": 3}, "room_size must be 4 to 16"),
        ({"distractors": 15}, "distractors must be 0 to 14"),
        ({"skills": ("fly",)}, "skills must be some of go to"),
        ({"skills": ()}, "got none"),
        ({"rooms": 1}, "one room has no door to open"),
        ({"rooms": 1, "room_size": 4, "distractors": 4, "skills": ("go to",)}, "would fill more than half"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvConfigError, match=message):
        BabyAIMixed(**settings)
