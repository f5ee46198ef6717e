"""What had no effect is offered last, or not at all, till something changes."""

from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

from agent import Agent, AgentConfig, ScriptedModel, Turn
from agent.futility import REPEATED, ROUND, UNSURE, Futility, State
from agent.logs.events import Decided, End, Observed, Returned
from memory import Memory
from tests.agent.corridor import AHEAD, Corridor
from tools import Toolbox, ToolCall, tool
from tools.actions import action_tools

ACTIONS = ("left", "right", "forward")
OFFER = Toolbox(action_tools({name: (name, name) for name in ACTIONS})).offer()


def place(name: str, pose: object = "known") -> State:
    return name, pose


def offered(futile: Futility, state: State) -> set[str]:
    return {spec.name for spec in futile.narrowed(OFFER, state, ACTIONS)}


def test_an_action_that_changed_nothing_is_not_offered_till_something_is_new() -> None:
    futile, wall = Futility(), place("a wall")
    futile.acted(ToolCall(name="forward"), wall, wall)
    assert offered(futile, wall) == {"left", "right"}
    assert offered(futile, place("a door")) == {*ACTIONS}
    assert futile.note == "forward has changed nothing."
    futile.acted(ToolCall(name="left"), wall, place("a door"))  # new
    assert offered(futile, wall) == {*ACTIONS}
    assert (futile.note, futile.count) == ("", 1)


def test_who_has_words_only_may_try_again() -> None:
    futile, hall = Futility(), place("a corridor", None)
    for number in range(UNSURE):
        assert offered(futile, hall) == {*ACTIONS}, number
        futile.acted(ToolCall(name="forward"), hall, hall)
    assert offered(futile, hall) == {"left", "right"}


@pytest.mark.parametrize("length", [2, 3, 4, 7, 24])
def test_rounds_of_any_length_are_noticed_within_two(length: int) -> None:
    futile = Futility()
    states = [place(f"spot {number}") for number in range(length)]
    for number in range(2 * length):
        assert not futile.note
        futile.acted(ToolCall(name="left"), states[number % length], states[(number + 1) % length])
    assert (futile.note, futile.count) == (ROUND, length)
    assert all("left" not in offered(futile, state) for state in states)
    futile.acted(ToolCall(name="right"), states[0], states[-1])  # known already: not tried there again
    assert offered(futile, states[0]) == {"forward"}
    futile.acted(ToolCall(name="forward"), states[0], place("elsewhere"))
    assert offered(futile, states[0]) == {*ACTIONS}


def test_at_least_one_action_stays() -> None:
    futile, wall = Futility(), place("a wall")
    for name in ACTIONS:
        futile.acted(ToolCall(name=name), wall, wall)
    assert offered(futile, wall) == {*ACTIONS}


def test_a_reward_is_an_effect() -> None:
    futile, bell = Futility(), place("a bell")
    futile.acted(ToolCall(name="forward"), bell, bell, rewarded=True)
    assert (offered(futile, bell), futile.count) == ({*ACTIONS}, 0)


@tool(choices={"goal": lambda: ["door", "key", "ball"]})
def route(goal: str) -> str:
    """Find a way."""
    return goal


@tool
def recall(cue: str) -> str:
    """Look back."""
    return cue


def test_questions_are_not_asked_twice() -> None:
    box, futile, here = Toolbox([route, recall]), Futility(), place("here")

    def ask(name: str, **arguments: str) -> None:
        futile.looked(ToolCall(name=name, arguments=arguments), here, "nothing", wrote=False)

    def left() -> dict[str, Any]:
        return {one.name: one.parameters["properties"] for one in futile.narrowed(box.offer(), here, ())}

    ask("route", goal="door")
    assert left()["route"]["goal"]["enum"] == ["door", "key", "ball"]
    ask("route", goal="door")
    assert left()["route"]["goal"]["enum"] == ["key", "ball"]
    assert futile.note == REPEATED
    for cue in ("a", "b"):
        ask("recall", cue=cue)
    assert "recall" in left()
    ask("recall", cue="c")  # whatever is asked, the answer is the same
    assert set(left()) == {"route"}
    futile.acted(ToolCall(name="forward"), here, place("there"))
    assert set(left()) == {"route", "recall"}


def test_what_was_written_may_change_the_answer() -> None:
    futile, here = Futility(), place("here")
    for wrote in (False, True, False):
        futile.looked(ToolCall(name="recall", arguments={"cue": "x"}), here, "nothing", wrote)
    assert futile.count == 1


class Wall(Corridor):
    """A corridor that has a wall in it until one goes back."""

    def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if action == 1 and self.at == 2 and not getattr(self, "opened", False):
            return "You stand at door 2.", 0.0, False, False, {}
        self.opened = getattr(self, "opened", False) or action == 0
        return super().step(action)


@pytest.mark.parametrize("narrow", [True, False])
def test_a_model_that_only_pushes_gets_on(narrow: bool) -> None:
    def pushes(turn: Turn) -> ToolCall:
        return AHEAD if "ahead" in {spec.name for spec in turn.offer} else ToolCall(name=turn.offer[0].name)

    config = AgentConfig(narrow_futile=narrow, max_repeats=0, max_calls=30)
    events = list(Agent(ScriptedModel(pushes), config=config).run(Wall(), seed=0))
    end = events[-1]
    assert isinstance(end, End)
    assert end.success == narrow
    notes = [event for event in events if isinstance(event, Observed) and "has changed nothing" in (event.shown or "")]
    assert bool(notes) == narrow
    assert end.futile_calls <= 6 if narrow else end.futile_calls == 28


def test_in_an_episode_a_question_is_asked_once(memory: Memory) -> None:
    def asks(turn: Turn) -> ToolCall:
        names = {spec.name for spec in turn.offer}
        return ToolCall(name="recall", arguments={"cue": "x"}) if "recall" in names else AHEAD

    events = list(Agent(ScriptedModel(asks), memory, ["recall"]).run(Corridor(), seed=0))
    calls = [event.name for event in events if isinstance(event, Decided)]
    assert calls == ["recall", "recall", "ahead"] * 4
    shown = [event.shown or "" for event in events if isinstance(event, Returned)]
    assert sum(REPEATED in words for words in shown) == 4


def test_worlds_of_texts(memory: Memory) -> None:
    class Cave(gym.Env[str, str]):
        text_action = ("say", "do something")

        def __init__(self) -> None:
            self.action_space = spaces.Text(40)
            self.observation_space = spaces.Text(200)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
            super().reset(seed=seed)
            return "A cave.", {"choices": ["sing", "push", "dig"], "mission": "get out"}

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            done = action == "dig"
            return "A cave.", float(done), done, False, {"choices": ["sing", "push", "dig"]}

    def first(turn: Turn) -> ToolCall:
        spec = next(spec for spec in turn.offer if spec.name == "say")
        return ToolCall(name="say", arguments={"text": spec.parameters["properties"]["text"]["enum"][0]})

    events = list(Agent(ScriptedModel(first), memory, ["recall"]).run(Cave(), seed=0))
    assert isinstance(events[-1], End)
    assert events[-1].success
