"""What is said of one episode, from its log alone: how it went, what it cost, what it was."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.config import CollectConfig
from agent.errors import CatalogError
from agent.hub import catalog
from agent.logs.events import (
    INGESTION,
    Decided,
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
from eval.harness import Played

Record = dict[str, Any]
"""One episode: arm, task, seed, what came of it, what it cost."""

ANSWER = "answer"
LOOKUPS = frozenset({"recall", "ask_graph", "find", "plan_route", "where_is"})
"""Tools that read a memory."""


def measure(played: Sequence[Played], folder: Path) -> list[Record]:
    """Measure every episode that counts.

    Args:
        played: What the harness played.
        folder: Of the evaluation, which logs are named from.
    """
    records: list[Record] = []
    gold: dict[str, dict[int, tuple[str, ...]]] = {}
    shares: dict[tuple[str, str], dict[str, int]] = {}
    shapes = [shape_of(one.job.config) for one in played]
    for one, shape in zip(played, shapes, strict=True):
        if not one.job.of and shape:
            shares.setdefault((one.job.arm, one.job.task), {}).update(_heard(one, shape))
    for one, shape in zip(played, shapes, strict=True):
        job = one.job
        rows = [row for row in one.rows if row["kind"] != INGESTION]
        heard = shares.get((job.of or job.arm, job.task), {})
        right = gold.setdefault(job.task, {})
        right |= answers_of(job.config, [row["seed"] for row in rows if row["seed"] not in right])
        for row in rows:
            log = one.folder / row["log"]
            found = judge(read_events(log), right[row["seed"]], shape)
            found["ingestion_flops"] = heard.get(row["world"], 0) if shape else None
            records.append({"arm": job.arm, "task": job.task, **row, **found, "log": str(log.relative_to(folder))})
    return records


def _heard(one: Played, shape: Shape) -> dict[str, int]:
    """Operations of each world's visits in which one only listens, shared out among the others."""
    spent: Counter[str] = Counter()
    for row in one.rows:
        if row["kind"] == INGESTION:
            decisions = (event for event in read_events(one.folder / row["log"]) if isinstance(event, Decided))
            spent[row["world"]] += cost_of(decisions, shape).flops
    asked = Counter(row["world"] for row in one.rows if row["kind"] != INGESTION)
    return {world: spent[world] // asked[world] for world in asked}


def shape_of(config: CollectConfig) -> Shape | None:
    """The shape of the local model that plays, if one does."""
    if config.policy != "model" or not isinstance(config.model, LocalModelConfig):
        return None
    try:
        return Shape.of(catalog.resolve(config.model.name))
    except (CatalogError, OSError, KeyError):
        return None


def answers_of(config: CollectConfig, seeds: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Right answers by seed, from the environment itself; none where it does not ask for a text."""
    if not seeds:
        return {}
    found = {}
    with closing(make(config.env.id, **config.env.kwargs)) as env:
        asks = optional(env, "answers") is not None
        for seed in seeds:
            if asks:
                env.reset(seed=seed)
            found[seed] = tuple(optional(env, "answers")) if asks else ()
    return found


def judge(events: Sequence[Event], right: Sequence[str], shape: Shape | None) -> Record:
    """What a log says.

    Args:
        events: Of one episode.
        right: Right answers; none if it is not about an answer.
        shape: Of the model that played, if one did.
    """
    start = next(event for event in events if isinstance(event, Start))
    decisions = [event for event in events if isinstance(event, Decided)]
    said = answer_in(decisions)
    cost = cost_of(decisions, shape) if shape else None
    looked = [e for e in events if isinstance(e, Returned) and e.name in LOOKUPS and e.status == "ok" and e.data]
    waits = latencies(events)
    return {
        "mission": start.mission,
        "world_mark": _mark([start.mission, str(start.optimal_steps), first_seen(events)]),
        "calls_mark": _mark(one.text for one in decisions),
        "answer": said, "right": list(right),
        "em": exact(said, right) if right else None, "f1": f1(said, right) if right else None,
        "leaked": leaks(events, right), "lookups": len(looked),
        "macros_run": sum(one.name == "run_macro" for one in decisions),
        "tool_ms": sum(waits) / len(waits) if waits else None,
        "flops": cost and cost.flops, "context": cost and cost.context, "kv_bytes": cost and cost.kv_bytes,
    }  # fmt: skip


def answer_in(decisions: Sequence[Decided]) -> str | None:
    """The last answer that was given."""
    given = [
        one.arguments["text"] for one in decisions if one.name == ANSWER and one.arguments and "text" in one.arguments
    ]
    return str(given[-1]) if given else None


def exact(said: str | None, right: Sequence[str]) -> bool:
    """Exact match, without case, articles and punctuation (Rajpurkar et al. 2016, arXiv:1606.05250)."""
    return said is not None and folded(said) in map(folded, right)


def f1(said: str | None, right: Sequence[str]) -> float:
    """Overlap of words with the best right answer, in [0, 1] (same source)."""
    return max((_overlap(folded(said or "").split(), folded(one).split()) for one in right), default=0.0)


def _overlap(said: list[str], right: list[str]) -> float:
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right)) if shared else 0.0


def first_seen(events: Iterable[Event]) -> str:
    """The first observation."""
    return next((event.text for event in events if isinstance(event, Observed)), "")


def leaks(events: Iterable[Event], right: Sequence[str]) -> bool:
    """Whether a right answer stands in the mission, or was observed before anything was looked up."""
    wanted = [f" {folded(one)} " for one in right if folded(one) not in (UNKNOWN, DISPUTED, "")]
    for event in events:
        if isinstance(event, Returned) and event.name in LOOKUPS:
            return False
        if isinstance(event, Decided) and event.name == ANSWER:
            return False
        shown = event.mission if isinstance(event, Start) else ""
        shown = f"{event.note} {event.text}" if isinstance(event, Observed) else shown
        if any(one in f" {folded(shown)} " for one in wanted):
            return True
    return False


def latencies(events: Iterable[Event]) -> list[float]:
    """Milliseconds between a decision for a tool and its result, wall clock."""
    found, decided = [], None
    for event in events:
        if isinstance(event, Decided):
            decided = event
        elif isinstance(event, Returned) and decided is not None and event.name == decided.name:
            found.append(1000.0 * (event.at - decided.at))
            decided = None
    return found


def _mark(texts: Iterable[str]) -> str:
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]


def by_arm(records: Iterable[Record]) -> dict[tuple[str, str], dict[int, Record]]:
    """Records by arm and task, then by seed."""
    found: dict[tuple[str, str], dict[int, Record]] = {}
    for one in records:
        found.setdefault((one["arm"], one["task"]), {})[one["seed"]] = one
    return found
