import random
from dataclasses import replace

import pytest

from memory import InvalidItemError, Memory, Provenance, UnknownItemError
from memory.procedural import (
    Call,
    Macro,
    Step,
    SymbolicState,
    Trajectory,
)
from memory.procedural.library import MAX_OUTCOMES
from memory.procedural.lifting import fold, mission_words
from memory.procedural.matching import Variable, matches
from memory.procedural.mining import mine
from memory.procedural.scoring import Head, Outcome, decayed_success

COLORS = ("red", "green", "blue", "grey")
EMPTY = SymbolicState()


def fetch(thing: str, explored: int = 1, number: int = 0, success: bool = True) -> Trajectory:
    """An episode: look around until the thing is known, go there, pick it up."""
    known = frozenset({thing, "yellow box"})
    calls = []
    for turn in range(explored):
        after = SymbolicState(known=known if turn == explored - 1 else frozenset())
        calls += [Call("explore", actions=("left",)), Call("left", acts=True, after=after)]
    start = SymbolicState(known=known)
    there, held = replace(start, ahead=thing), SymbolicState(carrying=thing, known=known)
    calls += [
        Call("plan_route", {"goal": thing}, actions=("forward", "forward"), before=start, after=start),
        Call("forward", acts=True, before=start, after=start),
        Call("forward", acts=True, before=start, after=there),
        Call("pickup", acts=True, before=there, after=held),
    ]
    return Trajectory(f"pick up the {thing}", tuple(calls), success, Provenance("env", f"episode {number}"))


def episodes(count: int = 20) -> list[Trajectory]:
    rng = random.Random(1)
    return [fetch(f"{rng.choice(COLORS)} ball", rng.randint(1, 3), number) for number in range(count)]


def mined(memory: Memory) -> Macro:
    return memory.macros.mine(episodes())[0]


def accepted(memory: Memory) -> Macro:
    return memory.macros.judge(mined(memory).signature, 20, 20)


def test_routes_and_repeats_are_folded() -> None:
    tokens = fold(fetch("red ball", explored=3).calls)
    assert [(token.name, token.follow, token.count) for token in tokens] == [
        ("explore", True, 6),
        ("plan_route", True, 3),
        ("pickup", False, 1),
    ]


def test_calls_that_failed_are_no_part_of_a_macro() -> None:
    calls = (Call("plan_route", {"goal": "moon"}, ok=False), *fetch("red ball").calls)
    assert "moon" not in str(fold(calls))


def test_what_repeats_becomes_a_macro(memory: Memory) -> None:
    macro = mined(memory)
    assert macro.name == "pick_up"
    assert [str(step) for step in macro.steps] == [
        "follow explore(), until known $1, expect carrying nothing",
        "follow plan_route($1), until ahead $1, expect ahead $1 and carrying nothing",
        "pickup(), expect carrying $1",
    ]
    assert [(v.name, list(v.ends), v.words, v.shown) for v in macro.variables] == [("$1", ["ball"], 2, "")]
    assert dict(macro.triggers) == {"pick up the $1": 20}
    assert macro.preconditions == ("carrying nothing",)
    assert macro.effects == ("carrying $1",)
    assert macro.strength == len({p.doc_id for p in macro.provenance}) == 20
    assert macro.status == "candidate"


def test_mining_again_strengthens(memory: Memory) -> None:
    first = mined(memory)
    assert memory.macros.mine(episodes())[0] == first  # the same episodes teach nothing new
    others = [replace(e, origin=f"later {n}") for n, e in enumerate(episodes(5))]
    again = memory.macros.mine(others)[0]
    assert (again.signature, again.strength) == (first.signature, 25)
    assert dict(again.triggers) == {"pick up the $1": 25}
    assert len(memory.macros) == 1


def test_what_a_forgotten_episode_taught_goes(memory: Memory) -> None:
    memory.macros.mine([*episodes(), fetch("secret orb", 1, 77)])
    assert list(memory.macros.get("pick_up").variables[0].ends) == ["ball", "orb"]
    memory.forget(doc_id="episode 77")
    macro = memory.macros.get("pick_up")
    assert list(macro.variables[0].ends) == ["ball"]
    assert (dict(macro.triggers), macro.strength) == ({"pick up the $1": 20}, 20)
    memory.undo()
    assert list(memory.macros.get("pick_up").variables[0].ends) == ["ball", "orb"]


def test_names_are_told_apart(memory: Memory) -> None:
    memory.macros.add([("go", {})], name="go")
    memory.macros.add([("run", {})], name="go")
    assert sorted(macro.name for macro in memory.macros.all()) == ["go", "go_2"]
    assert memory.macros.get(memory.macros.add([("go", {}), ("stop", {})])).name == "go_to_stop"


def test_following_a_route_is_another_macro_than_asking_for_it(memory: Memory) -> None:
    asked = memory.macros.add([Step("plan_route", {"goal": "x"})])
    assert memory.macros.add([Step("plan_route", {"goal": "x"}, follow=True)]) != asked


