import pytest

from memory import InvalidItemError, Memory, Provenance
from memory.relational import Tuple


def told(memory: Memory, *statements: tuple[str, str, str], time: float = 1.0) -> list[int]:
    origin = Provenance("test", time=time)
    return memory.relational.upsert(Tuple(*statement, origin) for statement in statements)


def test_facts_are_found_by_entity_and_by_question(memory: Memory) -> None:
    told(memory, ("Ada", "lives in", "the red room"), ("Bo", "owns", "a grey key"))
    assert [str(f) for f in memory.relational.ask("ada")] == ["ada lives in red room"]
    assert [str(f) for f in memory.relational.ask("Who owns the grey key?")] == ["bo owns grey key"]
    assert memory.relational.ask("what is the weather") == []


def test_one_hop_further_comes_after(memory: Memory) -> None:
    told(memory, ("Ada", "friend_of", "Bo"), ("Bo", "owns", "key"))
    assert [str(f) for f in memory.relational.ask("ada", 5)] == ["ada friend of bo", "bo owns key"]


def test_functional_relations_supersede_and_keep_history(memory: Memory) -> None:
    told(memory, ("Ada", "lives_in", "red room"), ("Ada", "likes", "tea"), time=1.0)
    told(memory, ("Ada", "lives_in", "blue room"), ("Ada", "likes", "milk"), time=2.0)
    facts = {str(f) for f in memory.relational.ask("ada", 9)}
    assert facts == {"ada lives in blue room", "ada likes tea", "ada likes milk"}
    history = memory.relational.history("Ada", "lives in")
    assert [(f.tail, f.valid_from, f.valid_to) for f in history] == [("red room", 1.0, 2.0), ("blue room", 2.0, None)]


def test_a_repeated_fact_strengthens(memory: Memory) -> None:
    first, again = *told(memory, ("a", "r", "b")), *told(memory, ("A", "R", "the b"))
    assert first == again
    assert memory.relational.get(first).strength == 2
    assert len(memory.relational) == 1


def test_retired_facts_no_longer_hold(memory: Memory) -> None:
    told(memory, ("ball", "seen_at", "place 1"))
    assert memory.relational.retire("ball", "seen_at", "place 1", Provenance("test", time=5.0))
    assert not memory.relational.retire("ball", "seen_at", "place 1", Provenance("test", time=6.0))
    assert memory.relational.ask("ball") == []
    assert memory.relational.entities() == []
    assert memory.relational.history("ball", "seen_at")[0].valid_to == 5.0


def test_malformed_tuples_change_nothing(memory: Memory, origin: Provenance) -> None:
    with pytest.raises(InvalidItemError, match="head, relation and tail"):
        memory.relational.upsert([Tuple("a", "r", "b", origin), Tuple("a", " ", "b", origin)])
    with pytest.raises(InvalidItemError, match="conf"):
        memory.relational.upsert([Tuple("a", "r", "b", origin, conf=-1)])
    with pytest.raises(InvalidItemError):
        memory.relational.ask("")
    with pytest.raises(InvalidItemError):
        memory.relational.ask("a", 0)
    assert len(memory.relational) == 0


def test_an_undone_transaction_leaves_the_graph_as_it_was(memory: Memory) -> None:
    told(memory, ("a", "lives_in", "b"))
    with pytest.raises(RuntimeError), memory.transaction():
        told(memory, ("a", "lives_in", "c"))
        raise RuntimeError
    assert [f.tail for f in memory.relational.ask("a")] == ["b"]


def test_the_longest_name_wins(memory: Memory) -> None:
    told(memory, ("red ball", "is", "round"), ("ball", "is", "toy"))
    assert [str(f) for f in memory.relational.ask("where is the red ball now", 1)] == ["red ball is round"]


def test_a_long_question_takes_bounded_time(memory: Memory) -> None:
    told(memory, ("ada", "knows", "bo"))
    assert len(memory.relational.ask("word " * 20_000 + "ada", 3)) == 1


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("O’Neill", "O'Neill"),
        ("O'Neill", "where does O’Neill live?"),
        ("José Díaz", "Jose Diaz"),
        ("Coca-Cola", "CocaCola"),
    ],
)
def test_who_asks_may_spell_a_name_otherwise(memory: Memory, told: str, asked: str) -> None:
    memory.relational.upsert([Tuple(told, "lives in", "Rome", Provenance("a"))])
    assert [fact.tail for fact in memory.relational.ask(asked, 3)] == ["rome"]
    memory.relational.upsert([Tuple("C++", "likes", "tea", Provenance("a"))])
    assert not memory.relational.ask("C", 3)
    memory.forget(source="a")
    assert not memory.relational.ask(asked, 3)


@pytest.mark.parametrize(
    "said",
    [
        [("U.N.", 5, 0.3, 1.0), ("Rome", -5, 0.4, 1.0), ("U.N.", -5, 0.3, 1.0)],
        [("U.N.", 5, 0.4, 1.0), ("Rome", 1, 0.4, 1.0), ("U.N.", 1, 0.4, 0.5)],
    ],
)
def test_what_is_too_unsure_to_end_a_fact_does_not_split_it(
    said: list[tuple[str, float, float, float]], memory: Memory
) -> None:
    ids = [
        memory.relational.upsert(
            [Tuple("Bo", "is_at", tail, conf=conf, provenance=Provenance("d", time=since, trust=trust))]
        )[0]
        for tail, since, conf, trust in said
    ]
    assert ids[0] == ids[2]
    assert memory.relational.get(ids[0]).valid_from == min(said[0][1], said[2][1])
    assert memory.verify().ok
