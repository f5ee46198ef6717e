"""Probes: measurements of a memory alone that belong to a suite (ways to recall, schema routing, replay)."""

from collections.abc import Callable, Mapping
from typing import Any

Probe = dict[str, Any]
"""The result of a probe: a title, names of columns, and rows of cells."""

CUES, DISTRACTORS, STREAMS, REPLAYED = 400, 4_000, 4, 20
"""Sizes that give intervals of a few hundredths; the benchmark commands measure more."""


def cues() -> Probe:
    """Measure recall@1 from four kinds of partial cues, for every way to rank, with k-WTA keys and completion."""
    from eval.probes.cues import KINDS, measure
    from memory import MiniLMEmbedder

    figures = measure(CUES, DISTRACTORS, MiniLMEmbedder(cache_size=100_000))
    rows = [[name, *(_share(by_kind[kind]) for kind in KINDS)] for name, by_kind in figures["recall@1"].items()]
    title = f"Recall@1 from {CUES} cues of each kind among {figures['traces']:,} traces that share their slots"
    return {"title": title, "columns": ["way", *KINDS], "rows": rows}


def schemas() -> Probe:
    """Measure how often a fact must be told until it is found, with and without schema routing."""
    from eval.probes.schemas import measure

    arms = measure(STREAMS)["arms"]
    rows = [
        [
            name,
            str(scores["n"]),
            _mean(scores["exposures"], scores["exposures_ci95"]),
            _mean(scores["wrong_first"], scores["wrong_first_ci95"]),
        ]
        for name, scores in arms.items()
    ]
    columns = ["facts are believed", "n", "tellings until found", "the wrong one first"]
    return {
        "title": "Tellings until a new fact is found, one misread fact beside each",
        "columns": columns,
        "rows": rows,
    }


def replay() -> Probe:
    """Measure what is replayed with the scheduler, without single parts of it, and by uniform draws."""
    from eval.probes.replay_queue import measure

    figures = measure(REPLAYED)
    rows = [
        [name, *(_share(scores[key]) for key in ("high_first", "old", "alike"))]
        for name, scores in figures["ways"].items()
    ]
    return {
        "title": f"Replay of {figures['events']} events in {REPLAYED} streams, a quarter of them near repeats",
        "columns": ["batches are drawn by", "of the highest tenth, replayed", "replayed before", "alike in a batch"],
        "rows": rows,
    }


PROBES: Mapping[str, Callable[[], Probe]] = {"cues": cues, "schemas": schemas, "replay": replay}


def _share(one: Mapping[str, Any]) -> str:
    return _mean(one["mean"], one["ci95"])


def _mean(value: float, bounds: tuple[float, float]) -> str:
    return f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"
