"""What is told of the past, the future and of other kinds ends nothing that is true now; endings do."""

from datetime import UTC, datetime

import pytest

from memory import HashingEmbedder, InvalidItemError, Memory, Provenance
from memory.relational import RuleExtractor, Tuple
from memory.relational.extract import Extraction

TOLD = "2026-03-10T09:00:00+01:00"
WHERE = ("lives_in", "located_in", "works_at", "is_at")


@pytest.fixture(scope="module")
def rules() -> RuleExtractor:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return RuleExtractor()


def told(rules: RuleExtractor, *texts: str, speaker: str = "") -> Memory:
    """Return a memory that was told texts, a day apart."""
    memory = Memory.open(None, HashingEmbedder(32))
    for day, text in enumerate(texts):
        origin = Provenance("user", "", time=f"2026-03-{10 + day}T09:00:00+01:00", speaker=speaker)
        memory.relational.upsert(rules.extract(text, origin))
    return memory


def holding(memory: Memory, head: str) -> set[str]:
    facts = memory.relational.get_many(range(1, 100))
    ends = ((f, {f.head: f.tail, f.tail: f.head}) for f in facts if f.valid_to is None)
    return {f"{f.relation} {other[head]}" for f, other in ends if head in other}


def day(time: float | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


KEPT = [
    # what is true, what is told next, the fact that still holds
    ("The meeting is in Room 5.", "The meeting is on Monday.", "meeting", "located_in room 5"),
    ("The party is in the garden.", "The party is at noon.", "party", "located_in garden"),
    ("The show is at the Tate.", "The show is in May.", "show", "located_in tate"),
    ("The class is in Room 12.", "The class is at 9:30.", "class", "located_in room 12"),
    ("The concert is in the town hall.", "The concert is on 3 June.", "concert", "located_in town hall"),
    ("Ada lives in Rome.", "In 2010 Ada lived in Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada lived in Paris until 2020.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "From 2015 to 2018 Ada lived in Oslo.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada used to live in Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada previously lived in Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada lived in Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada was in Paris last week.", "ada", "lives_in rome"),
    ("Ada works at Acme.", "Ada worked at Globex in the 1990s.", "ada", "works_at acme"),
    ("Ada owns the boat.", "Two years ago Bob owned the boat.", "boat", "owned_by ada"),
    ("Ada lives in Rome.", "Next year Ada is moving to Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada moves to Paris in two days.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada will move to Paris.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada is going to move to Paris next month.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada may move to Paris.", "ada", "lives_in rome"),
    ("Ada works at Acme.", "Tomorrow Ada starts at Globex.", "ada", "works_at acme"),
    ("Bob lives in Paris.", "Bob is in love.", "bob", "lives_in paris"),
    ("Bob is in the kitchen.", "Bob is in danger.", "bob", "located_in kitchen"),
    ("Bob is in the kitchen.", "Bob is in a hurry.", "bob", "located_in kitchen"),
    ("Bob is at the office.", "Bob is on holiday.", "bob", "located_in office"),
    ("Bob lives in Paris.", "Bob lives in fear.", "bob", "lives_in paris"),
    ("Tom works at the mill.", "Tom works at night.", "tom", "works_at mill"),
    ("Tom works at the mill.", "Tom works in silence.", "tom", "works_at mill"),
    ("Tom works at the mill.", "Tom works on weekends.", "tom", "works_at mill"),
    ("The firm is in Leeds.", "The firm is in debt.", "firm", "located_in leeds"),
    ("The house is in Hull.", "The house is on fire.", "house", "located_in hull"),
    # endings of something else, and what only supposes or asks
    ("Bob lives in Paris. Bob works at Acme.", "Bob no longer works at Acme.", "bob", "lives_in paris"),
    ("Bob owns a car. Bob owns a boat.", "Bob sold the boat.", "bob", "owned_by car"),
    ("Bob lives in Paris.", "Has Bob left Paris?", "bob", "lives_in paris"),
    ("Bob lives in Paris.", "If Bob leaves Paris, Ada will be sad.", "bob", "lives_in paris"),
    ("Bob lives in Paris.", "Bob might leave Paris.", "bob", "lives_in paris"),
    ("Bob lives in Paris.", "Bob wants to leave Paris.", "bob", "lives_in paris"),
    ("Bob lives in Paris.", "Ada thinks that Bob left Paris.", "bob", "lives_in paris"),
    ("Bob owns a car.", "Bob is selling cars.", "bob", "owned_by car"),
    ("Bob is allergic to nuts.", "Bob is not allergic to eggs.", "bob", "allergic_to nuts"),
    ("Bob likes tea.", "Ada hates tea.", "bob", "likes tea"),
    ("Bob likes tea.", "Bob hates milk.", "bob", "likes tea"),
    ("Bob is married to Ada.", "Tom and Mary got divorced.", "bob", "married_to ada"),
    ("Ada lives in Rome.", "Ada moved to Paris in 2012.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada lives in Paris from 1 April 2026.", "ada", "lives_in rome"),
    ("Ada lives in Rome.", "Ada has lived in Paris before.", "ada", "lives_in rome"),
    ("Ada works at Acme.", "Ada doesn't work at Acme on Mondays.", "ada", "works_at acme"),
    ("Ada drinks coffee.", "Ada doesn't drink coffee at night.", "ada", "drinks coffee"),
    ("Bob works at Acme.", "According to Ada, Bob left Acme.", "bob", "works_at acme"),
    ("Bob works at Acme.", "Bob left Acme early today.", "bob", "works_at acme"),
    ("Ada lives in Rome.", "Ada left Rome for the weekend.", "ada", "lives_in rome"),
    ("Ada works at Acme.", "Ada is friends with Bob.", "ada", "works_at acme"),
    ("Max is in Paris.", "Max is in second place.", "max", "located_in paris"),
    ("Leo is at the office.", "Leo is at three.", "leo", "located_in office"),
]


@pytest.mark.parametrize(("before", "after", "head", "fact"), KEPT)
def test_what_is_true_stays(rules: RuleExtractor, before: str, after: str, head: str, fact: str) -> None:
    with told(rules, before, after) as memory:
        facts = holding(memory, head)
    assert fact in facts
    relation = fact.split()[0]
    if relation in WHERE:
        assert [one for one in facts if one.startswith(relation)] == [fact]


ENDED = [
    ("Bob lives in Paris.", "Bob no longer lives in Paris.", "bob"),
    ("Bob lives in Paris.", "Bob doesn't live in Paris anymore.", "bob"),
    ("Bob lives in Paris.", "Bob does not live in Paris any more.", "bob"),
    ("Bob lives in Paris.", "Bob moved out of Paris.", "bob"),
    ("Bob lives in Paris.", "Bob has left Paris.", "bob"),
    ("Bob lives in Paris.", "Bob used to live in Paris.", "bob"),
    ("Bob works at Acme.", "Bob quit Acme.", "bob"),
    ("Bob works at Acme.", "Bob quit his job.", "bob"),
    ("Bob works at Acme.", "Bob lost his job at Acme.", "bob"),
    ("Bob works at Acme.", "Bob was fired from Acme.", "bob"),
    ("Bob works at Acme.", "Acme fired Bob.", "bob"),
    ("Bob works at Acme.", "Bob resigned from Acme.", "bob"),
    ("Bob works at Acme.", "Bob has retired.", "bob"),
    ("Bob works at Acme.", "Bob is unemployed.", "bob"),
    ("Bob owns a car.", "Bob sold the car.", "bob"),
    ("Bob owns a car.", "Bob sold his car.", "bob"),
    ("Bob has a dog.", "Bob gave the dog away.", "bob"),
    ("Bob has a dog.", "Bob got rid of the dog.", "bob"),
    ("Bob has a dog.", "Bob no longer has a dog.", "bob"),
    ("Bob owns a car.", "Bob doesn't own a car.", "bob"),
    ("Bob is allergic to peanuts.", "Bob is not allergic to peanuts any more.", "bob"),
    ("Bob is allergic to peanuts.", "Bob isn't allergic to peanuts.", "bob"),
    ("Bob is allergic to peanuts.", "Bob outgrew his allergy to peanuts.", "bob"),
    ("Bob is married to Ada.", "Bob divorced Ada.", "ada"),
    ("Bob is married to Ada.", "Ada and Bob divorced.", "ada"),
    ("Bob is married to Ada.", "Bob is divorced.", "ada"),
    ("Bob is married to Ada.", "Bob and Ada are no longer married.", "ada"),
    ("Bob smokes cigars.", "Bob stopped smoking cigars.", "bob"),
    ("Bob drinks coffee.", "Bob gave up coffee.", "bob"),
    ("Bob plays tennis.", "Bob no longer plays tennis.", "bob"),
    ("Bob studies at Leiden.", "Bob dropped out of Leiden.", "bob"),
    ("Bob likes tea.", "Bob no longer likes tea.", "bob"),
    ("Bob is a teacher.", "Bob is no longer a teacher.", "bob"),
    ("Bob is in love.", "Bob is not in love any more.", "bob"),
    ("Bob plays for the Falcons.", "Bob left the Falcons.", "bob"),
    ("Bob has a bike.", "Bob's bike was stolen.", "bob"),
    ("Bob is the manager of Acme.", "Bob is no longer the manager.", "bob"),
    ("Bob is married to Ada.", "Bob got divorced.", "bob"),
    ("Bob subscribes to the Courier.", "Bob cancelled his subscription to the Courier.", "bob"),
]


@pytest.mark.parametrize(("before", "after", "head"), ENDED)
def test_endings_and_denials_end_what_they_deny(rules: RuleExtractor, before: str, after: str, head: str) -> None:
    with told(rules, before) as memory:
        (first,) = holding(memory, head)
    with told(rules, before, after) as memory:
        assert first not in holding(memory, head)
        fact = next(f for f in memory.relational.get_many(range(1, 20)) if f.valid_to is not None)
        ended = memory.store.db.execute(
            "SELECT text_span FROM provenance WHERE item_table = 'facts' AND item_id = ? AND role = 'ended'", (fact.id,)
        ).fetchall()
        if fact.valid_to != fact.valid_from:
            assert [after] == [span for (span,) in ended], "the denial is named as the source of the end"


def test_forgetting_the_denial_makes_the_fact_hold_again(rules: RuleExtractor) -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        memory.relational.upsert(rules.extract("Bob lives in Paris.", Provenance("diary", time=1.0)))
        memory.relational.upsert(rules.extract("Bob no longer lives in Paris.", Provenance("gossip", time=2.0)))
        assert holding(memory, "bob") == set()
        memory.forget(source="gossip")
        assert holding(memory, "bob") == {"lives_in paris"}


@pytest.mark.parametrize(
    ("before", "after", "now"),
    [
        ("loves", "hates", "hates tea"),
        ("hates", "loves", "loves tea"),
        ("likes", "dislikes", "dislikes tea"),
        ("dislikes", "likes", "likes tea"),
        ("enjoys", "hates", "hates tea"),
        ("allows", "forbids", "forbids tea"),
        ("forbids", "allows", "allows tea"),
        ("permits", "prohibits", "prohibits tea"),
        ("bans", "allows", "allows tea"),
        ("loves", "likes", "likes tea"),
        ("accepts", "rejects", "rejects tea"),
        ("trusts", "distrusts", "distrusts tea"),
    ],
)
def test_opposites_end_each_other(rules: RuleExtractor, before: str, after: str, now: str) -> None:
    with told(rules, f"Bob {before} tea.", f"Bob {after} tea.") as memory:
        facts = holding(memory, "bob")
    assert now in facts
    assert (f"{before} tea" in facts) is (after == "likes" and before == "loves")


def test_opposites_told_at_once_are_shown(rules: RuleExtractor) -> None:
    with told(rules, "The bank allows smoking. The bank forbids smoking.") as memory:
        (conflict,) = memory.relational.contradictions()
    assert {fact.relation for fact in conflict.facts} == {"allows", "forbids"}
    with told(rules, "The shop is open.", "The shop is closed.") as memory:
        assert holding(memory, "shop") == {"is closed"}


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("In 2010 Ada lived in Paris.", "2009-12-31", "2010-12-31"),
        ("From 2015 to 2018 Ada lived in Paris.", "2014-12-31", "2018-12-31"),
        ("Ada has lived in Paris since 2019.", "2018-12-31", ""),
        ("Ada moved to Paris in March 2020.", "2020-02-29", ""),
        ("Ada moved to Paris on 3 May 2025.", "2025-05-02", ""),
        ("Ada moved to Paris yesterday.", "2026-03-08", ""),
        ("Last week Ada moved to Paris.", "2026-03-01", ""),
        ("Last month Ada moved to Paris.", "2026-01-31", ""),
        ("Ada moved to Paris two years ago.", "2023-12-31", ""),
        ("Ada moved to Paris in the summer of 2019.", "2019-05-31", ""),
        ("In two days Ada moves to Paris.", "2026-03-11", "9999-12-31"),
        ("Ada is moving to Paris next year.", "2026-12-31", "9999-12-31"),
        ("Ada moves to Paris tomorrow.", "2026-03-10", "9999-12-31"),
        ("In the 1990s Ada lived in Paris.", "1989-12-31", "1999-12-31"),
        ("Ada moved to Paris this morning.", "2026-03-09", ""),
        ("Ada has lived in Paris for three years.", "2023-03-10", ""),
        ("Ada lived in Paris last year.", "2024-12-31", "2025-12-31"),
        ("Ada lives in Paris.", "2026-03-10", ""),
        ("Ada moved to Paris the day before yesterday.", "2026-03-07", ""),
        ("Ada moved to Paris last Monday.", "2026-03-08", ""),
        ("Ada lived in Paris in the nineties.", "1989-12-31", "1999-12-31"),
    ],
)
def test_dates_become_the_validity_in_the_tellers_zone(rules: RuleExtractor, text: str, since: str, until: str) -> None:
    with told(rules, text) as memory:
        (fact,) = memory.relational.history("ada", "lives_in")
    assert (fact.tail, day(fact.valid_from), day(fact.valid_to)) == ("paris", since, until), "midnight in +01:00"


