import json
from pathlib import Path
from typing import Any

import pytest

import envs
from agent import Agent, ScriptedModel
from agent.episode_state import AgentConfig
from agent.logs.events import (
    Decided,
    End,
    Event,
    Observed,
    Ran,
    Returned,
    conversation,
)
from agent.logs.log import read_events
from agent.logs.trajectory import trajectories, trajectory_of
from agent.policies.follower import MissionFollower
from agent.policies.missions import Goal, goals_of
from agent.rollout.macro_trial import SHUT, judge, run_trial
from eval.bench.babyai import play
from eval.bench.macros import Jam
from memory import InvalidItemError, Memory
from memory.procedural import Macro, Step
from memory.spatial import Route
from tools import ToolCall
from training import row_of

ROOM, DOOR = "BabyAI-GoToLocal-v0", "BabyAI-OpenDoorColor-v0"


def learnt(memory: Memory, level: str = ROOM, count: int = 20) -> Macro:
    env = envs.make(level)
    macro = memory.macros.mine([trajectory_of(play(env, 900 + n)) for n in range(count)])[0]
    return judge(env, memory.macros, macro.signature, range(2000, 2040), 20)[0]


def run(memory: Memory, level: str, call: str, seed: int = 5, env: Any = None, **config: Any) -> list[Event]:
    model = ScriptedModel([ToolCall(name="run_macro", arguments={"call": call})] * 3, cycle=True)
    agent = Agent(model, memory, gate=SHUT, config=AgentConfig(**config))
    return list(agent.run(env or envs.make(level), seed=seed))


def told(events: list[Event]) -> Returned:
    return next(e for e in reversed(events) if isinstance(e, Returned) and e.name == "run_macro")


@pytest.mark.parametrize(
    ("mission", "goals"),
    [
        ("go to the red ball", [Goal("go to", "red ball")]),
        ("put a box next to the grey key", [Goal("put next to", "box", "grey key")]),
        ("open the door after you pick up a ball", [Goal("pick up", "ball"), Goal("open", "door")]),
        (
            "go to a key and go to the box, then open a red door",
            [Goal("go to", "key"), Goal("go to", "box"), Goal("open", "red door")],
        ),
        ("sing a song", []),
        ("put the ball", []),
    ],
)
def test_missions_become_goals(mission: str, goals: list[Goal]) -> None:
    assert goals_of(mission) == goals


def test_hints_become_actions() -> None:
    assert Route.parse_actions("red ball: forward 2, left, toggle (4 steps)") == [
        "forward",
        "forward",
        "left",
        "toggle",
    ]
    assert Route.parse_actions("red ball: you are there") == []
    assert Route.parse_actions("You see a wall: nothing (else)") is None


@pytest.mark.parametrize("level", [ROOM, DOOR, "BabyAI-UnlockLocal-v0", "BabyAI-PutNextLocal-v0", "BabyAI-Pickup-v0"])
def test_the_script_solves_missions_by_the_map(level: str) -> None:
    env = envs.make(level)
    ends = [play(env, seed)[-1] for seed in range(6)]
    assert all(isinstance(end, End) and end.success for end in ends)


def test_a_macro_is_mined_tried_and_does_it_in_one_call(memory: Memory) -> None:
    macro = learnt(memory)
    assert (macro.name, macro.status, len(macro.outcomes)) == ("go_to", "accepted", 20)
    env = envs.make(ROOM)
    for seed in range(5):
        plain, end = play(env, seed)[-1], play(env, seed, memory, macros=True)[-1]
        assert isinstance(plain, End)
        assert isinstance(end, End)
        assert plain.success
        assert end.success
        assert end.model_calls == 1
        assert end.macro_actions == end.steps


def test_the_log_of_a_macro_is_whole_and_its_conversation_short(memory: Memory, tmp_path: Path) -> None:
    learnt(memory)
    log = tmp_path / "run" / "0000" / "events.jsonl"
    agent = Agent(ScriptedModel(MissionFollower(macros=True)), memory, gate=SHUT)
    events = list(agent.run(envs.make(ROOM), seed=3, log=log))
    assert read_events(log) == events
    assert sum(isinstance(e, Ran) for e in events) > 2
    kept = [e for e in conversation(events) if isinstance(e, Decided | Returned | Observed | Ran)]
    assert [type(e) for e in kept] == [Observed, Decided, Returned]
    end = events[-1]
    assert isinstance(end, End)
    assert f"done, {end.steps} action" in told(events).text
    row = row_of(events)
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant", "tool"]
    assert json.loads(row["messages"][2]["tool_calls"][0]["function"]["arguments"])["call"].startswith("go_to(")
    found = list(trajectories([tmp_path]))
    assert [call.name for call in found[0].calls] == ["run_macro"]
    assert found[0].success