def test_marks_of_variables_are_not_mined(memory: Memory) -> None:
    odd = [replace(e, calls=(*e.calls, Call("say", {"text": "it costs $5", "to": ["@7(x)"]}))) for e in episodes()]
    assert memory.macros.mine(odd) == []
    with pytest.raises(InvalidItemError, match="mark variables"):
        memory.macros.add(odd[0])
    for bad in (Trajectory(None, ()), Trajectory("go", None), Trajectory("go", (Call("x", None),))):  # type: ignore[arg-type]
        with pytest.raises(InvalidItemError):
            memory.macros.mine([bad])
    with pytest.raises(InvalidItemError):
        memory.macros.mine(None)  # type: ignore[arg-type]


def test_failures_and_rarities_are_not_mined() -> None:
    lost = [replace(episode, success=False) for episode in episodes()]
    assert mine(lost) == []
    assert mine(episodes(2)) == []


def test_values_that_no_mission_names_are_seen(memory: Memory) -> None:
    def unlock(color: str, number: int) -> Trajectory:
        known = frozenset({f"locked {color} door", f"{color} key"})
        start = SymbolicState(known=known)
        key = replace(start, ahead=f"{color} key")
        held = SymbolicState(f"{color} key", "", known)
        calls = (
            Call("plan_route", {"goal": f"{color} key"}, actions=("left",), before=start, after=start),
            Call("left", acts=True, before=start, after=key),
            Call("pickup", acts=True, before=key, after=held),
            Call("plan_route", {"goal": "door"}, actions=("right",), before=held, after=held),
            Call("right", acts=True, before=held, after=replace(held, ahead=f"locked {color} door")),
            Call("toggle", acts=True, before=held, after=replace(held, ahead=f"open {color} door")),
        )
        return Trajectory("open the door", calls, True, f"episode {number}")

    macro = memory.macros.mine([unlock(color, n) for n, color in enumerate(COLORS * 3)])[0]
    shown = [variable for variable in macro.variables if variable.shown]
    assert [v.shown.split()[0] for v in shown] == ["locked"]
    assert shown[0].find({"locked grey door"}, {v.name: "door" for v in macro.asked}) == "grey"
    assert shown[0].find({"open grey door"}, {v.name: "door" for v in macro.asked}) is None
    assert macro.call({"$1": "door", "$2": "door"}) == "open(door)"


def test_macros_nest(memory: Memory) -> None:
    both = []
    for number in range(12):
        a, b = random.Random(number).sample(COLORS, 2)
        one, two = fetch(f"{a} ball", 1), fetch(f"{b} ball", 1)
        put = Call("drop", acts=True)
        both.append(
            Trajectory(f"{one.mission} and {two.mission}", (*one.calls, put, *two.calls), True, f"episode {number}")
        )
    found = memory.macros.mine([*episodes(40), *both])
    nested = [macro for macro in found if any(step.name == "run_macro" for step in macro.steps)]
    assert nested
    inner = next(step for step in nested[0].steps if step.name == "run_macro")
    assert memory.macros.parse(str(inner.arguments["call"]))[0].name == "pick_up"


def test_only_accepted_macros_are_suggested(memory: Memory) -> None:
    macro = mined(memory)
    assert memory.macros.suggest("pick up the red ball", EMPTY) == []
    memory.macros.judge(macro.signature, 19, 20)
    assert memory.macros.get(macro.signature).status == "rejected"
    memory.macros.judge(macro.signature, 39, 40)
    assert [one.call for one in memory.macros.suggest("pick up the red ball", EMPTY)] == ["pick_up(red ball)"]
    assert memory.macros.suggest("go to the red ball", EMPTY) == []
    assert memory.macros.suggest("pick up the red ball", SymbolicState(carrying="red key")) == []
    assert memory.macros.suggest("pick up the red ball", SymbolicState(carrying="red ball")) == []


def test_a_suggestion_per_clause(memory: Memory) -> None:
    accepted(memory)
    calls = [one.call for one in memory.macros.suggest("pick up the red ball and pick up the grey ball", EMPTY)]
    assert sorted(calls) == ["pick_up(grey ball)", "pick_up(red ball)"]


def test_what_fails_is_no_longer_suggested_within_three_tries(memory: Memory) -> None:
    macro = accepted(memory)
    for _ in range(20):
        macro = memory.macros.outcome(macro.signature, True, EMPTY, {"$1": "red ball"})
    assert macro.success_prob > 0.85
    tries = 0
    while memory.macros.suggest("pick up the red ball", EMPTY):
        memory.macros.outcome(macro.signature, False, EMPTY, {"$1": "red ball"}, "step 3 of 3 (pickup)")
        tries += 1
    assert tries <= 3
    assert memory.macros.get("pick_up").outcomes[-1].where == "step 3 of 3 (pickup)"
    for _ in range(3):
        memory.macros.outcome(macro.signature, True, EMPTY, {"$1": "red ball"})
    assert memory.macros.suggest("pick up the red ball", EMPTY)


def test_outcomes_are_bounded(memory: Memory) -> None:
    macro = mined(memory)
    for number in range(MAX_OUTCOMES + 9):
        memory.macros.outcome(macro.signature, True, EMPTY, {"$1": "red ball"}, at=float(number))
    kept = memory.macros.get(macro.signature).outcomes
    assert (len(kept), kept[0].at) == (MAX_OUTCOMES, 9.0)


