from collections.abc import Callable
from pathlib import Path

import pytest

from eval.intervention import (
    RandomTools,
    ShuffledTools,
    befores,
    derangement,
)
from memory import HashingEmbedder, Memory, NotAMemoryError, Provenance
from memory.relational import Tuple
from tests.eval.conftest import Evaluate


def test_what_belongs_together_is_needed_for_the_answers(evaluate: Evaluate, arm: Callable[..., str]) -> None:
    arms = ",".join(arm(name) for name in ("restored", "swapped", "shuffled", "random", "empty"))
    summary, _ = evaluate("suite=sgc_rss", "n=10", f"arms=[expert,{arms}]")
    shares = {name: one["success"] for name, one in summary["arms"].items()}
    assert shares["expert"] == shares["restored"] == 1.0
    assert max(shares["swapped"], shares["shuffled"], shares["random"], shares["empty"]) <= 0.3


def test_shuffled_look_ups_read_as_what_belongs_to_another() -> None:
    with Memory.open(None, HashingEmbedder()) as memory:
        texts = ["Ada hid the lamp in the attic", "Bo found the coat in the cellar", "Cy lost the cup in the garden"]
        ids = [memory.episodic.write(text) for text in texts]
        origin = Provenance("test")
        memory.relational.upsert([Tuple("ada", "lives_in", "rome", origin), Tuple("bo", "lives_in", "oslo", origin)])
        tools = ShuffledTools(memory)
        assert tools.hits("where is the lamp")[0].trace.id == derangement(ids)[ids[0]] != ids[0]
        told = " ".join(map(str, tools.facts("ada")))
        assert "ada" in told
        assert "ada lives in rome" not in told
        assert {hit.trace.id for hit in RandomTools(memory).hits("lamp")} <= {*ids}


def test_a_derangement_leaves_nothing_in_its_place() -> None:
    items = [*range(9)]
    mixed = derangement(items)
    assert sorted(mixed.values()) == items
    assert all(one != other for one, other in mixed.items())
    assert derangement(items) == mixed
    assert derangement(["one"]) == {"one": "one"}


def test_swapped_memories_are_another_worlds_of_as_many_visits() -> None:
    rows = [{"episode": number, "kind": "x"} for number in range(6)]
    folders = {number: Path(f"run{number // 3}") for number in range(6)}
    own, swapped = (befores(rows, folders, memories, 3) for memories in ("restored", "swapped"))
    assert own == {1: (Path("run0"), 0), 2: (Path("run0"), 1), 4: (Path("run1"), 3), 5: (Path("run1"), 4)}
    assert swapped == {1: (Path("run1"), 3), 2: (Path("run1"), 4), 4: (Path("run0"), 0), 5: (Path("run0"), 1)}


def test_a_saved_memory_is_one_and_a_copy_leaves_it_alone(tmp_path: Path) -> None:
    with Memory.open(None, HashingEmbedder()) as memory:
        memory.episodic.write("Ada hid the lamp in the attic")
        memory.save(tmp_path / "kept")
    with Memory.copy_of(tmp_path / "kept", HashingEmbedder()) as copy:
        copy.episodic.write("Bo found the coat")
        assert [hit.trace.key for hit in copy.episodic.recall("lamp", 1)] == ["Ada hid the lamp in the attic"]
    with Memory.open(tmp_path / "kept", HashingEmbedder()) as kept:
        assert len(kept.episodic) == 1
        assert kept.verify().ok
    with pytest.raises(NotAMemoryError, match="nothing to copy"):
        Memory.copy_of(tmp_path)


@pytest.mark.slow
@pytest.mark.model
def test_swapping_memories_changes_what_the_model_answers(evaluate: Evaluate, dtype: str) -> None:
    arms = "arms=[model,memory_restored,memory_swapped]"
    summary, _ = evaluate("suite=hei_nw", "n=10", arms, "batch=2", f"set=[env.kwargs.level=easy,model.dtype={dtype}]")
    shares = {name: one["success"] for name, one in summary["arms"].items()}
    assert shares["model"] >= 0.8
    assert shares["memory_restored"] >= 0.8
    assert shares["memory_swapped"] <= 0.4
    assert summary["ok"], summary["checks"]
    assert summary["arms"]["model"]["flops_per_solved"] > 1e9
