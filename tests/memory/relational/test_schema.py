"""The knowledge graph: names, time, contradictions, schemas, retrieval within it."""

import pytest

from memory import InvalidItemError, Memory, Provenance
from memory.relational import KG, Routing, Tuple


def tell(memory: Memory, head: str, relation: str, tail: str, at: float = 1.0, **more: float) -> int:
    conf, trust = more.get("conf", 1.0), more.get("trust", 1.0)
    origin = Provenance("test", f"{head}-{tail}-{at}", time=at, trust=trust)
    return memory.relational.upsert([Tuple(head, relation, tail, origin, conf=conf)])[0]


def people(memory: Memory) -> KG:
    for person in ("ada", "bo", "clara"):
        for town in ("rome town", "oslo town"):
            tell(memory, f"{person} person", "visits", town)
    memory.relational.routing = Routing(enabled=True)
    return memory.relational


def test_what_fits_the_learnt_schema_is_believed_at_once(memory: Memory) -> None:
    kg = people(memory)
    good = tell(memory, "emil person", "visits", "bonn town")
    odd = tell(memory, "qwert yuiop", "visits", "asdf ghjk")
    assert [f.id for f in kg.pending()] == [odd]
    tell(memory, "emil person", "visits", "asdf ghjk")
    assert kg.ask("emil person", 1)[0].id == good
    kg.rehearse([odd])
    kg.rehearse([odd])
    assert odd not in [f.id for f in kg.pending()], "replay settles it"


def test_a_declared_frame_counts_where_the_kind_is_told(memory: Memory) -> None:
    kg = memory.relational
    kg.routing = Routing(enabled=True)
    row = kg.schemas.declare("Person", {"plays": "game", "sees": ""}, "user")
    assert [(f.name, f.slots) for f in kg.schemas.frames()] == [("person", {"plays": "game", "sees": ""})]
    tell(memory, "ada", "is_a", "person")
    tell(memory, "chess", "is_a", "board game")
    tell(memory, "rome", "is_a", "town")
    fits = kg.schemas.fits(
        [("ada", "plays", "chess"), ("ada", "plays", "rome"), ("ada", "sees", "x"), ("bo", "sees", "x")]
    )
    assert fits == [1.0, 0.0, 1.0, 0.0]
    assert memory.forget(rows=[("frames", row)]).removed == {"frames": 1}
    assert kg.schemas.fits([("ada", "plays", "chess")]) == [0.0]
    with pytest.raises(InvalidItemError, match="a frame needs"):
        kg.schemas.declare("person", {})


def test_forgotten_facts_leave_no_trace_in_the_prototypes(memory: Memory) -> None:
    kg = people(memory)
    before = kg.schemas.fits([("emil person", "visits", "bonn town")])
    bad = [Tuple("x", "eats", f"y{i}", Provenance("bad", time=1.0)) for i in range(5)]
    kg.upsert(bad)
    assert kg.schemas.fits([("x", "eats", "y1")]) == [0.0], "nothing unsettled makes a prototype"
    kg.upsert(bad * 2)
    assert kg.schemas.fits([("x", "eats", "y1")])[0] > 0
    memory.forget(source="bad")
    assert kg.schemas.fits([("x", "eats", "y1")]) == [0.0]
    assert kg.schemas.fits([("emil person", "visits", "bonn town")]) == before


# export


def test_a_frame_is_what_its_remaining_sources_say(memory: Memory) -> None:
    schemas = memory.relational.schemas
    schemas.declare("person", {"lives_in": "place"}, Provenance("A", time=1.0))
    schemas.declare("person", {"has": "secret"}, Provenance("B", time=2.0))
    memory.forget(source="B")
    assert schemas.frames()[0].slots == {"lives_in": "place"}