def test_a_macro_is_forgotten_with_its_episodes_and_comes_back(memory: Memory) -> None:
    macro = accepted(memory)
    memory.macros.outcome(macro.signature, True, EMPTY, {"$1": "red ball"})
    before = memory.macros.get(macro.signature)
    memory.forget(rows=[("macros", macro.id)])
    assert len(memory.macros) == 0
    assert memory.macros.suggest("pick up the red ball", EMPTY) == []
    memory.undo()
    after = memory.macros.get(macro.signature)
    assert replace(after, provenance=(), id=0) == replace(before, provenance=(), id=0)


def test_a_whole_episode_is_a_macro(memory: Memory) -> None:
    signature = memory.macros.add(fetch("red ball"))
    macro = memory.macros.get(signature)
    assert [step.name for step in macro.steps] == ["explore", "plan_route", "pickup"]
    assert macro.provenance[0].doc_id == "episode 0"
    assert signature == memory.macros.add(fetch("grey ball"))


def test_steps_survive_json() -> None:
    step = Step("plan_route", {"goal": "$1", "n": 2}, True, ("known $1",), ("ahead $1",))
    assert Step.parse(step.json()) == step
    assert Step.parse(["go", {}]) == Step("go", {})


@pytest.mark.parametrize("data", [None, [], ["go"], ["go", 3], ["go", {}, 7], 5])
def test_malformed_steps_are_refused(data: object) -> None:
    with pytest.raises(InvalidItemError, match="a step must be"):
        Step.parse(data)  # type: ignore[arg-type]


def test_malformed_input_is_refused_and_nothing_is_kept(memory: Memory) -> None:
    macros = memory.macros
    with pytest.raises(InvalidItemError, match="trajectory 1 must be a Trajectory"):
        macros.mine([fetch("red ball"), "not one"])  # type: ignore[list-item]
    with pytest.raises(InvalidItemError, match="call 0 of trajectory 0"):
        macros.mine([Trajectory("go", (Call(""),))])
    with pytest.raises(InvalidItemError, match="without success"):
        macros.add(fetch("red ball", success=False))
    with pytest.raises(InvalidItemError, match="nothing to keep"):
        macros.add(Trajectory("go", ()))
    with pytest.raises(InvalidItemError, match="a step must be"):
        macros.add(["go"])  # type: ignore[list-item]
    assert len(macros) == 0
    macro = mined(memory)
    with pytest.raises(InvalidItemError, match="at least 20 trials"):
        macros.judge(macro.signature, 3, 3)
    with pytest.raises(InvalidItemError, match="takes 1 values, got 2"):
        macros.parse("pick_up(red ball, box)")
    with pytest.raises(InvalidItemError, match="name"):
        macros.parse("pick up the ball!")
    with pytest.raises(UnknownItemError, match="there are: pick_up"):
        macros.parse("fly(moon)")


def test_values_end_where_their_type_says() -> None:
    ball = Variable("$1", ["ball", "box"], 2)
    found = list(matches({"go to the $1": 1}, [ball], mission_words("go to the red ball, then go to the box")))
    assert found == [{"$1": "red ball"}, {"$1": "box"}]
    free = Variable("$1", [], 3)
    assert list(matches({"greet $1": 1}, [free], mission_words("greet Ada Lovelace."))) == [{"$1": "Ada Lovelace"}]


def test_late_outcomes_count_more() -> None:
    assert decayed_success([]) == 0.5
    assert decayed_success([True] * 9 + [False] * 3) < 0.5 < decayed_success([False] * 9 + [True] * 3)


def test_the_head_is_on_only_where_it_foretells_better() -> None:
    rng = random.Random(0)

    def history(depends: bool) -> list[Outcome]:
        made = []
        for number in range(64):
            color = rng.choice(["red", "blue"])
            ok = color == "blue" if depends else rng.random() < 0.5
            made.append(Outcome(ok, float(number), ("carrying nothing", f"$1 {color}")))
        return made

    told = history(depends=True)
    head = Head.fit([told])
    assert head.weights is not None
    assert (
        head.score(told, ("carrying nothing", "$1 red")) < 0.3 < 0.7 < head.score(told, ("carrying nothing", "$1 blue"))
    )
    assert Head.fit([history(depends=False)]).weights is None
    assert Head.fit([told[:20]]).weights is None


def test_a_macro_written_by_hand_takes_values(memory: Memory) -> None:
    steps = [Step("explore", follow=True, until=("known $1",)), Step("plan_route", {"goal": "$1"}, follow=True)]
    signature = memory.macros.add(steps, name="walk to", triggers=["walk to the $1"], origin="me")
    macro, values = memory.macros.parse("walk_to(red ball)")
    assert (macro.signature, values) == (signature, {"$1": "red ball"})
    memory.macros.judge(signature, 20, 20)
    assert [one.call for one in memory.macros.suggest("walk to the red ball", EMPTY)] == ["walk_to(red ball)"]