def test_news_begins_when_it_says_and_history_stays_history(rules: RuleExtractor) -> None:
    with told(rules, "Ada lives in Rome.", "Ada moved to Paris last week.") as memory:
        kg = memory.relational
        assert [(f.tail, day(f.valid_from)) for f in kg.ask("Ada")] == [("paris", "2026-03-01")]
    with told(rules, "Ada lives in Rome.", "Ada moved to Paris in 2012.") as memory:
        kg = memory.relational
        assert [(f.tail, day(f.valid_from)) for f in kg.ask("Ada") if f.relation == "lives_in"] == [
            ("rome", "2026-03-10")
        ]
        then = datetime(2015, 1, 1, tzinfo=UTC).timestamp()
        assert [f.tail for f in kg.at(then, "ada", "lives_in")] == ["paris"]


def test_a_plan_holds_when_its_time_is_asked_for(rules: RuleExtractor) -> None:
    with told(rules, "Ada lives in Rome.", "Next year Ada is moving to Paris.") as memory:
        kg = memory.relational
        then = datetime(2027, 6, 1, tzinfo=UTC).timestamp()
        assert [fact.tail for fact in kg.ask("Where does Ada live?")] == ["rome"]
        assert [fact.tail for fact in kg.ask("Where does Ada live?", at=then)] == ["paris"]
        assert [fact.tail for fact in kg.at(then, "ada", "lives_in")] == ["paris"]
        kg.upsert(rules.extract("Ada lives in Paris.", Provenance("user", time="2027-02-01")))
        assert [fact.tail for fact in kg.ask("Where does Ada live?")] == ["paris"]
        assert kg.contradictions() == []


