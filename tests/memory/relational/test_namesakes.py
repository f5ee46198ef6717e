"""Two people of one name are kept apart, the user is told, and may join them."""

import pytest

from memory import HashingEmbedder, Memory, Provenance
from memory.relational import RuleExtractor, Tuple

DAY = 86400.0


@pytest.fixture(scope="module")
def rules() -> RuleExtractor:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return RuleExtractor()


def read(rules: RuleExtractor, *documents: tuple[str, str, float]) -> Memory:
    memory = Memory.open(None, HashingEmbedder(32))
    for text, document, day in documents:
        memory.relational.upsert(rules.extract(text, Provenance("library", document, time=day * DAY)))
    return memory


def tails(memory: Memory, name: str) -> set[str]:
    return {fact.tail for fact in memory.relational.ask(name, 20)}


TWO = [
    ("John Smith is a dentist. He lives in Leeds.", "John Smith is a pilot. He lives in Perth.", 0),
    ("John Smith lives in Leeds.", "John Smith lives in York.", 0),
    ("John Smith works at Acme.", "John Smith works at Globex.", 0),
    ("Mary Jones was born in 1950.", "Mary Jones was born in 1988.", 900),
    ("Mary Jones was born in Leeds.", "Mary Jones was born in Perth.", 900),
    ("Ada was born in 1950.", "Ada was born in 1988.", 900),
    ("Ada is a dentist. Ada lives in Leeds.", "Ada is a pilot. Ada lives in Perth.", 0),
    ("Wei Chen is a nurse. Wei Chen works at Acme.", "Wei Chen is a lawyer. Wei Chen works at Globex.", 400),
    ("Anna Berg died in 1999.", "Anna Berg died in 2010.", 900),
    ("John Smith was born in 1950 in Leeds.", "John Smith was born in 1990 in Tokyo.", 0),
    ("Maria is married to Paul. Maria lives in Bonn.", "Maria is married to Sven. Maria lives in Lima.", 0),
    ("李明 lives in Beijing. 李明 was born in 1960.", "李明 lives in Paris. 李明 was born in 1999.", 0),
]

ONE = [
    ("John Smith lives in Leeds.", "John Smith moved to York.", 0),
    ("John Smith lives in Leeds.", "John Smith now lives in York.", 0),
    ("John Smith lives in Leeds.", "John Smith lives in York.", 30),
    ("Ada lives in Leeds.", "Ada lives in York.", 0),
    ("John Smith works at Acme.", "John Smith joined Globex. John Smith works at Globex now.", 0),
    ("John Smith lives in Leeds.", "John Smith lives in Leeds. He likes tea.", 0),
    ("John Smith is a dentist.", "John Smith is a father.", 0),
    ("John Smith lives in Leeds.", "John Smith likes tea.", 0),
    ("Mary Jones was born in 1950.", "Mary Jones was born in Leeds.", 0),
    ("The lamp is in the attic.", "The lamp is in the cellar.", 0),
]


@pytest.mark.parametrize(("first", "second", "later"), TWO)
def test_what_may_be_two_is_kept_apart_and_told(rules: RuleExtractor, first: str, second: str, later: float) -> None:
    name = " ".join(word for word in first.split()[:2] if word[:1].isupper() or not word.isascii())
    with read(rules, (first, "a", 1), (second, "b", 1 + later)) as memory:
        kg = memory.relational
        held = kg.get_many(range(1, 20))
        assert all(fact.valid_to is None for fact in held), "nothing is retired across what may be two"
        assert tails(memory, name) == {fact.tail for fact in held}, "asking by the name finds both"
        assert {conflict.reason for conflict in kg.contradictions()} == {"may be two"}
        heads = {fact.head for fact in held}
        assert heads == {name.lower(), f"{name.lower()} (b)"}
        row = kg.merge(f"{name} (b)", name)
        assert "may be two" not in {conflict.reason for conflict in kg.contradictions()}
        kg.unmerge(row)
        assert {conflict.reason for conflict in kg.contradictions()} == {"may be two"}


@pytest.mark.parametrize(("first", "second", "later"), ONE)
def test_news_of_one_person_stay_one(rules: RuleExtractor, first: str, second: str, later: float) -> None:
    with read(rules, (first, "a", 1), (second, "b", 1 + later)) as memory:
        assert not any("(" in entity for entity in memory.relational.entities())


def test_each_document_goes_on_with_its_own(rules: RuleExtractor) -> None:
    with read(
        rules,
        ("John Smith lives in Leeds.", "a", 1),
        ("John Smith lives in York.", "b", 1),
        ("John Smith lives in Leeds. He owns a boat.", "c", 1),
        ("John Smith moved to Hull.", "b", 2),
        ("Mary is married to John Smith.", "b", 2),
    ) as memory:
        kg = memory.relational
        assert [f.tail for f in kg.history("john smith", "lives_in") if f.valid_to is None] == ["leeds"]
        assert [f.tail for f in kg.history("john smith (b)", "lives_in") if f.valid_to is None] == ["hull"]
        assert [f.tail for f in kg.history("mary", "married_to")] == ["john smith (b)"]
        assert [f.tail for f in kg.history("boat", "owned_by")] == ["john smith"]


def test_tuples_without_a_document_are_about_the_one_of_that_name() -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        for time, town in enumerate(("Leeds", "York"), start=1):
            kg.upsert([Tuple("John Smith", "lives_in", town, time=float(time))])
        assert [fact.tail for fact in kg.ask("John Smith")] == ["york"]
