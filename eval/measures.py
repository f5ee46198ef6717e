"""Measures of one episode, computed from its log: outcome, cost, and marks of its world and calls."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.config import CollectConfig
from agent.errors import CatalogError
from agent.hub import catalog
from agent.logs.events import (
    INGESTION,
    Decided,
    End,
    Event,
    Observed,
    Returned,
    Start,
)
from agent.logs.log import read_events
from agent.models.local import LocalModelConfig
from agent.text_env import optional
from envs import make
from envs.questions import DISPUTED, UNKNOWN, folded
from eval.cost import Shape, cost_of
from eval.jobs import Played
from tools.names import ANSWER, LOOKUPS, RUN_MACRO

Record = dict[str, Any]
"""The record of one episode: arm, task, seed, outcome and cost."""


def measure(played: Sequence[Played], folder: Path) -> list[Record]:
    """Measure every episode that counts, and return the records.

    Args:
        played: The jobs that the harness played.
        folder: Folder of the evaluation; paths of logs are relative to it.
    """
    records: list[Record] = []
    gold: dict[str, dict[int, tuple[str, ...]]] = {}
    shares: dict[tuple[str, str], dict[str, int]] = {}
    shapes = [shape_of(result.job.config) for result in played]
    for result, shape in zip(played, shapes, strict=True):
        if not result.job.of and shape:
            shares.setdefault((result.job.arm, result.job.task), {}).update(_heard(result, shape))
    for result, shape in zip(played, shapes, strict=True):
        job = result.job
        rows = [row for row in result.rows if row["kind"] != INGESTION]
        heard = shares.get((job.of or job.arm, job.task), {})
        right = gold.setdefault(job.task, {})
        right |= answers_of(job.config, [row["seed"] for row in rows if row["seed"] not in right])
        for row in rows:
            log = result.folder / row["log"]
            record = judge(read_events(log), right[row["seed"]], shape)
            record["ingestion_flops"] = heard.get(row["world"], 0) if shape else None
            records.append({"arm": job.arm, "task": job.task, **row, **record, "log": str(log.relative_to(folder))})
    return records


def _heard(one: Played, shape: Shape) -> dict[str, int]:
    """Return the operations of each world's ingestion visits, divided by the number of its other episodes."""
    spent: Counter[str] = Counter()
    for row in one.rows:
        if row["kind"] == INGESTION:
            decisions = (event for event in read_events(one.folder / row["log"]) if isinstance(event, Decided))
            spent[row["world"]] += cost_of(decisions, shape).flops
    counted = Counter(row["world"] for row in one.rows if row["kind"] != INGESTION)
    return {world: spent[world] // counted[world] for world in counted}


def shape_of(config: CollectConfig) -> Shape | None:
    """Return the shape of the local model that plays; ``None`` if no local model plays."""
    if config.policy != "model" or not isinstance(config.model, LocalModelConfig):
        return None
    try:
        return Shape.of(catalog.resolve(config.model.name))
    except (CatalogError, OSError, KeyError):
        return None


def answers_of(config: CollectConfig, seeds: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the right answers by seed, from the environment itself; none if it does not ask for a text."""
    if not seeds:
        return {}
    answers = {}
    with closing(make(config.env.id, **config.env.kwargs)) as env:
        asks = optional(env, "answers") is not None
        for seed in seeds:
            if asks:
                env.reset(seed=seed)
            answers[seed] = tuple(optional(env, "answers")) if asks else ()
    return answers


def judge(events: Sequence[Event], right: Sequence[str], shape: Shape | None) -> Record:
    """Measure one episode from its log.

    Args:
        events: Events of the episode.
        right: Right answers; none if the episode does not ask for an answer.
        shape: Shape of the local model that played, if one did.
    """
    start = next(event for event in events if isinstance(event, Start))
    decisions = [event for event in events if isinstance(event, Decided)]
    answer = answer_in(decisions)
    cost = cost_of(decisions, shape) if shape else None
    looked = [e for e in events if isinstance(e, Returned) and e.name in LOOKUPS and e.status == "ok" and e.data]
    waits = latencies(events)
    return {
        "mission": start.mission,
        "reason": next((event.reason for event in events if isinstance(event, End)), ""),
        "world_mark": _mark([start.mission, str(start.optimal_steps), first_seen(events)]),
        "calls_mark": _mark(decision.text for decision in decisions),
        "answer": answer,
        "right": list(right),
        "em": exact(answer, right) if right else None,
        "f1": f1(answer, right) if right else None,
        "leaked": leaks(events, right),
        "lookups": len(looked),
        "macros_run": sum(decision.name == RUN_MACRO for decision in decisions),
        "tool_ms": sum(waits) / len(waits) if waits else None,
        "flops": cost and cost.flops,
        "context": cost and cost.context,
        "kv_bytes": cost and cost.kv_bytes,
    }


def answer_in(decisions: Sequence[Decided]) -> str | None:
    """Return the last answer that was given."""
    given = [
        decision.arguments["text"]
        for decision in decisions
        if decision.name == ANSWER and decision.arguments and "text" in decision.arguments
    ]
    return str(given[-1]) if given else None


def exact(said: str | None, right: Sequence[str]) -> bool:
    """Return whether the answer matches exactly, without case, articles and punctuation.

    Source: Rajpurkar et al. 2016, arXiv:1606.05250.
    """
    return said is not None and folded(said) in map(folded, right)


def f1(said: str | None, right: Sequence[str]) -> float:
    """Return the word overlap (F1) with the best right answer, in [0, 1] (same source as :func:`exact`)."""
    return max((_overlap(folded(said or "").split(), folded(expected).split()) for expected in right), default=0.0)


def _overlap(said: list[str], right: list[str]) -> float:
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right)) if shared else 0.0


def first_seen(events: Iterable[Event]) -> str:
    """Return the first observation."""
    return next((event.text for event in events if isinstance(event, Observed)), "")


def leaks(events: Iterable[Event], right: Sequence[str]) -> bool:
    """Return whether a right answer is in the mission, or was observed before anything was looked up."""
    wanted = [f" {folded(answer)} " for answer in right if folded(answer) not in (UNKNOWN, DISPUTED, "")]
    for event in events:
        if isinstance(event, Returned) and event.name in LOOKUPS:
            return False
        if isinstance(event, Decided) and event.name == ANSWER:
            return False
        shown = event.mission if isinstance(event, Start) else ""
        shown = f"{event.note} {event.text}" if isinstance(event, Observed) else shown
        if any(answer in f" {folded(shown)} " for answer in wanted):
            return True
    return False


def latencies(events: Iterable[Event]) -> list[float]:
    """Return the milliseconds between each decision for a tool and its result, wall clock."""
    milliseconds, decided = [], None
    for event in events:
        if isinstance(event, Decided):
            decided = event
        elif isinstance(event, Returned) and decided is not None and event.name == decided.name:
            milliseconds.append(1000.0 * (event.at - decided.at))
            decided = None
    return milliseconds


def _mark(texts: Iterable[str]) -> str:
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]


def by_arm(records: Iterable[Record]) -> dict[tuple[str, str], dict[int, Record]]:
    """Group records by arm and task, then by seed."""
    grouped: dict[tuple[str, str], dict[int, Record]] = {}
    for record in records:
        grouped.setdefault((record["arm"], record["task"]), {})[record["seed"]] = record
    return grouped


def chance(records: Sequence[Record], guess: Mapping[str, float]) -> float | None:
    """Return the share of episodes that guessing solves; ``None`` if it is not known of every kind among them.

    Args:
        records: Episodes.
        guess: Success by guessing, by kind of mission.
    """
    if not records or any(record["kind"] not in guess for record in records):
        return None
    return sum(guess[str(record["kind"])] for record in records) / len(records)