def test_only_what_fits_is_offered(memory: Memory) -> None:
    learnt(memory)
    seen = []

    def look(turn: Any) -> ToolCall:
        offer = {spec.name: spec.parameters["properties"] for spec in turn.offer}
        seen.append((turn.chat.mission, offer.get("run_macro", {}).get("call", {}).get("enum")))
        return ToolCall(name="left")

    list(Agent(ScriptedModel(look), memory, gate=SHUT, config=AgentConfig(max_calls=1)).run(envs.make(ROOM), seed=3))
    mission, calls = seen[0]
    assert calls == [f"go_to({mission.removeprefix('go to the ').removeprefix('go to a ')})"]


def test_the_guard_stops_where_the_world_is_not_as_expected(memory: Memory) -> None:
    macro = learnt(memory, DOOR)
    env = Jam(envs.make(DOOR), ("red", "green", "blue", "purple", "yellow", "grey"))
    trial = run_trial(env, macro, memory.macros, 77)
    assert trial is not None
    assert (trial.ok, trial.solved) == (False, False)
    assert "stopped at step 3 of 3 of open (toggle): expected ahead open" in trial.said
    assert trial.outcome.where.startswith("step 3 of 3")
    assert len(memory.macros.get("open").outcomes) == 20  # a trial writes nothing by itself


def test_a_stopped_macro_lets_the_episode_go_on(memory: Memory) -> None:
    learnt(memory)
    events = run(memory, "BabyAI-PutNextLocal-v0", "go_to(purple elephant)", max_calls=2)
    assert told(events).status == "failed"
    end = events[-1]
    assert isinstance(end, End)
    assert (end.ending, end.model_calls) == ("out_of_steps", 2)
    assert memory.macros.get("go_to").outcomes[-1].ok is False


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("go_to", "invalid", "takes 1 values, got 0"),
        ("fly(moon)", "failed", "no macro has the signature or name 'fly'"),
        ("go to the ball!", "invalid", "name(value"),
    ],
)
def test_calls_that_name_no_macro_are_told(memory: Memory, call: str, status: str, words: str) -> None:
    learnt(memory)
    result = told(run(memory, ROOM, call, max_calls=1))
    assert result.status == status
    assert words in result.text


def test_a_macro_whose_tool_is_gone_stops(memory: Memory) -> None:
    memory.macros.add([Step("teleport", {"to": "moon"})], name="jump")
    result = told(run(memory, ROOM, "jump()", max_calls=1))
    assert result.status == "failed"
    assert "step 1 of 1 of jump (teleport): unknown tool 'teleport'" in result.text


def test_a_macro_that_calls_itself_ends(memory: Memory) -> None:
    memory.macros.add([Step("run_macro", {"call": "loop()"})], name="loop")
    result = told(run(memory, ROOM, "loop()", max_calls=1))
    assert result.text.count("step 1 of 1 of loop (run_macro): ") == 5  # where, at every depth
    assert "nested deeper than" in result.text


def test_an_episode_may_end_while_a_macro_runs(memory: Memory) -> None:
    memory.macros.add([Step("left")] * 80, name="spin")
    events = run(memory, ROOM, "spin()", max_calls=5)
    end = events[-1]
    assert isinstance(end, End)
    assert end.ending == "out_of_steps"
    assert end.steps == end.macro_actions
    assert memory.macros.get("spin").outcomes[-1].where == "the episode ended before it was done"


def test_a_harness_of_ones_own_gets_every_action(memory: Memory) -> None:
    memory.macros.add([Step("left"), Step("left"), Step("forward")], name="around")
    agent = Agent(
        ScriptedModel([ToolCall(name="run_macro", arguments={"call": "around()"}), ToolCall(name="stay")]),
        memory,
        gate=SHUT,
    )
    events: list[Event] = []
    agent.reset("turn", {name: (name, name) for name in ("left", "forward", "stay")}, emit=events.append)
    assert [agent.act("You see nothing.") for _ in range(4)] == ["left", "left", "forward", "stay"]
    assert told(events).text.startswith("around(): done, 3 actions.")
    agent.close()


def test_too_few_trials_are_refused(memory: Memory) -> None:
    macro = learnt(memory)
    with pytest.raises(InvalidItemError, match="at least 20 trials"):
        judge(envs.make(ROOM), memory.macros, macro.signature, range(9), 5)
