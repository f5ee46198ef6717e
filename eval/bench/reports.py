"""What people's reports break: names, look-alikes, verbs, scripts, and questions whose answer is not there.

::

    python -m eval.bench.reports --json

The sets are in tests/memory/data: 200 names of 20 scripts in sentences, 100 pairs that look alike, 500 verbs, 90 words
in sentences of nine languages, and twice 80 questions of which half have no answer in the memory. Everyday sentences
have a benchmark of their own, ``eval.bench.everyday``.
"""

import argparse
import csv
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.bench.everyday import DATA
from eval.bench.report import tell
from eval.statistics import wilson_ci
from memory import HashingEmbedder, Memory, MiniLMEmbedder
from memory.relational import RuleExtractor, Tuple
from memory.relational.names import normalise

POINTS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
"""Thresholds of similarity that are shown."""


def rows(name: str) -> list[dict[str, Any]]:
    """Return the lines of one set."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def _share(right: int, n: int) -> dict[str, Any]:
    return {"right": right, "n": n, "share": right / n, "ci95": wilson_ci(right, n)}


def names() -> dict[str, Any]:
    """Return how many names are read, stored, and found by asking for them."""
    cases, right = rows("names.jsonl"), 0
    with Memory.open(None, HashingEmbedder(32)) as memory:
        for found in RuleExtractor().extract_many([case["sentence"] for case in cases]):
            memory.relational.upsert(found)
        for case in cases:
            wanted = {normalise(case["name"]), normalise(case["other"])}
            facts = memory.relational.ask(f"What is known of {case['name']}?", 20)
            right += any({f.head, f.tail} == wanted and re.search(case["relation"], f.relation) for f in facts)
    return _share(right, len(cases))


def merges() -> dict[str, Any]:
    """Return how many pairs that look alike are one entity, or lose a fact to each other, after both were told."""
    cases, wrong = rows("confusable.jsonl"), 0
    for case in cases:
        with Memory.open(None, HashingEmbedder(32)) as memory:
            kg = memory.relational
            kg.upsert([Tuple(case["one"], "lives_in", "Rome", time=1.0)])
            kg.upsert([Tuple(case["two"], "lives_in", "Oslo", time=2.0)])
            wrong += len(kg) != 2 or bool(kg.aliases.all()) or bool(kg.resolve(least=0.0))
    return {"wrong": wrong, "n": len(cases)}


def verbs() -> dict[str, Any]:
    """Return how many sentences with a verb of the list in the present tense give a fact with that verb."""
    with (DATA / "verbs.csv").open(encoding="utf-8") as file:
        table = [row for row in csv.DictReader(file) if row["base"] not in ("be", "have")]
    right = 0
    for row, found in zip(
        table, RuleExtractor().extract_many([f"Anna {row['third']} the red machine." for row in table]), strict=True
    ):
        right += any(item.relation.split("_")[0] in (row["third"], "owned") for item in found)
    return _share(right, len(table))


def scripts() -> dict[str, Any]:
    """Return for each language how many words find their sentence first."""
    figures: dict[str, list[bool]] = {}
    embedder = MiniLMEmbedder()
    for case in rows("scripts_words.jsonl"):
        with Memory.open(None, embedder) as memory:
            for text in case["texts"]:
                memory.episodic.write(text, origin="t")
            first = memory.episodic.recall(case["word"], 1)[0].trace.key
            figures.setdefault(case["language"], []).append(first == case["texts"][case["index"]])
    return {language: f"{sum(right)} of {len(right)}" for language, right in figures.items()}


def search(name: str) -> dict[str, Any]:
    """Return how well the best similarity tells questions with an answer from those without."""
    cases = rows(name)
    with Memory.open(None, MiniLMEmbedder()) as memory:
        for case in cases:
            if case["kind"] == "passage":
                memory.episodic.write(case["passage"], origin="t")
        asked = [case for case in cases if case["kind"] == "question"]
        best = np.array([max(hit.similarity for hit in memory.episodic.recall(case["question"], 5)) for case in asked])
    answered = np.array([case["answerable"] for case in asked])
    pairs = best[answered][:, None] - best[~answered]
    return {
        "n": len(asked),
        "auc": float((pairs > 0).mean() + 0.5 * (pairs == 0).mean()),
        "points": {
            point: {
                "answered_kept": float((best[answered] >= point).mean()),
                "refused": float((best[~answered] < point).mean()),
            }
            for point in POINTS
        },
    }


def measure() -> dict[str, Any]:
    """Measure everything."""
    return {
        "names": names(),
        "wrong_merges": merges(),
        "verbs": verbs(),
        "scripts": scripts(),
        "search": {"chosen_on": search("search.jsonl"), "held_out": search("search_heldout.jsonl")},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    tell(measure(), parser.parse_args(arguments).json)


if __name__ == "__main__":
    main()
