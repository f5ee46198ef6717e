"""The module API in its plain form: vectors, dictionaries and ids beside the richer types."""

from dataclasses import replace
from pathlib import Path

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
    before = Tuple("Ada", "likes", "tea", Provenance("earlier", time=3.0), "at noon", 0.5)  # type: ignore[arg-type]
    assert (before.context, before.conf, before.origin.time) == ("at noon", 0.5, 3.0)
    later = replace(before, provenance=Provenance("later", time=99.0))
    assert (later.origin.time, replace(full, provenance=Provenance("x", time=99.0)).origin.time) == (99.0, 5.0)
    for wrong in (None, 5, ["x"], {}):
        with pytest.raises(InvalidItemError, match="Unicode"):
            memory.relational.upsert([Tuple("Ada", "likes", "milk", wrong)])  # type: ignore[arg-type]
    with pytest.raises(InvalidItemError, match="takes a list of Tuple"):
        memory.relational.upsert([("Ada", "likes", "milk")])  # type: ignore[list-item]


def test_without_an_origin_the_line_of_code_is_the_source(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = memory.episodic.write("a note")
    memory.relational.upsert([Tuple("Ada", "likes", "tea")])
    sources = {row[0] for row in memory.store.db.execute("SELECT source FROM provenance")}
    assert len(sources) == 2
    assert all(source.startswith("code:") and "test_plain_api.py:" in source for source in sources)
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert memory.episodic.write("a note from nowhere")
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
    with pytest.raises(InvalidItemError, match="observe takes a text"):
        spatial.observe({"text": "You are in the hall."}, None, "north")  # type: ignore[call-overload]
    with pytest.raises(InvalidItemError, match="a view must be"):
        spatial.observe({"view": "x", "world": "elsewhere"})
    assert spatial.place == attic  # nothing was left
    assert spatial.observe({"text": "You are in the hall. A clock ticks.", "world": "elsewhere"}) != hall


def test_a_plan_between_ids_is_not_led_astray_by_names(memory: Memory) -> None:
    spatial = memory.spatial
    ids = [spatial.observe({"text": f"Room {text}.", "action": "east"}) for text in ("one", "two", "three", "four")]
    spatial.enter(spatial.world)
    spatial.observe({"text": "Room one."})
    spatial.observe({"text": "Room two.", "action": "east"})
    spatial.mark(f"place {ids[3]}")
    assert spatial.plan(ids[0], ids[3]) == ids
    assert spatial.plan(np.int64(ids[0]), np.int64(ids[3])) == ids  # type: ignore[call-overload]


def test_numbers_of_numpy_are_numbers(memory: Memory) -> None:
    number = memory.episodic.write("a note", salience=np.float32(0.5))
    memory.relational.upsert([Tuple("Ada", "likes", "tea", time=np.float32(5), conf=np.float32(0.5))])
    memory.episodic.delete(np.int64(number))
    assert len(memory.episodic) == 0


def test_one_text_has_one_vector(memory: Memory) -> None:
    first, second = np.eye(2, memory.episodic.index.dim, dtype=np.float32)
    number = memory.episodic.write(first, {"text": "the same"})
    assert memory.episodic.write(first, {"text": "the same"}) == number
    with pytest.raises(InvalidItemError, match="another vector"):
        memory.episodic.write(second, {"text": "the same"})
    assert memory.episodic.write(first, {"text": None}) != memory.episodic.write(second, {"text": None})
    with pytest.raises(InvalidItemError, match="numbers"):
        memory.episodic.write(["a"], {})  # type: ignore[arg-type]


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
    follow = memory.macros.add([{"name": "find", "follow": True, "until": ["known $1"], "observation": "a hall"}])
    assert memory.macros.get(follow).steps == (Step("find", {}, True, ("known $1",)),)
    for wrong in (None, {"mission": "fetch", "known": "red ball"}, {"mission": "fetch", "view": 5}):
        with pytest.raises(InvalidItemError, match="suggest"):
            memory.macros.suggest(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidItemError, match="list of texts"):
        memory.macros.add(calls, triggers="fetch")


def test_replay_consolidates_what_was_read(memory: Memory) -> None:
    trace = memory.episodic.write("Ada likes tea", origin="diary")
    derived = Provenance("diary", derived_from=(("traces", trace),))
    (fact,) = memory.relational.upsert([Tuple("Ada", "likes", "tea", provenance=derived)])
    assert [item.key_id for item in memory.replay(4)] == [trace]
    rehearsals = memory.store.db.execute("SELECT rehearsals FROM facts WHERE id = ?", (fact,)).fetchone()[0]
    assert rehearsals == 1
