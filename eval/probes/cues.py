"""Recall@1 from partial cues for every way to rank, with intervals.

Stories of one seed (validation) are used to choose the weight of shared words and to train the completion
network; the results are for stories of another seed (test). All ways answer the same cues.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.probes.stories import Cues, Story, half_of_the_words, stories
from eval.statistics import paired_difference, wilson_ci
from memory import Embedder, Memory, RecallConfig
from memory.episodic import DGKey
from memory.episodic.completion import CompletionConfig, train
from memory.episodic.recall import Cue

VALIDATION, TEST = 1, 2
KINDS = ("half of the words", "paraphrase", "two slots", "two slots as words")
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass
class Task:
    """A memory full of stories, and cues of some of them.

    Attributes:
        memory: All stories, as traces.
        told: The stories.
        cues: By kind: the cues and the traces that they mean.
    """

    memory: Memory
    told: list[Story]
    cues: dict[str, tuple[list[Cue], list[int]]]


def task(count: int, distractors: int, seed: int, embedder: Embedder) -> Task:
    """Tell ``count + distractors`` stories and make ``count`` cues of each kind."""
    every_story = stories(count + distractors, seed)
    memory = Memory.open(None, embedder)
    ids = memory.episodic.write_many([story.event for story in every_story])
    rng, maker = np.random.default_rng(seed), Cues(every_story)

    ways: Mapping[str, Callable[[Story], Cue | None]] = {
        KINDS[0]: lambda story: half_of_the_words(story, rng),
        KINDS[1]: maker.paraphrase,
        KINDS[2]: lambda story: maker.two_slots(story, rng),
    }
    cues: dict[str, tuple[list[Cue], list[int]]] = {}
    for kind, way in ways.items():
        chosen = [(cue, i) for story, i in zip(every_story, ids, strict=True) if (cue := way(story)) is not None][
            :count
        ]
        cues[kind] = ([cue for cue, _ in chosen], [i for _, i in chosen])
    pairs, meant = cues[KINDS[2]]
    cues[KINDS[3]] = ([" ".join(pair.values()) for pair in pairs if isinstance(pair, dict)], meant)
    return Task(memory, every_story, cues)


def first_hits(task: Task, kind: str, config: RecallConfig) -> NDArray[np.bool_]:
    """Which cues of a kind bring up the trace that they mean, first."""
    memory = task.memory
    memory.episodic.configure(config)
    cues, wanted = task.cues[kind]
    recalled = [memory.episodic.recall(cue, 1) for cue in cues]
    return np.array([bool(hits) and hits[0].trace.id == i for hits, i in zip(recalled, wanted, strict=True)])


def ceiling(task: Task) -> float:
    """Recall@1 of whoever knows all stories by heart, on half of the words.

    Several stories may hold all the words that are left; the best that one can do is to guess among them.
    """
    holding: dict[str, set[int]] = {}
    for number, story in enumerate(task.told):
        for word in story.sentence.rstrip(".").replace(",", "").split():
            holding.setdefault(word, set()).add(number)
    cues = [str(cue).split() for cue in task.cues[KINDS[0]][0]]
    return float(np.mean([1 / len(set.intersection(*(holding[word] for word in cue))) for cue in cues]))


def warm(task: Task) -> None:
    """Embed all cues at once."""
    texts = [cue if isinstance(cue, str) else " ".join(cue.values()) for cues, _ in task.cues.values() for cue in cues]  # type: ignore[union-attr]
    task.memory.embedder.embed(texts)


def ways(weight: float) -> dict[str, RecallConfig]:
    """Every way that is compared, by name."""
    return {
        "dense": RecallConfig(lexical=0),
        "k-WTA": RecallConfig(keys="sparse", lexical=0),
        "completion": RecallConfig(lexical=0, completion=True),
        "hybrid": RecallConfig(lexical=weight),
        "hybrid, k-WTA": RecallConfig(keys="sparse", lexical=weight),
        "hybrid, completion": RecallConfig(lexical=weight, completion=True),
    }


def choose_weight(task: Task) -> tuple[float, dict[str, float]]:
    """The weight of words with the best mean recall@1 over the kinds, on validation stories."""
    means = {
        weight: float(np.mean([first_hits(task, kind, RecallConfig(lexical=weight)).mean() for kind in KINDS]))
        for weight in WEIGHTS
    }
    return max(means, key=lambda weight: means[weight]), {str(weight): mean for weight, mean in means.items()}


def choose_winners(task: Task) -> dict[str, float]:
    """Mean recall@1 of several counts of winners, on validation stories."""
    options = [DGKey(k=k) for k in (32, 64, 128, 256)]
    return {
        f"{key.k} of {key.d_k}": float(
            np.mean([first_hits(task, k, RecallConfig(keys="sparse", lexical=0, dg=key)).mean() for k in KINDS])
        )
        for key in options
    }


def measure(count: int, distractors: int, embedder: Embedder) -> dict[str, Any]:
    """Run everything; returns the figures."""
    validation = task(min(count, 500), distractors, VALIDATION, embedder)
    weight, by_weight = choose_weight(validation)
    winners = choose_winners(validation)
    card = train(validation.memory.store, embedder, CompletionConfig())
    weights = validation.memory.store.db.execute("SELECT * FROM artifacts WHERE id = ?", (card["id"],)).fetchone()
    test = task(count, distractors, TEST, embedder)
    warm(test)
    with test.memory.transaction():
        test.memory.store.db.execute("INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?)", weights)
    hits = {name: {kind: first_hits(test, kind, way) for kind in KINDS} for name, way in ways(weight).items()}
    default = next(name for name, way in ways(weight).items() if way == RecallConfig(lexical=weight))
    figures: dict[str, Any] = {
        "n": {kind: len(test.cues[kind][0]) for kind in KINDS},
        "traces": len(test.memory.episodic),
        "embedder": embedder.name,
        "ceiling_half_of_the_words": ceiling(test),
        "lexical_weight": weight,
        "validation_by_weight": by_weight,
        "validation_by_winners": winners,
        "default_is_measured_best": RecallConfig().lexical == weight,
        "completion_card": {key: card[key] for key in ("recall@1_nearest", "recall@1_completed", "passes")},
        "recall@1": {
            name: {
                kind: {"mean": float(x.mean()), "ci95": wilson_ci(int(x.sum()), len(x))} for kind, x in by_kind.items()
            }
            for name, by_kind in hits.items()
        },
        "over_dense": {
            name: {kind: paired_difference(x, hits["dense"][kind]) for kind, x in by_kind.items()}
            for name, by_kind in hits.items()
            if name != "dense"
        },
        "over_hybrid": {
            name: {kind: paired_difference(x, hits[default][kind]) for kind, x in by_kind.items()}
            for name, by_kind in hits.items()
            if name.startswith("hybrid,")
        },
    }
    return figures


def table(figures: Mapping[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = ["| | " + " | ".join(KINDS) + " |", "| --- |" + " ---: |" * len(KINDS)]
    for name, by_kind in figures["recall@1"].items():
        cells = [
            f"{v['mean']:.3f} ({v['ci95'][0]:.3f} to {v['ci95'][1]:.3f})" for v in (by_kind[kind] for kind in KINDS)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
