"""Frauds are planted in real evaluations; the checks must find each, and find nothing where there is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.chat import Message
from agent.episode import Episode
from eval import harness
from eval.errors import EvalError
from tests.eval.conftest import Evaluate, check

WORLD = """
import gymnasium as gym
from envs.episodic_qa import EpisodicQA

class Planted(EpisodicQA):
{body}

gym.register("{name}", Planted)
"""
LEAKY = """
    def reset(self, *, seed=None, options=None):
        text, info = super().reset(seed=seed, options=options)
        return (f"{text} (by the way: {self.answers[0]})" if self.asked else text), info
"""
LENIENT = """
    def step(self, action):
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward, terminated, truncated, info | ({"success": True} if terminated else {})
"""


def world(folder: Path, name: str, body: str) -> str:
    path = folder / f"{name.lower()}.py"
    path.write_text(WORLD.replace("{body}", body).replace("{name}", f"{name}-v0"))
    return f"env=gym:{path}:{name}-v0"


def test_an_honest_evaluation_passes(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    summary, _ = evaluate("suite=hei_nw", "n=10", f"arms=[expert,{arm('restored')},{arm('swapped')},{arm('empty')}]")
    assert summary["ok"], summary["checks"]
    assert summary["arms"]["restored"]["success"] == summary["arms"]["expert"]["success"] == 1.0


def test_a_world_that_breaks_says_nothing_about_memory(
    evaluate: Evaluate, arm: Callable[..., str], tmp_path: Path
) -> None:
    broken = world(tmp_path, "Broken", """
    def step(self, action):
        raise ValueError("the floor gave way")
""")  # fmt: skip
    summary, _ = evaluate("suite=custom", broken, "n=10", f"arms=[expert,{arm('empty')}]")
    assert not summary["ok"]
    failed = check(summary, "expert could play")
    assert not failed["ok"]
    assert (
        "episodes ended in an error, not in a result: the environment raised ValueError: the floor" in failed["found"]
    )


def test_memory_that_never_reaches_the_prompt(
    evaluate: Evaluate, arm: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups are logged, but what the agent reads is always the same."""
    honest = Episode.show_result

    def deaf(self: Episode, call: Any, result: Any, over: bool = False) -> None:
        honest(self, call, result, over)
        if call is not None and call.name == "recall":
            self.chat.messages[-1] = Message("tool", "something was remembered")

    monkeypatch.setattr(Episode, "show_result", deaf)
    summary, _ = evaluate("suite=hei_nw", "n=10", f"arms=[expert,{arm('swapped')}]")
    assert not summary["ok"]
    found = check(summary, "memory reaches expert: 12 events")
    assert not found["ok"]
    assert "0 of the 10 episodes" in found["found"]


def test_an_arm_on_other_seeds(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    other = arm("elsewhere", "about: plays other worlds\npolicy: random\nset: [seed=7200]")
    with pytest.raises(EvalError, match="set of arm elsewhere changes seed, which is set by seed="):
        evaluate("suite=sgc_rss", "n=5", f"arms=[expert,{other}]")
    with pytest.MonkeyPatch.context() as patch:  # and if it could
        patch.setattr(harness, "same_budget", lambda *_: None)
        summary, _ = evaluate("suite=sgc_rss", "n=5", f"arms=[expert,{other}]")
    assert not summary["ok"]
    assert "expert lacks 5" in check(summary, "same seeds")["found"]


@pytest.mark.parametrize(
    "setting",
    [
        "agent={max_calls: 999}",
        "policy=expert",
        "env.kwargs.level=easy",
        "memory.path=solved",
        "split=train",
        "batch=1",
        "++seed=7200",
    ],
)
def test_an_arm_that_takes_more_than_the_others_have(setting: str, evaluate: Evaluate, arm: Callable[..., str]) -> None:
    other = arm("greedy", f"about: takes more\npolicy: random\nset: ['{setting}']")
    with pytest.raises(EvalError, match=r"set of arm greedy changes .*, which is set by"):
        evaluate("suite=sgc_rss", "n=5", f"arms=[expert,{other}]")


def test_an_arm_in_easier_worlds_under_the_same_seeds(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    other = arm("easier", "about: plays easier worlds\npolicy: expert\nset: [env.kwargs.level=easy]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "same_budget", lambda *_: None)
        summary, _ = evaluate("suite=sgc_rss", "n=5", f"arms=[expert,{other}]")
    assert check(summary, "same seeds")["ok"]
    assert "arms met different worlds" in check(summary, "same worlds")["found"]
    assert not summary["ok"]


def test_a_leaked_answer(evaluate: Evaluate, tmp_path: Path) -> None:
    summary, _ = evaluate("suite=custom", world(tmp_path, "Leaky", LEAKY), "n=5", "arms=[expert]")
    found = check(summary, "no answer leaks")
    assert not found["ok"]
    assert "4 of 5 answers were shown before" in found["found"]  # the fifth is `unknown`


def test_a_metric_that_ignores_wrong_answers(evaluate: Evaluate, tmp_path: Path) -> None:
    summary, _ = evaluate("suite=custom", world(tmp_path, "Lenient", LENIENT), "n=5", "arms=[random_calls]")
    found = check(summary, "answers are judged rightly")
    assert not found["ok"]
    assert summary["arms"]["random_calls"]["success"] > summary["arms"]["random_calls"]["em"]


@pytest.mark.slow
def test_an_arm_without_memory_that_knows_the_answers(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    """Its file says that it has another world's memory; in truth it keeps its own."""
    cheat = arm("cheat", "about: says it is without\nmemories: empty\nof: expert")
    honest, _ = evaluate("suite=hei_nw", "n=10", f"arms=[expert,{cheat}]", "name=honest")
    assert honest["ok"]
    from eval import intervention

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervention._InterventionWorker, "open_memory", _own)
        summary, _ = evaluate("suite=hei_nw", "n=10", f"arms=[expert,{cheat}]", "name=cheat")
    assert not check(summary, "cheat knows nothing: 12 events")["ok"]
    assert not check(summary, "memory reaches expert: 12 events")["ok"]


def _own(self: Any, world: int, embedder: Any) -> Any:
    from agent.rollout.memories import kept_memory
    from memory import Memory

    folder, episode = self.run.before[world]
    return Memory.copy_of(kept_memory(folder, episode), embedder)


def test_a_memory_put_back_must_give_the_same_calls_not_only_the_same_failures() -> None:
    from eval.audit import _restored

    arms = {"a": {"memories": "own"}, "b": {"memories": "restored", "of": "a"}}
    records = [
        {"arm": arm, "task": "t", "seed": seed, "success": False, "calls_mark": f"{arm}{seed}"}
        for arm in arms
        for seed in range(20)
    ]
    (found,) = _restored(arms, records)
    assert not found.ok
