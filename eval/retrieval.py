"""Recall of the passages that answer questions about documents, for several methods.

::

    hippo eval retrieval --format hotpotqa --data PATH --method all --json

``bm25`` is the usual baseline (Lù 2024, bm25s): Porter stems, no function words, the title counted twice. ``dense``
ranks by the cosine of the memory's embedder, ``graph`` by the walk over names and facts alone, and ``dual`` is
:meth:`memory.Memory.retrieve`. All methods rank the same passages for the same questions.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from envs.corpora import Corpus, Question
from eval.statistics import bootstrap_ci, paired_difference
from memory import Embedder, Memory, Provenance
from memory.reading import Passage
from memory.stems import stems

METHODS = ("bm25", "dense", "graph", "dual")
_DEPTH = 10


@dataclass
class Result:
    """The result of one method.

    Attributes:
        ranks: Ids of the first ten passages for each question.
        index_s: Seconds to index the corpora.
        query_ms: Milliseconds of each question.
    """

    ranks: list[list[str]] = field(default_factory=list)
    index_s: float = 0.0
    query_ms: list[float] = field(default_factory=list)


def first(corpus: Corpus, limit: int) -> Corpus:
    """Return the corpus with its first ``limit`` questions; with all if the limit is 0."""
    return replace(corpus, questions=corpus.questions[: limit or None])


def evaluate(
    corpora: Sequence[Corpus],
    methods: Sequence[str],
    embedder: Embedder | None = None,
    progress: Callable[[str, int], object] = lambda _what, _count: None,
) -> dict[str, Result]:
    """Answer every question with every method.

    Args:
        corpora: The corpora; each gets an index of its own.
        methods: Names of methods, from ``METHODS``.
        embedder: Embedder of all methods but ``bm25``; MiniLM by default.
        progress: Called with the name of a step and the number of items that were done.
    """
    results = {method: Result() for method in methods}
    for corpus in corpora:
        if "bm25" in methods:
            _bm25(corpus, results["bm25"], progress)
        if {"dense", "graph", "dual"} & {*methods}:
            _memory(corpus, {m: r for m, r in results.items() if m != "bm25"}, embedder, progress)
    return results


def _bm25(corpus: Corpus, result: Result, progress: Callable[[str, int], object]) -> None:
    import bm25s

    began = time.perf_counter()
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([stems(f"{d.title} {d.title} {d.text}") for d in corpus.documents], show_progress=False)
    result.index_s += time.perf_counter() - began
    progress("bm25", len(corpus.documents))
    for question in corpus.questions:
        began = time.perf_counter()
        words = [word for word in dict.fromkeys(stems(question.text)) if word in index.vocab_dict]
        scores = index.get_scores(words) if words else np.zeros(len(corpus.documents))
        best = np.argsort(-scores, kind="stable")[:_DEPTH]
        result.query_ms.append(1e3 * (time.perf_counter() - began))
        result.ranks.append([corpus.documents[i].id for i in best])


def _memory(
    corpus: Corpus, results: dict[str, Result], embedder: Embedder | None, progress: Callable[[str, int], object]
) -> None:
    with Memory.open(None, embedder) as memory:
        began = time.perf_counter()
        passages = [
            Passage(d.text, d.title, Provenance("corpus", doc_id=d.id, time=float(i)), d.when)
            for i, d in enumerate(corpus.documents)
        ]
        readings = memory.reader.read_many(passages, lambda count: progress("reading", count))
        memory.retriever.mentions.sync()
        took = time.perf_counter() - began
        ids: dict[int, list[str]] = {}
        for reading, document in zip(readings, corpus.documents, strict=True):  # equal passages share one trace
            ids.setdefault(reading.trace, []).append(document.id)
        for method, result in results.items():
            result.index_s += took
            memory.embedder.embed(["warm"])
            for question in corpus.questions:
                began = time.perf_counter()
                traces = _ask(memory, question, method)
                result.query_ms.append(1e3 * (time.perf_counter() - began))
                result.ranks.append([name for trace in traces for name in ids[trace]][:_DEPTH])
                progress(method, 1)


def _ask(memory: Memory, question: Question, method: str) -> list[int]:
    if method == "dense":
        vector = memory.embedder.embed([question.text])[0]
        return [row for row, _ in memory.episodic.index.search(vector, _DEPTH)]
    ranked = memory.retrieve(question.text, _DEPTH, "graph" if method == "graph" else "dual")
    return [evidence.trace.id for evidence in ranked]


def summary(kind: str, corpora: Sequence[Corpus], results: dict[str, Result]) -> dict[str, Any]:
    """Summarize the methods.

    Returns:
        Recall at 2, 5 and 10, the share of questions with all passages among the first 5, 95 % intervals, times, and
        differences from ``dual``.
    """
    questions = [question for corpus in corpora for question in corpus.questions]
    at5 = {
        method: [_recall(r, q, 5) for r, q in zip(result.ranks, questions, strict=True)]
        for method, result in results.items()
    }
    methods: dict[str, Any] = {}
    for method, result in results.items():
        pairs = list(zip(result.ranks, questions, strict=True))
        methods[method] = {
            **{f"recall@{k}": float(np.mean([_recall(r, q, k) for r, q in pairs])) for k in (2, 5, 10)},
            "all@5": float(np.mean([q.gold <= {*r[:5]} for r, q in pairs])),
            "ci95@5": list(bootstrap_ci(at5[method])),
            "index_s": result.index_s,
            "query_ms_p50": float(np.median(result.query_ms)),
        }
        if method != "dual" and "dual" in results:
            methods[method]["dual_minus_this@5"] = paired_difference(at5["dual"], at5[method])
    passages = sum(len(corpus.documents) for corpus in corpora)
    return {"format": kind, "n": len(questions), "passages": passages, "methods": methods}


def _recall(ranks: Sequence[str], question: Question, k: int) -> float:
    return len(question.gold & {*ranks[:k]}) / len(question.gold)
