"""What an evaluation says, in one sentence for each task: does the memory help, by how much, how sure."""

from collections.abc import Mapping
from typing import Any

LEVEL = 0.05
"""Greatest p-value of a difference that counts as found."""

FEWEST_WORLDS = 6
"""Fewest worlds of which a test by worlds can find a difference: the smallest p-value of five is 0.0625."""


def without_memory(summary: Mapping[str, Any], arms: Mapping[str, Any], task: str) -> str | None:
    """Return the best arm that plays a task with the same model and without its own memory; ``None`` if none did.

    Args:
        summary: Summary of the evaluation.
        arms: Settings of its arms.
        task: The task.
    """
    pairs = [pair["b"] for pair in summary["paired"] if pair["task"] == task]
    without = [name for name in pairs if arms[name]["policy"] == "model" and not arms[name]["memory"]]
    without = without or [name for name in pairs if arms[name]["memories"] in ("swapped", "empty")]
    return max(without, key=lambda name: summary["arms"][name]["tasks"][task]["success"], default=None)


def verdicts(summary: Mapping[str, Any], arms: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each task that the first arm played."""
    first = next(iter(summary["arms"]), None)
    return [_verdict(summary, arms, task, first) for task in summary["arms"][first]["tasks"]] if first else []


def _verdict(summary: Mapping[str, Any], arms: Mapping[str, Any], task: str, first: str) -> str:
    other = without_memory(summary, arms, task)
    if other is None or not arms[first]["memory"]:
        return f"{task}: whether memory helps can't be said, for no arm played it without its memory."
    pair = next(row for row in summary["paired"] if (row["b"], row["task"]) == (other, task))
    with_, bare = (summary["arms"][name]["tasks"][task]["success"] for name in (first, other))
    low, high = pair["ci95"]
    by = f"{with_:.2f} solved instead of {bare:.2f} ({other}), {pair['diff']:+.2f} ({low:+.2f} to {high:+.2f})"
    worlds = f"{pair['n']} episodes in {pair['worlds']} world{'s' * (pair['worlds'] != 1)}"
    if pair["worlds"] < FEWEST_WORLDS:
        same = " All episodes are of one world: an environment names its worlds in info['world']."
        same = same if pair["worlds"] == 1 else ""
        return (
            f"{task}: too few worlds to say whether memory helps. {by}; {worlds}. The episodes of a world depend on "
            f"each other: of {pair['worlds']}, p is never below {2 * 0.5 ** pair['worlds']:.2f}; play at least "
            f"{FEWEST_WORLDS}, better 20.{same}"
        )
    sure = f"p {pair['p_holm']:.3f}" if pair["p_holm"] >= 0.001 else "p < 0.001"
    if pair["p_holm"] > LEVEL:
        return f"{task}: no effect of memory was found. {by}; {worlds}, {sure}."
    return f"{task}: memory {'helps' if pair['diff'] > 0 else 'hurts'}. {by}; {worlds}, {sure}."
