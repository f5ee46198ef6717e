"""Retrieval of evidence for a question from traces and facts, along two paths that are fused.

The episodic path ranks traces by meaning and words. The relational path walks from the best traces, and from
the names in the question, over names and facts to linked traces (personalized PageRank, as in HippoRAG,
Gutiérrez et al. 2024). Finally, passages are scored in pairs: two linked passages that together contain what
the question asks for get a high score. This finds the second hop even if it shares no word with the question.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from memory.episodic.lexical import vectors_of
from memory.episodic.recall import CANDIDATES
from memory.episodic.store import EpisodicStore
from memory.episodic.trace import Trace, read
from memory.errors import InvalidItemError
from memory.mentions import TITLE, MentionIndex, phrases
from memory.relational.graph import KG
from memory.relational.names import fold
from memory.relational.pagerank import Reached, personalized_pagerank
from memory.relational.query import validate_question
from memory.relational.tuples import Fact
from memory.stems import stems

Method = Literal["dual", "graph", "episodes"]
Node = int | str
"""A trace by its id, or an entity by its folded name."""


class RetrievalConfig(BaseModel):
    """Settings of retrieval, chosen on 100 HotpotQA questions; the optimum of each setting is broad."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    restart: float = Field(0.5, gt=0, lt=1, description="Probability that the walk goes back to its seeds.")
    named: float = Field(0.4, ge=0, description="Weight of the question's names as seeds; the traces have 1.")
    sharpness: float = Field(4.0, gt=0, description="Exponent of the traces' scores as seeds.")
    facts: float = Field(0.5, ge=0, description="Weight of a fact's edge; a mention in a trace has weight 1.")
    paired: int = Field(20, ge=2, description="Candidates that are scored in pairs.")
    relevance: float = Field(0.3, ge=0, description="Weight of each passage's own relevance in a pair.")
    linked: float = Field(0.25, ge=0, description="Weight of the link between the two passages of a pair.")
    reached: float = Field(0.3, ge=0, description="Weight of the walk's score in a pair.")
    common: int = Field(256, ge=1, description="The walk does not follow names in more traces than this.")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One passage that helps to answer a question.

    Attributes:
        trace: The passage, with its sources.
        score: The value it is ranked by; only comparable within one answer.
        path: Path from the question to the passage: names and titles of passages in turn, this passage last.
        facts: Facts that were read in it, those most similar to the question first.
    """

    trace: Trace
    score: float
    path: tuple[str, ...]
    facts: tuple[Fact, ...]


class Retriever:
    """Retriever of evidence from one memory.

    Args:
        episodic: Store of the traces.
        kg: Graph of the facts.
        config: Settings of retrieval.
    """

    def __init__(self, episodic: EpisodicStore, kg: KG, config: RetrievalConfig | None = None) -> None:
        self.episodic = episodic
        self.kg = kg
        self.mentions = MentionIndex(episodic.store)
        self.config = config or RetrievalConfig()
        self._words: dict[int, Mapping[str, float]] = {}
        self._stamp: object = None
        self.episodic.store.db.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.trace_words USING fts5vocab('main', 'traces_text', 'row')"
        )

    def retrieve(self, question: str, k: int = 5, method: Method = "dual") -> list[Evidence]:
        """Return the ``k`` passages that together answer ``question`` best, best first; fewer if there are fewer.

        Args:
            question: Any text.
            k: Number of passages, at least 1.
            method: ``episodes`` is recall alone, ``graph`` the walk alone, ``dual`` both, scored in pairs.

        Raises:
            InvalidItemError: An empty question, ``k`` below 1, or another method.
        """
        validate_question(question, k)
        if method not in ("dual", "graph", "episodes"):
            raise InvalidItemError(f"unknown method {method!r}: expected dual, graph or episodes")
        self.mentions.sync()
        with self.episodic.store.read():
            asked = _Question(self, question)
            ranked = asked.rank(max(k, self.config.paired), method)[:k]
            return asked.evidence(ranked)

    def words(self, trace_ids: Sequence[int]) -> dict[int, Mapping[str, float]]:
        """Return the weight of each stem in each trace, in (0, 1): the root of BM25's saturation of its count."""
        stamp = (self.episodic.store.epoch, self.episodic.store.rollbacks)
        if stamp != self._stamp:
            self._words, self._stamp = {}, stamp
        missing = [trace_id for trace_id in trace_ids if trace_id not in self._words]
        if len(self._words) > 50_000:
            self._words.clear()
            missing = list(trace_ids)
        for trace_id, trace in read(self.episodic.store.db, missing).items():
            tokens = stems(" ".join([trace.key, *trace.entity_slots.values()]))
            counts: dict[str, int] = {}
            for stem in tokens:
                counts[stem] = counts.get(stem, 0) + 1
            longer = 0.3 + 0.9 * len(tokens) / 80
            self._words[trace_id] = {stem: math.sqrt(count / (count + longer)) for stem, count in counts.items()}
        return {trace_id: self._words[trace_id] for trace_id in trace_ids if trace_id in self._words}


