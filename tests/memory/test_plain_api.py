"""The module API in its plain form: vectors, dictionaries and ids beside the richer types."""

import numpy as np
import pytest

from memory import InvalidItemError, Memory, Provenance, UnknownItemError
from memory.episodic import WriteGate
from memory.procedural import Step, SymbolicState
from memory.relational import Tuple, TupleExtractor


def unit(memory: Memory, seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(memory.embedder.dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def test_a_trace_is_written_and_recalled_by_its_vector(memory: Memory) -> None:
    first, second = unit(memory, 1), unit(memory, 2)
    number = memory.episodic.write(first, {"who": "Ada"})
    other = memory.episodic.write(second, {"text": "the lamp is lit", "who": "Bo"})
    hit = memory.episodic.recall(first, 1)[0]
    assert (hit["key_id"], hit["who"], dict(hit)["score"]) == (number, "Ada", hit.score)
    assert memory.episodic.recall("the lamp is lit", 1)[0]["key_id"] == other
    assert memory.episodic.recall({"who": "Bo"}, 1)[0].get("text") == "the lamp is lit"
    assert "nothing" not in hit
    memory.episodic.delete(number)
    with pytest.raises(UnknownItemError):
        memory.episodic.get(number)
    with pytest.raises(InvalidItemError):
        memory.episodic.write(np.ones(3, np.float32), {})


def test_the_gate_scores_by_position() -> None:
    gate = WriteGate()
    assert gate.score(0.5, 0.5, True, False) == gate.score(surprise=0.5, novelty=0.5, reward=1.0)
    assert gate.opens(gate.score(0.0, 0.0, False, True))


def test_a_tuple_needs_three_names(memory: Memory) -> None:
    full = Tuple("Ada", "likes", "tea", "every day", 5.0, 0.9, Provenance("diary"))
    assert (full.context, full.time, full.conf, full.origin.source) == ("every day", 5.0, 0.9, "diary")
    ids = memory.relational.upsert([Tuple("Ada", "lives_in", "Rome"), full])
    assert memory.relational.get(ids[1]).valid_from == 5.0
    assert [str(item.fact) for item in memory.relational.retrieve("Ada", 2).facts] == [
        "ada likes tea",
        "ada lives in rome",
    ]
    before = Tuple("Ada", "likes", "tea", Provenance("earlier"))  # where earlier releases had the provenance
    assert (before.context, before.origin.source) == ("", "earlier")


def test_without_an_origin_the_line_of_code_is_the_source(memory: Memory) -> None:
    number = memory.episodic.write("a note")
    memory.relational.upsert([Tuple("Ada", "likes", "tea")])
    sources = {row[0] for row in memory.store.db.execute("SELECT source FROM provenance")}
    assert len(sources) == 2
    assert all(source.startswith("code:") and "test_plain_api.py:" in source for source in sources)
    (origin,) = memory.episodic.get(number).provenance
    assert memory.forget(source=origin.source).removed == {"traces": 1}


@pytest.mark.model  # the parser
def test_the_default_extractor_is_made_without_arguments() -> None:
    assert [(t.head, t.relation, t.tail) for t in TupleExtractor().extract("Ada lives in Rome.")] == [
        ("ada", "lives_in", "rome")
    ]


def test_observations_are_dictionaries_and_plans_are_places(memory: Memory) -> None:
    spatial = memory.spatial
    kitchen = spatial.observe({"text": "You are in the kitchen. A stove glows."})
    hall = spatial.observe({"text": "You are in the hall. A clock ticks.", "action": "east"})
    attic = spatial.observe({"room": "attic", "smell": "dust", "action": "up"})
    assert len({kitchen, hall, attic}) == 3
    assert spatial.plan(kitchen, attic) == [kitchen, hall, attic]
    assert spatial.plan(kitchen, kitchen) == [kitchen]
    with pytest.raises(UnknownItemError):
        spatial.plan(attic, kitchen)  # nobody ever went back
    with pytest.raises(UnknownItemError, match="there is no place 99"):
        spatial.plan(99, kitchen)
    with pytest.raises(InvalidItemError, match="plan takes a goal, or the ids of two places"):
        spatial.plan(kitchen)  # type: ignore[call-overload]
    assert spatial.observe({"text": "You are in the hall. A clock ticks.", "world": "elsewhere"}) != hall


def test_cells_in_plain_form(memory: Memory) -> None:
    cells = [[1, 0, "", True], [2, 0, "green ball", False]]
    here = memory.spatial.observe({"text": "a ball", "view": {"cells": cells}, "world": "cellar"})
    there = memory.spatial.observe({"text": "a ball", "view": {"cells": cells[1:]}, "action": "forward"})
    assert memory.spatial.plan(here, there) == [here, there]
    assert memory.spatial.plan("ball").goal == memory.spatial.plan(goal="ball").goal == "ball"


def test_macros_from_dictionaries(memory: Memory) -> None:
    calls = [{"name": "find", "arguments": {"thing": "$1"}}, {"tool": "pickup"}]
    signature = memory.macros.add(calls, triggers=["fetch the $1"])
    assert memory.macros.get(signature).steps == (Step("find", {"thing": "$1"}), Step("pickup"))
    assert memory.macros.suggest({"mission": "fetch the ball"}) == []  # never tried
    memory.macros.judge(signature, 20, 20)
    (one,) = memory.macros.suggest({"mission": "fetch the ball"}, topk=3)
    assert (one["values"], one["call"]) == (
        {"$1": "ball"},
        memory.macros.suggest("fetch the ball", SymbolicState())[0].call,
    )
    with pytest.raises(InvalidItemError, match="needs a mission"):
        memory.macros.suggest({"view": None})
    with pytest.raises(InvalidItemError, match="a step must be"):
        memory.macros.add([{"arguments": {}}])


def test_replay_consolidates_what_was_read(memory: Memory) -> None:
    trace = memory.episodic.write("Ada likes tea", origin="diary")
    derived = Provenance("diary", derived_from=(("traces", trace),))
    (fact,) = memory.relational.upsert([Tuple("Ada", "likes", "tea", provenance=derived)])
    assert [item.key_id for item in memory.replay(4)] == [trace]
    rehearsals = memory.store.db.execute("SELECT rehearsals FROM facts WHERE id = ?", (fact,)).fetchone()[0]
    assert rehearsals == 1
