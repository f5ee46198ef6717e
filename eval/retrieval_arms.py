"""The suite ``retrieval``: methods of finding passages, evaluated as arms."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from agent.logs.log import write_run
from envs.corpora import load
from eval.errors import EvalError
from eval.harness import SETTINGS
from eval.measures import Record
from eval.retrieval import METHODS, evaluate, first
from eval.suites import EvalConfig, load_suite
from eval.summary import conclude

ABOUT = {
    "bm25": "shared words (Lù 2024)", "dense": "likeness of embeddings", "graph": "names and facts alone",
    "dual": "what happened and what is linked with it",
}  # fmt: skip
_NONE: Record = dict.fromkeys(
    (
        "optimal_steps",
        "em",
        "f1",
        "answer",
        "tool_ms",
        "flops",
        "context",
        "kv_bytes",
        "steps",
        "model_calls",
        "prefill_tokens",
        "decode_tokens",
        "forced_tokens",
        "log",
    )
) | {"kind": "", "lookups": 1, "invalid_calls": 0, "macros_run": 0, "leaked": False}
WITHIN = 5
"""A question is solved if all passages that answer it are among this many first ones."""


def evaluate_retrieval_arms(config: EvalConfig, say: Callable[[str], None] = lambda _words: None) -> dict[str, Any]:
    """Find passages with every method for the same questions; write the evaluation and return its summary.

    Args:
        config: Settings; ``data`` and ``format`` name the data set.
        say: Called with each line of progress.

    Raises:
        EvalError: No data set is named, a method is unknown, or the folder holds an evaluation already.
        EnvError: The data set does not have the given format.
    """
    suite = load_suite(config.suite)
    methods = config.arms or suite.arms
    if config.data is None:
        raise EvalError("which questions? suite=retrieval data=FOLDER format=hotpotqa (or 2wiki, musique, locomo)")
    if unknown := [method for method in methods if method not in METHODS]:
        raise EvalError(f"unknown arm {unknown[0]!r}: methods to retrieve are {', '.join(METHODS)}")
    folder = config.runs / (config.name or f"retrieval-{datetime.now().astimezone():%Y%m%d-%H%M%S}")
    if (folder / SETTINGS).is_file():
        raise EvalError(f"{folder} holds an evaluation already: choose another name=")
    corpora = [first(corpus, config.n or suite.plan.n) for corpus in load(config.format, config.data)]
    say(f"{sum(len(c.questions) for c in corpora)} questions over {sum(len(c.documents) for c in corpora)} passages")
    results = evaluate(corpora, methods)
    questions = [question for corpus in corpora for question in corpus.questions]
    records: list[Record] = []
    for method in methods:
        for number, (ranks, question) in enumerate(zip(results[method].ranks, questions, strict=True)):
            held = question.gold & {*ranks[:WITHIN]}
            records.append(
                _NONE
                | {
                    "arm": method,
                    "task": config.format,
                    "seed": number,
                    "episode": number,
                    "world": str(number),
                    "success": len(held) == len(question.gold),
                    "recall": len(held) / len(question.gold),
                    "seconds": results[method].query_ms[number] / 1000,
                    "mission": question.text,
                    "right": sorted(question.gold),
                    "found": ranks[:WITHIN],
                    "world_mark": _mark(question.text),
                    "calls_mark": _mark(" ".join(ranks)),
                }
            )
    known = {
        w: {"about": ABOUT[w], "policy": "retrieval", "memory": True, "memories": "own", "of": "", "set": []}
        for w in methods
    }
    settings = {
        **config.model_dump(mode="json"),
        "arms": list(methods),
        "model": "none",
        "split": config.data.resolve().name,
    }
    described = {"eval": settings, "suite": suite.model_dump(mode="json"), "arms": known, "visits": {}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(f"{folder} can't be made: {error.strerror}; choose another runs=") from error
    write_run(folder / SETTINGS, described, {"name": "none"}, [0])
    return conclude(folder, records)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
