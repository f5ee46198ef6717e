"""The sentence that says whether memory helps, and tables that fit."""

from typing import Any

import pytest
from rich.console import Console

from eval.summary import difference, figures
from eval.tables import arms_tables
from eval.verdict import verdicts

ARMS = {
    "model": {"about": "", "policy": "model", "memory": True, "memories": "own", "set": ()},
    "model_no_memory": {"about": "", "policy": "model", "memory": False, "memories": "own", "set": ()},
}


def record(arm: str, world: int, visit: int, success: bool) -> dict[str, Any]:
    numbers = ("model_calls", "prefill_tokens", "decode_tokens", "forced_tokens", "seconds", "tool_ms", "context")
    return {
        "arm": arm, "task": "maze", "world": str(world), "seed": 10 * world + visit, "kind": "", "success": success,
        "steps": 5, "optimal_steps": 4, "em": None, "f1": None, "flops": None, "kv_bytes": None, "invalid_calls": 0,
        "macros_run": 0, "answer": None, "right": [], "ending": "solved", "world_mark": str(world), "lookups": 0,
        "found": 0, "calls_mark": "", **dict.fromkeys(numbers, 1.0),
    }  # fmt: skip


def summary(worlds: int, with_memory: float, without: float) -> dict[str, Any]:
    played = {
        arm: [record(arm, world, visit, world < share * worlds) for world in range(worlds) for visit in range(3)]
        for arm, share in zip(ARMS, (with_memory, without), strict=True)
    }
    arms = {name: {"about": "", "tasks": {"maze": figures(rows)}} for name, rows in played.items()}
    pair = difference(*played.values())
    told = {"task": "maze", "a": "model", "b": "model_no_memory", "p_holm": max(pair["p"], pair["p_worlds"])}
    return {"suite": "maze", "split": "test", "model": "hippo-135m", "arms": arms, "paired": [pair | told]}


@pytest.mark.parametrize(
    ("worlds", "shares", "words"),
    [
        (20, (1.0, 0.2), "memory helps. 1.00 solved instead of 0.20"),
        (20, (0.2, 1.0), "memory hurts"),
        (20, (0.5, 0.5), "no effect of memory was found"),
        (2, (1.0, 0.0), "too few worlds to say whether memory helps"),
    ],
)
def test_the_sentence_says_what_was_found(worlds: int, shares: tuple[float, float], words: str) -> None:
    (said,) = verdicts(summary(worlds, *shares), ARMS)
    assert words in said
    assert f"{3 * worlds} episodes in {worlds} worlds" in said


def test_two_worlds_say_what_they_can_never_show() -> None:
    (said,) = verdicts(summary(2, 1.0, 0.0), ARMS)
    assert "p is never below 0.50" in said


def test_without_an_arm_without_memory_nothing_is_claimed() -> None:
    one = summary(8, 1.0, 0.0)
    one["arms"].pop("model_no_memory")
    one["paired"] = []
    assert "can't be said" in verdicts(one, ARMS)[0]


def test_tables_fit_80_columns_and_few_worlds_have_no_p() -> None:
    console = Console(width=80, record=True)
    for table in arms_tables(summary(2, 1.0, 0.0)):
        console.print(table)
    text = console.export_text()
    assert "few worlds" in text
    assert "6 (2)" in text
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
