"""A knowledge graph of a million facts: time to open, write and query, and main memory, compared with kglite.

::

    python -m eval.bench.graph --n 1000000 --json

Names of entities are three words and a number; degrees follow a power law, as in text (the largest entity has over ten
thousand facts). Each question names an entity in a sentence; one in ten names a hub. kglite, an embedded Cypher graph
in main memory, answers with the facts within two hops of the named entity, which it finds by an indexed title. This is
the closest equivalent in a graph without ranking. It stores no provenance, and saves by writing the whole file.
"""

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.report import tell
from memory import Memory, Provenance
from memory.embedding import by_name
from memory.relational import Tuple

RELATIONS = (
    "likes knows visits opens builds sells buys teaches follows leads helps paints plays writes reads finds".split()
)
ADJECTIVES = "old new red blue green grey small tall quiet bright early late golden iron wooden silver".split()
NOUNS = "harbour mill tower garden bridge market library castle river island forest valley temple station".split()


def names(count: int) -> list[str]:
    """That many names of entities, all different."""
    return [f"{ADJECTIVES[i % 16]} {NOUNS[(i // 16) % 14]} of {NOUNS[(i // 224) % 14]} {i}" for i in range(count)]


def facts(n: int, seed: int = 0) -> tuple[list[str], list[tuple[int, str, int]]]:
    """Names, and ``n`` different facts between them as ``(head, relation, tail)``."""
    rng = np.random.default_rng(seed)
    count = max(20, n // 5)
    entities = names(count)
    triples: dict[tuple[int, str, int], None] = {}
    while len(triples) < n:
        size = n - len(triples) + 100
        heads = rng.integers(count, size=size)
        tails = (count * rng.random(size) ** 3.0).astype(int)  # few are spoken of often
        relations = rng.integers(len(RELATIONS), size=size)
        for head, relation, tail in zip(heads, relations, tails, strict=True):
            if head != tail and len(triples) < n:
                triples.setdefault((int(head), RELATIONS[relation], int(tail)))
    return entities, list(triples)


def resident() -> int:
    """Bytes of main memory that this process holds."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(
    folder: Path, entities: Sequence[str], told: Sequence[tuple[int, str, int]], queries: int, embedder: str
) -> dict[str, Any]:
    """Our figures."""
    origin = Provenance("bench", "facts", time=1.0)
    figures: dict[str, Any] = {}
    with Memory.open(folder, by_name(embedder)) as memory:

        def fill() -> None:
            for start in range(0, len(told), 20_000):
                part = told[start : start + 20_000]
                memory.relational.upsert(Tuple(entities[h], r, entities[t], origin) for h, r, t in part)

        figures["fill_s"] = timed(fill)
    before = resident()
    opened: list[Memory] = []

    def open_it() -> None:
        opened.append(Memory.open(folder, by_name(embedder)))
        opened[0].relational.ask(entities[0])

    figures["open_s"] = timed(open_it)
    figures["bytes_per_fact"] = (resident() - before) / len(told)
    figures["disk_bytes_per_fact"] = (folder / "memory.db").stat().st_size / len(told)
    with opened[0] as memory:
        graph = memory.relational.graph
        figures["greatest_degree"] = max(dict(graph.degree).values())
        fresh = Provenance("bench", "more", time=2.0)
        new = [Tuple(entities[i % len(entities)], "greets", f"guest {i}", fresh) for i in range(1_000)]
        memory.relational.upsert([Tuple("warm", "is", "up", fresh)])
        figures["upsert_1000_s"] = timed(lambda: memory.relational.upsert(new))
        seconds = []
        for question, _ in asked(entities, queries):
            seconds.append(timed(lambda question=question: memory.relational.retrieve(question, 10)))  # type: ignore[misc]
        figures["retrieve_p50_ms"] = 1e3 * float(np.median(seconds))
        figures["retrieve_p95_ms"] = 1e3 * float(np.quantile(seconds, 0.95))
    return figures


def asked(entities: Sequence[str], queries: int) -> list[tuple[str, str]]:
    """Questions and the entity that each names; one in ten is a hub."""
    rng = random.Random(1)
    questions = []
    for number in range(queries):
        entity = entities[rng.randrange(20)] if number % 10 == 0 else entities[rng.randrange(len(entities))]
        questions.append((f"Who {rng.choice(RELATIONS)} the {entity}, and why?", entity))
    return questions


def kglite(folder: Path, entities: Sequence[str], told: Sequence[tuple[int, str, int]], queries: int) -> dict[str, Any]:
    """The peer's figures."""
    import kglite as peer
    import pandas as pd

    figures: dict[str, Any] = {"version": peer.__version__}
    file = str(folder / "peer.kgl")
    graph = peer.KnowledgeGraph()

    def fill() -> None:
        nodes = pd.DataFrame({"id": range(len(entities)), "title": entities})
        graph.add_nodes(nodes, "Entity", "id", "title")
        for relation in RELATIONS:
            pairs = [(h, t) for h, r, t in told if r == relation]
            frame = pd.DataFrame(pairs, columns=["head", "tail"])
            graph.add_relationships(frame, relation.upper(), "Entity", "head", "Entity", "tail")

    figures["fill_s"] = timed(fill)
    graph.create_index("Entity", "title")
    graph.save(file)
    del graph
    before = resident()
    opened: list[Any] = []
    figures["open_s"] = timed(lambda: opened.append(peer.load(file)))
    figures["bytes_per_fact"] = (resident() - before) / len(told)
    graph = opened[0]
    graph.create_index("Entity", "title")
    rows = [{"h": entities[i % len(entities)], "t": f"guest {i}"} for i in range(1_000)]
    text = "UNWIND $rows AS r MATCH (a:Entity {title: r.h}) CREATE (a)-[:GREETS]->(:Entity {title: r.t})"

    def told_more() -> None:
        graph.cypher(text, params={"rows": rows})
        graph.save(file)

    figures["upsert_1000_s"] = timed(told_more)
    near = (
        "MATCH (a:Entity {title: $t})-[r]-(b:Entity) OPTIONAL MATCH (b)-[q]-(c:Entity)"
        " RETURN a.title, b.title, c.title LIMIT 64"
    )
    seconds = [
        timed(lambda entity=entity: list(graph.cypher(near, params={"t": entity})))  # type: ignore[misc]
        for _, entity in asked(entities, queries)
    ]
    figures["neighbours_p50_ms"] = 1e3 * float(np.median(seconds))
    figures["neighbours_p95_ms"] = 1e3 * float(np.quantile(seconds, 0.95))
    return figures


def alone(work: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """Run it in a fresh process, so that neither's libraries and main memory touch the other's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure(n: int, queries: int, peer: bool, embedder: str) -> dict[str, Any]:
    """Run everything; returns the figures."""
    entities, triples = facts(n)
    folder = Path(tempfile.mkdtemp(prefix="hippo-graph-"))
    try:
        figures: dict[str, Any] = {"n": n, "entities": len(entities)}
        figures["ours"] = alone(ours, folder / "m", entities, triples, queries, embedder)
        print(figures["ours"], file=sys.stderr)
        if peer:
            figures["kglite"] = alone(kglite, folder, entities, triples, queries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="facts")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--embedder", default="minilm", help="minilm or hashing")
    parser.add_argument("--no-peer", action="store_true", help="without kglite")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tell(measure(options.n, options.queries, not options.no_peer, options.embedder), options.json)


if __name__ == "__main__":
    main()
