import pytest

from agent.hub import catalog
from agent.logs.events import (
    Decided,
    Event,
    Observed,
    Returned,
    Start,
)
from eval.cost import Shape, cost_of
from eval.failures import why
from eval.measures import exact, f1, judge, leaks

SMOL = Shape(layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3, head_dim=64, vocab=49152)


def decided(words: str, name: str = "answer", prefill: int = 10, dropped: int = 0, **arguments: str) -> Decided:
    return Decided(
        turn=0,
        step=0,
        at=1.0,
        text=words,
        name=name,
        arguments=arguments,
        surprise=None,
        prefill_tokens=prefill,
        decode_tokens=3,
        forced_tokens=2,
        dropped_messages=dropped,
        seconds=0.1,
    )


def start(mission: str) -> Start:
    return Start(
        turn=0, step=0, env="x", episode=0, seed=0, mission=mission, world="w", tools=[], system="", optimal_steps=1
    )


def seen(text: str) -> Observed:
    return Observed(turn=0, step=0, text=text, reward=0.0, terminated=False, truncated=False)


def looked(text: str, at: float = 1.004) -> Returned:
    return Returned(turn=0, step=0, at=at, name="recall", status="ok", text=text, data=[[1, 0.9]])


def test_answers_are_compared_as_squad_does() -> None:
    assert exact("The Attic!", ["attic"])
    assert not exact("attic room", ["attic"])
    assert not exact(None, ["attic"])
    assert f1("the old attic", ["attic"]) == pytest.approx(2 / 3)
    assert f1("cellar", ["attic", "a cellar"]) == 1.0
    assert f1(None, ["attic"]) == 0.0


def test_what_is_shown_before_a_look_up_leaks_and_what_it_gives_does_not() -> None:
    question = start("answer: where is the lamp?")
    recalled: list[Event] = [question, seen("Answer."), decided("", "recall"), looked("in the attic"), seen("attic")]
    assert not leaks(recalled, ["the attic"])
    assert leaks([question, seen("It is in the attic, but answer."), decided("")], ["the attic"])
    assert leaks([start("answer: is it in the attic?")], ["attic"])
    assert not leaks([start("say unknown if you do not know")], ["unknown"])


def test_cost_is_two_operations_for_each_weight_and_attention_over_the_window() -> None:
    config = Shape.of(catalog.fetch("smollm2-135m"))
    assert config == SMOL
    assert SMOL.flops_per_token == pytest.approx(2 * 134.5e6, rel=0.005)  # its 135 M weights, norms left out
    assert SMOL.kv_bytes(1024) == 1024 * 30 * 2 * 3 * 64 * 2
    once = SMOL.flops(100, 0)
    assert SMOL.flops(60, 0) + SMOL.flops(40, 60) == once


def test_a_window_that_was_cut_is_computed_anew() -> None:
    grown = cost_of([decided("", prefill=500), decided("", prefill=100)], SMOL)
    cut = cost_of([decided("", prefill=500), decided("", prefill=100, dropped=4)], SMOL)
    assert (grown.context, cut.context) == (610, 505)
    assert cut.flops < grown.flops


def test_an_episode_is_judged_by_its_log() -> None:
    events: list[Event] = [
        start("answer: where?"),
        seen("Answer."),
        decided("recall", "recall", cue="lamp"),
        looked("in the attic"),
        decided("answer", text="Attic"),
    ]
    found = judge(events, ["attic"], SMOL)
    assert (found["em"], found["f1"], found["leaked"], found["lookups"]) == (True, 1.0, False, 1)
    assert found["tool_ms"] == pytest.approx(4.0)
    assert found["context"] == 30


@pytest.mark.parametrize(
    ("said", "given", "right", "ending", "reason"),
    [
        ("atic", "in the attic", "attic", "failed", "misspelt"),
        ("cellar", "in the attic", "attic", "failed", "read, and answered otherwise"),
        ("unknown", "in the attic", "attic", "failed", "known, and said unknown"),
        ("unknown", "in the shed", "attic", "failed", "not in the memory's answer"),
        ("cellar", "in the shed", "unknown", "failed", "unknown, and said something"),
        (None, "in the attic", "attic", "looping", "went round in circles"),
        (None, "in the attic", "attic", "out_of_steps", "out of decisions"),
    ],
)
def test_why_an_episode_failed(said: str | None, given: str, right: str, ending: str, reason: str) -> None:
    events: list[Event] = [start("?"), decided("", "recall"), looked(given)]
    assert why({"answer": said, "right": [right], "ending": ending}, events) == reason
    assert why({"answer": "cellar", "right": ["attic"], "ending": "failed"}, [start("?")]) == "never looked up"
