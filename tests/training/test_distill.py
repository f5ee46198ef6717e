from pathlib import Path

import pytest

from agent.logs.events import Decided
from agent.logs.log import read_events
from memory import InvalidItemError, Memory
from tests.training.conftest import collect
from training.distill import distill

ENV = "BabyAI-PutNextLocal-v0"


def test_macros_are_mined_tested_accepted_and_called(tmp_path: Path) -> None:
    runs = collect(tmp_path, f"env={ENV}", "policy=expert", "episodes=16", "memory.tools=[plan_route,explore]")
    said: list[str] = []
    done = distill(tmp_path / "library", [runs], ENV, trials=20, episodes=4, out=tmp_path / "out", say=said.append)
    assert done.solved == done.episodes == 16
    assert done.accepted
    assert any("accepted, " in words for words in said)
    assert done.called == 1.0
    assert done.collected is not None
    assert done.collected["success"] == 1.0
    assert done.runs is not None
    log = next(done.runs.rglob("events.jsonl"))
    assert any(isinstance(e, Decided) and e.name == "run_macro" for e in read_events(log))
    again = distill(tmp_path / "library", [runs], ENV, trials=20)
    assert again.accepted == done.accepted
    with Memory.open(tmp_path / "library") as memory:
        assert len(memory.macros.all("accepted")) == len(done.accepted)


def test_without_success_there_is_nothing_to_mine(tmp_path: Path) -> None:
    runs = collect(tmp_path, f"env={ENV}", "policy=random", "episodes=1", "agent.max_calls=2")
    with pytest.raises(InvalidItemError, match="macros are mined from success"):
        distill(tmp_path / "library", [runs], ENV)
    test = collect(tmp_path / "test", f"env={ENV}", "policy=random", "episodes=1", "agent.max_calls=2", split="test")
    with pytest.raises(InvalidItemError, match="all of 1 episodes are of another split"):
        distill(tmp_path / "library", [test], ENV)