@pytest.mark.parametrize(
    ("time", "zone", "start"),
    [
        ("2026-03-10T00:30", "UTC", "2026-03-09T00:00:00+00:00"),
        ("2026-03-10T00:30+09:00", "UTC", "2026-03-08T15:00:00+00:00"),
        ("2026-03-10T00:30", "Asia/Tokyo", "2026-03-08T15:00:00+00:00"),
        ("2026-03-10T00:30", "-05:00", "2026-03-09T05:00:00+00:00"),
        (datetime(2026, 3, 10, 0, 30, tzinfo=UTC), "UTC", "2026-03-09T00:00:00+00:00"),
        (datetime(2026, 3, 10, 0, 30), "UTC", "2026-03-09T00:00:00+00:00"),
    ],
)
def test_yesterday_is_the_tellers(rules: RuleExtractor, time: object, zone: str, start: str) -> None:
    origin = Provenance("user", time=time, zone=zone)  # type: ignore[arg-type]
    (fact,) = rules.extract("Yesterday Ada moved to Paris.", origin)
    assert fact.since == datetime.fromisoformat(start).timestamp()


def test_a_zone_or_time_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidItemError, match="unknown time zone"):
        Provenance("user", zone="Atlantis/City")
    with pytest.raises(InvalidItemError, match="expected a time such as"):
        Provenance("user", time="soon")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "speaker", "head", "fact"),
    [
        ("I live in Lyon.", "Mia", "mia", "lives_in lyon"),
        ("I'm allergic to nuts.", "Mia", "mia", "allergic_to nuts"),
        ("I love jazz.", "Mia", "mia", "loves jazz"),
        ("I can't stand onions.", "Mia", "mia", "dislikes onions"),
        ("My sister Leila lives in Doha.", "Mia", "leila", "lives_in doha"),
        ("My name is not known. I own a boat.", "Mia", "mia", "owned_by boat"),
        ("I work at Acme.", "", "i", "works_at acme"),
        ("The red van is mine.", "Mia", "mia", "owned_by red van"),
    ],
)
def test_the_first_person_is_the_speaker(rules: RuleExtractor, text: str, speaker: str, head: str, fact: str) -> None:
    with told(rules, text, speaker=speaker) as memory:
        assert fact in holding(memory, head)


