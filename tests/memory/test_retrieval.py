"""Reading passages and finding evidence over them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance
from memory.mentions import phrases
from memory.reading import Passage
from memory.relational import Tuple
from memory.relational.pagerank import personalized_pagerank

PASSAGES = (
    (
        "Grace Krilanovich",
        "Grace Krilanovich is an American author. Her first novel was published by Two Dollar Radio.",
    ),
    ("Two Dollar Radio", "Two Dollar Radio is a family-run press. It began in 2005 in Columbus, Ohio."),
    ("Novels", "The novel is a long work of fiction. The first one is very old."),
    ("Houses", "A house is a building in which people live."),
    ("Publishing", "What is published is made known to the public."),
    ("Columbus Station", "Columbus Station is a radio station. It was founded by a family."),
    ("Tea", "Tea is a drink. It was first drunk in China."),
    ("Presses", "A press is a machine. It was invented in Mainz."),
)
QUESTION = "Where was the house founded that published the first novel of Grace Krilanovich?"


@pytest.fixture(scope="module")
def read() -> Iterator[Memory]:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    with Memory.open(None, HashingEmbedder()) as memory:
        passages = [Passage(text, title, Provenance("wiki", time=1.0)) for title, text in PASSAGES]
        memory.reader.read_many(passages)
        yield memory


def titles(memory: Memory, method: str, k: int = 2) -> list[str]:
    return [e.trace.entity_slots["what"] for e in memory.retrieve(QUESTION, k, method)]  # type: ignore[arg-type]


def test_the_second_hop_is_found_though_it_shares_no_word(read: Memory) -> None:
    assert set(titles(read, "dual")) == {"Grace Krilanovich", "Two Dollar Radio"}
    assert "Two Dollar Radio" not in titles(read, "episodes")


def test_evidence_tells_the_way_its_facts_and_its_source(read: Memory) -> None:
    found = {e.trace.entity_slots["what"]: e for e in read.retrieve(QUESTION, 2)}
    second = found["Two Dollar Radio"]
    assert second.path[0] in ("grace krilanovich", "Grace Krilanovich")
    assert second.path[-1] == "Two Dollar Radio"
    assert any("begins in" in str(fact) for fact in second.facts)
    assert second.trace.provenance[0].source == "wiki"
    for fact in second.facts:
        assert read.relational.get(fact.id) == fact


def test_the_graph_alone_starts_from_what_is_named(read: Memory) -> None:
    assert titles(read, "graph", 1) == ["Grace Krilanovich"]


def test_facts_are_derived_from_their_passage_and_go_with_it() -> None:
    with Memory.open(None, HashingEmbedder()) as memory:
        memory.read("Ada lives in Rome.", "Ada", Provenance("diary", "monday", time=1.0))
        memory.read("Ada lives in Rome. Bo owns a lamp.", "Bo", Provenance("letter", time=2.0))
        assert {str(f) for f in memory.relational.ask("Ada", 9)} == {"ada lives in rome"}
        done = memory.forget(source="letter")
        assert done.removed == {"traces": 1, "facts": 1}
        assert memory.relational.entities() == ["ada", "rome"]
        assert [e.trace.entity_slots["what"] for e in memory.retrieve("Who owns a lamp?", 5)] == ["Ada"]
        rows = memory.store.db.execute("SELECT DISTINCT trace_id FROM mentions").fetchall()
        assert rows == [(1,)], "what the passage mentions goes with it"
        memory.undo()
        assert memory.retrieve("Who owns a lamp?", 1)[0].trace.entity_slots["what"] == "Bo"
        assert memory.verify().problems == []


def test_traces_written_otherwise_are_linked_too() -> None:
    with Memory.open(None, HashingEmbedder()) as memory:
        memory.episodic.write("the grey key lies under the old bridge", {"what": "grey key"})
        memory.episodic.write("a fisherman sat on a bench near the Old Bridge", {"where": "Old Bridge"})
        for number in range(20):
            memory.episodic.write(f"nothing happened on day {number}")
        found = memory.retrieve("who was near the grey key?", 2)
        assert [e.trace.id for e in found] == [1, 2], "by the name that both hold"


def test_swapping_the_content_swaps_the_evidence() -> None:
    found = []
    for town in ("Columbus", "Cleveland"):
        with Memory.open(None, HashingEmbedder()) as memory:
            memory.read(f"Two Dollar Radio was founded in {town}.", "Two Dollar Radio", "wiki")
            found.append(memory.retrieve("Where was Two Dollar Radio founded?", 1)[0].facts[0].tail)
    assert found == ["columbus", "cleveland"]


def test_an_import_is_linked_and_a_reopened_memory_answers_alike(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "a", HashingEmbedder()) as memory:
        memory.reader.read_many([Passage(text, title, "wiki") for title, text in PASSAGES])
        before = titles(memory, "dual", 3)
        memory.export(tmp_path / "a.jsonl")
    with Memory.open(tmp_path / "a", HashingEmbedder()) as memory:
        assert titles(memory, "dual", 3) == before
    with Memory.open(tmp_path / "b", HashingEmbedder()) as memory:
        memory.import_(tmp_path / "a.jsonl")
        assert set(titles(memory, "dual", 2)) == {"Grace Krilanovich", "Two Dollar Radio"}


def test_nothing_is_half_read(memory: Memory) -> None:
    with pytest.raises(InvalidItemError, match="needs words"):
        memory.reader.read_many([Passage("Ada lives in Rome."), Passage("  ")])
    assert memory.stats() == {"traces": 0, "facts": 0, "places": 0, "macros": 0}
    for bad, says in (("", "an empty text"), (" ", "an empty text")):
        with pytest.raises(InvalidItemError, match=says):
            memory.retrieve(bad)
    with pytest.raises(InvalidItemError, match="k must be at least 1"):
        memory.retrieve("x", 0)
    with pytest.raises(InvalidItemError, match="unknown method"):
        memory.retrieve("x", 1, "magic")  # type: ignore[arg-type]
    assert memory.retrieve("anything at all") == []
    memory.read("艾达住在罗马。 Ада живёт в Риме. Ada lives in Rome.")
    assert len(memory.retrieve("Ada Рим 罗马 \0 \"'", 99)) == 1


def test_phrases_are_folded_runs_of_words() -> None:
    assert phrases("The Köln (Bonn) trains") >= {"koln", "koln bonn", "bonn trains"}


def test_push_comes_near_the_exact_walk() -> None:
    import networkx as nx

    graph = nx.karate_club_graph()
    exact = nx.pagerank(graph, alpha=0.5, personalization={0: 1.0}, weight=None, tol=1e-12)
    near = personalized_pagerank(
        {0: 1.0}, lambda node: ((n, 1.0) for n in graph[node]), restart=0.5, least=1e-7, most=100_000
    )
    assert max(abs(exact[n] - near.score.get(n, 0.0)) for n in graph) < 1e-3
    assert near.path(33)[0] == 0
    assert sum(near.score.values()) <= 1.0
    bounded = personalized_pagerank({0: 1.0}, lambda node: ((n, 1.0) for n in graph[node]), most=1)
    assert set(bounded.score) == {0, *graph[0]}
    assert personalized_pagerank({}, lambda _: ()).score == {}


def test_a_told_fact_leads_from_one_trace_to_another(memory: Memory) -> None:
    memory.episodic.write("Zorro arrived at noon", {"who": "Zorro"})
    for number in range(30):
        memory.episodic.write(f"somebody walked by, number {number}", {"who": f"passer {number}"})
    memory.episodic.write("Diego slept", {"who": "Diego"})
    question = "friends Zorro"
    assert [e.trace.id for e in memory.retrieve(question, 33, "graph")] == [1]
    memory.relational.upsert([Tuple("Zorro", "is", "Diego", Provenance("test", time=1.0))])
    found = memory.retrieve(question, 33, "graph")
    assert [e.trace.id for e in found] == [1, 32]
    assert found[1].path == ("zorro", "diego", "Diego slept")
