"""Every episode has one ending, and its log is complete."""

from pathlib import Path
from typing import Any

import pytest

from agent import Agent, ConfigError, Decision, ScriptedModel, Turn, read_events
from agent.driver import play
from agent.logs.events import (
    Start,
)
from memory import Memory, StorageError
from tests.agent.corridor import AHEAD, Corridor, agent, ending
from tools import ToolCall


@pytest.mark.parametrize(
    ("script", "env", "config", "expected"),
    [
        ([AHEAD] * 4, Corridor(), {}, "solved"),
        ([AHEAD] * 4, Corridor(limit=2), {}, "out_of_steps"),
        ([AHEAD] * 4, Corridor(), {"max_calls": 3}, "out_of_steps"),
        ([ToolCall(name="back")] * 9, Corridor(), {"max_repeats": 5}, "looping"),
        (["nonsense"] * 9, Corridor(), {"max_repeats": 5}, "looping"),
        ([AHEAD], Corridor(), {}, "model_error"),
        ([AHEAD] * 4, Corridor(broken_at=2), {}, "env_error"),
        ([AHEAD] * 4, Corridor(slow=0.3), {"env_timeout": 0.05}, "env_error"),
    ],
)
def test_endings(script: list[Any], env: Corridor, config: dict[str, Any], expected: str, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    events = list(agent(script, **config).run(env, seed=0, log=log))
    assert ending(events).ending == expected
    assert read_events(log) == events


def test_termination_without_reward_is_failure() -> None:
    class Pit(Corridor):
        def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return "You fell.", 0.0, True, False, {}

    assert ending(list(agent([AHEAD]).run(Pit(), seed=0))).ending == "failed"


def test_stopping_early_leaves_a_complete_log(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    run = agent([AHEAD] * 4).run(Corridor(), seed=0, log=log)
    assert isinstance(next(run), Start)
    run.close()
    assert ending(read_events(log)).ending == "stopped"


def test_interruption_leaves_a_complete_log(tmp_path: Path) -> None:
    class Interrupting(ScriptedModel):
        def decide(self, turns: Any) -> list[Decision]:
            raise KeyboardInterrupt

    log = tmp_path / "events.jsonl"
    events = []
    with pytest.raises(KeyboardInterrupt):
        events += list(Agent(Interrupting([])).run(Corridor(), seed=0, log=log))
    assert ending(read_events(log)).ending == "stopped"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "interrupted by the user"),
        (StorageError("the disk is full"), "an error ended the run"),
    ],
)
def test_an_episode_that_breaks_at_its_first_observation_has_an_end(
    error: BaseException, reason: str, memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(memory.spatial, "observe", broken)
    with pytest.raises(type(error)):
        list(agent([AHEAD], memory).run(Corridor(), log=tmp_path / "events.jsonl"))
    assert ending(read_events(tmp_path / "events.jsonl")).reason == reason


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyboardInterrupt, "interrupted by the user"), (ValueError, "an error ended the run")]
)
def test_what_a_caller_throws_into_an_episode_is_its_end(
    error: type[BaseException], reason: str, tmp_path: Path
) -> None:
    playing = agent([AHEAD], cycle=True).run(Corridor(), log=tmp_path / "events.jsonl")
    next(playing)
    with pytest.raises(error):
        [playing.throw(error), *playing]
    assert ending(read_events(tmp_path / "events.jsonl")).reason == reason


def test_an_episode_that_is_through_counts_though_the_next_can_not_begin() -> None:
    class Once(Corridor):
        resets = 0

        def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
            self.resets += 1
            if self.resets > 1:
                raise ValueError("no second time")
            return super().reset(**options)

    player = agent([AHEAD], cycle=True)
    slots = [player.slot(Corridor(), [0]), player.slot(Once(), [0, 1])]
    through = []

    def playing() -> None:
        for slot in play(player.model, slots, 2):
            through.append(slot)  # noqa: PERF402

    with pytest.raises(ConfigError, match="no second time"):
        playing()
    assert through == slots[:1]


def test_a_batch_that_fails_leaves_the_logs_of_what_did_not_begin(tmp_path: Path) -> None:
    class Broken(Corridor):
        def reset(self, **_: Any) -> tuple[str, dict[str, Any]]:
            raise ValueError("no")

    logs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    agent([AHEAD], cycle=True).run_batch([Corridor(), Corridor()], [0, 1], logs)
    before = logs[1].read_bytes()
    with pytest.raises(ConfigError, match="no"):
        agent([AHEAD], cycle=True).run_batch([Broken(), Corridor()], [2, 3], logs)
    assert logs[1].read_bytes() == before


@pytest.mark.parametrize(
    "outcome",
    [
        (None, 0.0, False, False, {}),
        ("x", float("nan"), False, False, {}),
        ("x", None, False, False, {}),
        ("x", 0.0, False, {}),
        ("x", 0.0, False, False, {"view": {"cells": [[1]]}}),
        ("x", 0.0, False, False, None),
    ],
)
def test_a_malformed_step_ends_the_episode_with_a_readable_log(outcome: Any, tmp_path: Path, memory: Memory) -> None:
    class Odd(Corridor):
        def step(self, action: int) -> Any:
            return outcome

    log = tmp_path / "events.jsonl"
    list(agent([AHEAD], memory).run(Odd(), seed=0, log=log))
    assert ending(read_events(log)).ending == "env_error"


def test_an_empty_last_observation_is_no_obstacle(memory: Memory) -> None:
    class Silent(Corridor):
        def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return "", 1.0, True, False, {"success": True}

    assert ending(list(agent([AHEAD], memory).run(Silent(), seed=0))).ending == "solved"


def test_one_bad_episode_does_not_end_its_batch(tmp_path: Path) -> None:
    def policy(turn: Turn) -> ToolCall:
        if turn.chat.seed == 2:
            raise RuntimeError("no idea")
        return AHEAD

    logs = [tmp_path / f"{i}.jsonl" for i in range(3)]
    episodes = agent(policy).run_batch([Corridor() for _ in range(3)], [1, 2, 3], logs)
    assert [ending(events).ending for events in episodes] == ["solved", "model_error", "solved"]
    assert [read_events(path) for path in logs] == episodes