def test_without_a_speaker_each_document_has_its_own_i(rules: RuleExtractor) -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        memory.read("I live in Lyon.", title="a.txt")
        memory.read("I live in Oslo.", title="b.txt")
        memory.read("I live in Bonn.", title="c.txt", speaker="Mia")
        heads = {f.head: f.tail for f in memory.relational.get_many(range(1, 9))}
    assert heads == {"i (a.txt)": "lyon", "i (b.txt)": "oslo", "mia": "bonn"}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("The key is in the case.", "located_in case"), ("The key is in the water.", "located_in water"),
        ("The key is in a hurry.", "is in a hurry"), ("The key is in trouble.", "is in trouble"),
        ("The key is on the table.", "located_in table"), ("The key is at home.", "located_in home"),
        ("The key is in deep trouble.", "is in deep trouble"), ("The key is in the mood.", "is in the mood"),
        ("The key is in Hope.", "located_in hope"), ("The key is on Friday.", "happens_on friday"),
        ("The key is at school.", "located_in school"), ("The key is in bed.", "located_in bed"),
        ("The key is in danger.", "is in danger"), ("The key is at risk.", "is at risk"),
        ("The key is at half past nine.", "happens_at half past nine"), ("The key is in Room 7.", "located_in room 7"),
        ("The key is in charge of the kitchen.", "is_in_charge_of kitchen"), ("The key is on sale.", "is on sale"),
        ("The key is in the 1990s.", "happens_in 1990s"), ("The key is in Paris.", "located_in paris"),
    ],
)  # fmt: skip
def test_places_times_and_states(rules: RuleExtractor, text: str, fact: str) -> None:
    with told(rules, text) as memory:
        assert holding(memory, "key") == {fact}


def test_tuples_may_carry_their_interval() -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        origin = Provenance("user", time=100.0)
        kg.upsert([Tuple("ada", "lives_in", "rome", provenance=origin)])
        kg.upsert([Tuple("ada", "lives_in", "paris", provenance=origin, since=10.0, until=20.0)])
        kg.upsert([Tuple("ada", "lives_in", "oslo", provenance=origin, since=500.0)])
        assert [f.tail for f in kg.ask("ada")] == ["rome"]
        assert [f.tail for f in kg.at(15.0, "ada", "lives_in")] == ["paris"]
        assert [f.tail for f in kg.at(600.0, "ada", "lives_in")] == ["oslo"]
        assert kg.contradictions() == []
        kg.upsert([Tuple("ada", "lives_in", "monday", provenance=Provenance("user", time=200.0))])
        assert "rome" in [f.tail for f in kg.ask("ada")], "a weekday is no place"
        with pytest.raises(InvalidItemError, match="until must not be before"):
            Tuple("ada", "lives_in", "rome", since=5.0, until=4.0)
    assert Extraction().statements == []
