"""Measurements of a memory alone, which belong to a suite: ways to recall, schema routing, what is replayed."""

from collections.abc import Callable, Mapping
from typing import Any

Probe = dict[str, Any]
"""A title, the names of columns, and rows of words."""

CUES, DISTRACTORS, STREAMS, REPLAYED = 400, 4_000, 4, 20
"""Enough for intervals of a few hundredths; the commands of the benchmarks measure more."""


def cues() -> Probe:
    """Recall@1 from four kinds of partial cues, for every way to rank, k-WTA keys and completion among them."""
    from eval.bench.cues import KINDS, measure
    from memory import MiniLMEmbedder

    found = measure(CUES, DISTRACTORS, MiniLMEmbedder(cache_size=100_000))
    rows = [[name, *(_share(by_kind[kind]) for kind in KINDS)] for name, by_kind in found["recall@1"].items()]
    title = f"Recall@1 from {CUES} cues of each kind among {found['traces']:,} traces that share their slots"
    return {"title": title, "columns": ["way", *KINDS], "rows": rows}


def schemas() -> Probe:
    """How often a fact must be told until it is found, with schema routing and without."""
    from eval.bench.schemas import measure

    arms = measure(STREAMS)["arms"]
    rows = [
        [name, str(one["n"]), _mean(one["exposures"], one["exposures_ci95"]),
         _mean(one["wrong_first"], one["wrong_first_ci95"])]
        for name, one in arms.items()
    ]  # fmt: skip
    columns = ["facts are believed", "n", "tellings until found", "the wrong one first"]
    return {
        "title": "Tellings until a new fact is found, one misread fact beside each",
        "columns": columns,
        "rows": rows,
    }


def replay() -> Probe:
    """What is replayed with the scheduler, without one part of it, and by even draws."""
    from eval.bench.replay_queue import measure

    found = measure(REPLAYED)
    rows = [
        [name, *(_share(one[key]) for key in ("high_first", "old", "alike"))] for name, one in found["ways"].items()
    ]
    return {
        "title": f"Replay of {found['events']} events in {REPLAYED} streams, a quarter of them near repeats",
        "columns": ["batches are drawn by", "of the highest tenth, replayed", "replayed before", "alike in a batch"],
        "rows": rows,
    }


PROBES: Mapping[str, Callable[[], Probe]] = {"cues": cues, "schemas": schemas, "replay": replay}


def _share(one: Mapping[str, Any]) -> str:
    return _mean(one["mean"], one["ci95"])


def _mean(value: float, bounds: tuple[float, float]) -> str:
    return f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"