class _Question:
    """State of the retrieval for one question."""

    def __init__(self, retriever: Retriever, text: str) -> None:
        self.r = retriever
        self.config = retriever.config
        self.text = text
        self.db = retriever.episodic.store.db
        self.count = max(1, len(retriever.episodic))
        self.names = self._named()
        self.walk: Reached[Node] = Reached()
        self._out: dict[Node, list[tuple[Node, float]]] = {}
        self._idf: dict[str, float] = {}

    def rank(self, k: int, method: Method) -> list[tuple[int, float]]:
        recalled = self.r.episodic.recall(self.text, max(CANDIDATES, k))
        base = {hit.trace.id: hit.score for hit in recalled}
        if method == "episodes":
            return [(hit.trace.id, hit.score) for hit in recalled]
        self.walk = personalized_pagerank(
            self._seeds(base if method == "dual" else {}), self._neighbours, self.config.restart
        )
        reached = {node: score for node, score in self.walk.score.items() if isinstance(node, int)}
        order = sorted(reached, key=lambda node: (-reached[node], node))
        if method == "graph":
            return [(trace, reached[trace]) for trace in order]
        return self._paired(order + [trace for trace in base if trace not in reached], reached)

    # seeds and neighbours of the walk

    def _named(self) -> dict[str, float]:
        """Return the names in the question that occur in some trace or in the graph, with their weights."""
        names = {n: self.r.mentions.weight(n, self.count, self.count) for n in phrases(self.text)}
        names = {name: weight for name, weight in names.items() if weight > 0}
        for entity in self.r.kg.seeds(self.text):
            names.setdefault(fold(entity), math.log1p(self.count))
        return {name: weight for name, weight in names.items() if name}

    def _seeds(self, base: Mapping[int, float]) -> dict[Node, float]:
        seeds: dict[Node, float] = {}
        if base:
            low, high = min(base.values()), max(base.values())
            powers = {i: ((s - low) / (high - low + 1e-9)) ** self.config.sharpness for i, s in base.items()}
            total = sum(powers.values()) or 1.0
            seeds |= {trace: power / total for trace, power in powers.items()}
        share = self.config.named if base else 1.0
        total = sum(self.names.values())
        if total:
            seeds |= {name: share * weight / total for name, weight in self.names.items()}
        return seeds

    def _neighbours(self, node: Node) -> list[tuple[Node, float]]:
        if node not in self._out:
            self._out[node] = self._of_trace(node) if isinstance(node, int) else self._of_name(node)
        return self._out[node]

    def _of_trace(self, trace: int) -> list[tuple[Node, float]]:
        edges: list[tuple[Node, float]] = []
        for name, weight in self.r.mentions.of(trace):
            if weight >= TITLE or not self._common(name):
                edges.append((name, weight * self._telling(name)))
        return edges

    def _of_name(self, name: str) -> list[tuple[Node, float]]:
        traces = self.r.mentions.traces(name, self.config.common)
        if len(traces) >= self.config.common:
            traces = [(trace, weight) for trace, weight in traces if weight >= TITLE]
        telling = self._telling(name)
        edges: list[tuple[Node, float]] = [(trace, weight * telling) for trace, weight in traces]
        node = self.r.kg.spelled(name)
        if node is not None and self.config.facts:
            graph = self.r.kg.graph
            near = {*graph.succ[node], *graph.pred[node]}
            if len(near) <= self.config.common:
                edges += [(fold(other), self.config.facts * telling) for other in near if fold(other)]
        return edges

    def _telling(self, name: str) -> float:
        if name not in self._idf:
            self._idf[name] = self.r.mentions.weight(name, self.count, self.config.common) or 1.0
        return self._idf[name]

    def _common(self, name: str) -> bool:
        return self._telling(name) <= math.log1p(self.count / self.config.common) + 1e-9 < math.log1p(self.count)

    # scoring in pairs

    def _paired(self, order: Sequence[int], reached: Mapping[int, float]) -> list[tuple[int, float]]:
        chosen = order[: self.config.paired]
        if len(chosen) < 2:
            return [(trace, 1.0) for trace in chosen]
        held, relevance = self._relevance(chosen)
        top = max((reached.get(trace, 0.0) for trace in chosen), default=0.0) or 1.0
        names = {trace: dict(self.r.mentions.of(trace)) for trace in chosen}
        best = dict.fromkeys(chosen, -math.inf)
        for first, second in combinations(range(len(chosen)), 2):
            a, b = chosen[first], chosen[second]
            score = (
                float(np.maximum(held[first], held[second]).sum())
                + self.config.relevance * float(relevance[first] + relevance[second])
                + self.config.reached * (reached.get(a, 0.0) + reached.get(b, 0.0)) / (2 * top)
                + self.config.linked * self._link(names[a], names[b])
            )
            best[a], best[b] = max(best[a], score), max(best[b], score)
        ranked = sorted(chosen, key=lambda trace: -best[trace])
        floor = min(best.values())
        rest = order[self.config.paired :]
        return [(t, best[t]) for t in ranked] + [(t, floor - 1 - i) for i, t in enumerate(rest)]

    def _relevance(self, chosen: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weighted stems of the question in each trace, float64 ``[traces, stems]``, and its relevance."""
        asked = dict.fromkeys(stems(self.text))
        weights = self._weights(asked)
        words = self.r.words(chosen)
        held = np.array([[weights[s] * words.get(t, {}).get(s, 0.0) for s in asked] for t in chosen]).reshape(
            len(chosen), -1
        )
        query = self.r.episodic.embedder.embed([self.text])[0]
        vectors = vectors_of(self.r.episodic.store, chosen)
        similar = np.array(
            [float(np.frombuffer(vectors[t], np.float32) @ query) if t in vectors else 0.0 for t in chosen]
        )
        covered = held.sum(1)

        def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray((values - values.min()) / (np.ptp(values) + 1e-9), np.float64)

        return held, (scaled(similar) + scaled(covered)) / 2

    def _weights(self, asked: Mapping[str, None]) -> dict[str, float]:
        """Return the weights of stems, in proportion to ``log(1 + N / df)``; they sum to 1."""
        raw = {}
        for stem in asked:
            row = self.db.execute("SELECT doc FROM temp.trace_words WHERE term = ?", (stem,)).fetchone()
            raw[stem] = math.log1p(self.count / max(row[0] if row else 0, 0.5))
        total = sum(raw.values()) or 1.0
        return {stem: weight / total for stem, weight in raw.items()}

    def _link(self, names: Mapping[str, float], other: Mapping[str, float]) -> float:
        """Return the strength of the link: 1 if one passage names the other's title, less for a rare shared name."""
        best = 0.0
        for name in names.keys() & other.keys():
            if names[name] >= TITLE or other[name] >= TITLE:
                return 1.0
            if not self._common(name):
                best = max(best, 0.7 * min(1.0, self._telling(name) / math.log1p(max(2.0, self.count / 2))))
        return best

    # evidence for the answer

    def evidence(self, ranked: Sequence[tuple[int, float]]) -> list[Evidence]:
        traces = read(self.db, [trace for trace, _ in ranked])
        return [
            Evidence(traces[trace], score, self._path(trace, traces), self._facts(trace))
            for trace, score in ranked
            if trace in traces
        ]

    def _path(self, trace: int, known: dict[int, Trace]) -> tuple[str, ...]:
        """Return the shortest path to a trace over the nodes that the walk followed.

        It begins at a name in the question or, if no such path exists, at a passage that the walk followed.
        """
        starts: list[list[Node]] = [
            [node for node in self.names if node in self._out],
            [node for node in self._out if isinstance(node, int)],
        ]
        nodes = next((way for start in starts if (way := self._way(start, trace))), [trace])
        missing = [node for node in nodes if isinstance(node, int) and node not in known]
        titles = known | read(self.db, missing)
        return tuple(node if isinstance(node, str) else _title(titles.get(node)) for node in nodes)

    def _way(self, starts: Sequence[Node], goal: Node) -> list[Node]:
        parents: dict[Node, Node | None] = dict.fromkeys(starts)
        queue = deque(starts)
        while queue and goal not in parents:
            node = queue.popleft()
            for other, _ in self._out.get(node, ()):
                if other not in parents:
                    parents[other] = node
                    queue.append(other)
        if goal not in parents:
            return []
        way: list[Node] = [goal]
        while (before := parents[way[-1]]) is not None:
            way.append(before)
        return way[::-1]

    def _facts(self, trace: int, most: int = 5) -> tuple[Fact, ...]:
        rows = self.db.execute(
            "SELECT DISTINCT p.item_id FROM lineage l JOIN provenance p ON p.id = l.origin"
            " WHERE l.parent_table = 'traces' AND l.parent_id = ? AND p.item_table = 'facts' LIMIT 64",
            (trace,),
        ).fetchall()
        asked = set(stems(self.text))
        facts = self.r.kg.get_many([row[0] for row in rows])
        facts.sort(key=lambda fact: (-len(asked & set(stems(str(fact)))), fact.id))
        return tuple(facts[:most])


def _title(trace: Trace | None) -> str:
    if trace is None:
        return "?"
    return trace.entity_slots["what"] or " ".join(trace.key.split()[:8])
