"""Questions over chains of facts, some of which change and some of which nobody agrees on."""

import re
from collections.abc import Iterator

import numpy as np

from envs.asking import DISPUTED, Asked, ListenAndAnswer, Session, bare, question, sentence
from envs.language import Grammar, Meaning
from envs.names import pool, some
from envs.settings import check_range, settings_of
from envs.splits import Split

LEVELS = {"easy": {"people": 3}, "medium": {"people": 4}, "hard": {"people": 6}}
KINDS = ("2 hops", "3 hops", "4 hops", "changed", "contradiction")
TIES = ("boss", "teacher")

TELLING = Grammar(
    {
        "tie": {
            "train": [
                "{who}'s {tie} is {whom}", "{whom} is the {tie} of {who}", "{who} has {whom} as {tie}",
                "the {tie} that {who} has is {whom}", "{whom} acts as {tie} of {who}", "as {tie} {who} has {whom}",
                "{whom} is {tie} to {who}",
                "{whom} has been {who}'s {tie} for years",
                "{whom} serves as {who}'s {tie}",
                "{whom} became {who}'s {tie} last spring",
                "{who} took {whom} as {tie}",
                "{who}'s {tie} goes by the name of {whom}",
                "{who} learnt that {whom} would be {tie} from now on",
                "for {who}, {whom} is the {tie}",
                "{whom} has {who} to look after, as {tie}",
                "{whom} remains {who}'s {tie}", "{whom} was made {who}'s {tie}", "{whom} works as {who}'s {tie}",
                "these days {who} has {whom} as {tie}", "today {whom} acts as {who}'s {tie}",
                "{whom} will go on as {who}'s {tie}", "as always, {whom} serves as {tie} of {who}",
            ],
            "validation": ["{whom} is {who}'s {tie}"],
            "test": ["the {tie} of {who} is {whom}", "{who}'s {tie} is called {whom}"],
        },
        "lives in": {
            "train": [
                "{who} lives in {city}", "{who} has a flat in {city}", "the home of {who} is in {city}",
                "{who} is at home in {city}", "{who} has settled in {city}", "{who}'s house stands in {city}",
                "in {city} one finds the home of {who}", "one finds {who} living in {city}",
            ],
            "validation": ["{who}'s home is in {city}"],
            "test": ["{city} is where {who} lives", "it is in {city} that {who} lives"],
        },
        "works at": {
            "train": [
                "{who} works at {firm}", "{who} has a job at {firm}", "{firm} employs {who}",
                "{who} is employed at {firm}", "{who} is on the staff of {firm}", "{firm} pays {who} a salary",
                "{who} earns a living at {firm}", "{who}'s employer is {firm}",
            ],
            "validation": ["{who}'s job is at {firm}"],
            "test": ["{firm} is where {who} works", "it is at {firm} that {who} works"],
        },
        "located in": {
            "train": [
                "{firm} is located in {city}",
                "{firm} has its office in {city}",
                "{firm} is based in {city}", "{firm} sits in {city}", "{firm} can be found in {city}",
                "{city} is home to {firm}", "the seat of {firm} is {city}", "in {city} stands the office of {firm}",
            ],
            "validation": ["{firm}'s office is in {city}"],
            "test": ["the office of {firm} is in {city}", "{city} is where {firm} is located"],
        },
        "born in": {
            "train": [
                "{who} was born in {city}",
                "{who} was born and raised in {city}",
                "{city} is the birthplace of {who}", "{who} came into the world in {city}",
                "{who} is a native of {city}", "{who} comes from {city} by birth", "{city} saw the birth of {who}",
                "in {city} {who} was born",
            ],
            "validation": ["{who}'s birthplace is {city}"],
            "test": ["{city} is where {who} was born", "the birthplace of {who} is {city}"],
        },
        "now lives in": {
            "train": [
                "{who} lives in {city} now", "{who} has moved to {city}", "{who} has gone to live in {city}",
                "since today {who} lives in {city}", "{who} left for a new home in {city}",
                "by now {who} lives in {city}", "{who}'s new home is in {city}", "these days {who} lives in {city}",
                "today {who} lives in {city}", "meanwhile {who} has moved to {city}", "lately {who} lives in {city}",
                "{city} has become the home of {who}",
            ],
            "validation": ["now {who} lives in {city}"],
            "test": ["{city} is where {who} lives now", "{who} is at home in {city} now"],
        },
        "now works at": {
            "train": [
                "{who} works at {firm} now", "{who} has a new job at {firm}", "{who} has changed to {firm}",
                "since today {who} works at {firm}", "{firm} has hired {who}", "by now {who} works at {firm}",
                "{who} has left for a job at {firm}", "these days {who} works at {firm}",
                "today {who} works at {firm}", "meanwhile {firm} employs {who}", "lately {who} works at {firm}",
                "{firm} has become the employer of {who}",
            ],
            "validation": ["now {who} works at {firm}"],
            "test": ["{firm} is where {who} works now", "{who}'s new job is at {firm}"],
        },
    },
    {"who": "[A-Z][a-z]+", "whom": "[A-Z][a-z]+", "city": "[A-Z][a-z]+", "firm": "[A-Z][a-z]+", "tie": "|".join(TIES)},
)  # fmt: skip

ASKING = Grammar(
    {
        "lives in": {
            "train": [
                "where does {person} live",
                "in which city does {person} live",
                "in what city is the home of {person}",
                "where is the home of {person}",
                "what city does {person} live in",
                "name the city where {person} lives",
            ],
            "validation": ["which city does {person} live in"],
            "test": ["what is the city in which {person} lives"],
        },
        "works at": {
            "train": [
                "where does {person} work",
                "at which company does {person} work",
                "who employs {person}",
                "what company employs {person}",
                "where does {person} have a job",
                "name the company where {person} works",
            ],
            "validation": ["which company does {person} work at"],
            "test": ["what is the company at which {person} works"],
        },
        "born in": {
            "train": [
                "where was {person} born",
                "in which city was {person} born",
                "where did {person} come into the world",
                "what city was {person} born in",
                "what is the birthplace of {person}",
                "name the city where {person} was born",
            ],
            "validation": ["which city was {person} born in"],
            "test": ["what is the city in which {person} was born"],
        },
        "located in": {
            "train": [
                "where is the company of {person} located",
                "in which city is the company of {person}",
                "where is the office of the company of {person}",
                "what city is the company of {person} located in",
                "name the city where the company of {person} sits",
            ],
            "validation": ["which city is the company of {person} in"],
            "test": ["what is the city in which the company of {person} is located"],
        },
    },
    {"person": r"(?:the (?:boss|teacher) of )*[A-Z][a-z]+(?:'s (?:boss|teacher))?"},
)

_TIE_OF = re.compile(r"the (\w+) of ")
_TIE = re.compile(r"([A-Z][a-z]+)(?:'s (\w+))?$")

Facts = dict[tuple[str, str], str]
"""What is true now, by subject and relation."""


class MultiHopQA(ListenAndAnswer):
    """Questions over two to four told facts; some change, and some are disputed.

    ## Description
    On the first visit facts are told one by one: who is whose boss and teacher, who lives, works and was born where,
    which company is where. On the second visit some have changed, and about one birthplace somebody says otherwise.
    On each of five more visits one question is asked: over ``2 hops``, ``3 hops`` or ``4 hops``, over a fact that
    ``changed``, or for a birthplace that is disputed (``contradiction``, the right answer is ``disputed``; two in three
    questions for a birthplace are not). Names of people,
    cities and companies, and the wording, differ between the splits.

    ## Mission
    ``listen, and keep in mind what you are told``, later ``answer: Where does Ada's boss live?``

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear on.

    ## Observation
    Text: a fact, or that an answer is waited for.

    ## Reward
    1 for the right answer (no case, articles or punctuation), else 0. Listening has none, and succeeds.

    ## Termination
    All was told, or an answer was given.

    ## Registered ids
    ``hippo/MultiHopQA-v0``

    Args:
        level: ``easy`` (3 people), ``medium`` (4) or ``hard`` (6).
        people: How many people facts are told about, 3 to 8.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting out of range.
    """

    name = "multi_hop_qa"
    waiting = "Answer in a few words. Say unknown if you were never told, disputed if you were told different things."
    expert = "facts"

    def __init__(self, level: str = "medium", people: int | None = None, render_mode: str | None = None) -> None:
        people = settings_of(level, LEVELS)["people"] if people is None else people
        check_range("people", people, 3, 8)
        self.people = people
        self.name = f"multi_hop_qa-{people}"
        super().__init__(2, len(KINDS), render_mode)

    def write_session(self, world_seed: int, split: Split, rng: np.random.Generator) -> Session:  # noqa: ARG002
        """Facts, changes, a contradiction, and a question of each kind."""
        people, firms = some(pool("people", split), self.people, rng), some(pool("companies", split), 3, rng)
        cities = some(pool("cities", split), 6, rng)
        facts: Facts = {}
        for relation in TIES:
            others = np.roll(rng.permutation(len(people)), 1)
            ring = dict(zip(others.tolist(), np.roll(others, 1).tolist(), strict=True))
            facts |= {(people[one], relation): people[other] for one, other in ring.items()}
        for who in people:
            facts[who, "lives in"] = cities[int(rng.integers(6))]
            facts[who, "works at"] = firms[int(rng.integers(3))]
            facts[who, "born in"] = cities[int(rng.integers(6))]
        for firm in firms:
            facts[firm, "located in"] = cities[int(rng.integers(6))]
        first = [_told(subject, relation, value) for (subject, relation), value in facts.items()]
        changes = _changes(facts, people, cities, firms, rng)
        disputed = people[int(rng.integers(len(people)))]
        other = [city for city in cities if city != facts[disputed, "born in"]]
        later = [_told(who, f"now {relation}", value) for (who, relation), value in changes.items()]
        later.append(_told(disputed, "born in", other[int(rng.integers(len(other)))]))
        agreed = [who for who in people if who != disputed][int(rng.integers(len(people) - 1))]
        later.append(_told(agreed, "born in", facts[agreed, "born in"]))  # told twice is not yet disputed
        facts |= changes
        asked = [_ask(KINDS[int(i)], facts, people, set(changes), disputed, split, rng) for i in rng.permutation(5)]
        told = [[meanings[int(i)] for i in rng.permutation(len(meanings))] for meanings in (first, later)]
        said = [[sentence(TELLING.say(m.kind, split, rng, **m.slots)) for m in meanings] for meanings in told]
        return Session(said, asked)

    def understand(self, text: str) -> list[Meaning]:
        """A fact as subject, relation and value; or a question as a subject and the relations to follow in turn."""
        for words in bare(text):
            if fact := TELLING.understand(words):
                slots = dict(fact.slots)
                relation = f"has {slots.pop('tie')}" if "tie" in slots else fact.kind.removeprefix("now ")
                subject = slots.pop("who", None) or slots.pop("firm")
                return [
                    Meaning("fact", {"subject": subject, "relation": relation, "value": next(iter(slots.values()))})
                ]
            if asked := ASKING.understand(words):
                subject, *ties = _read_person(asked.slots["person"])
                chain = [f"has {tie}" for tie in ties]
                chain += ["works at", "located in"] if asked.kind == "located in" else [asked.kind]
                return [Meaning("question", {"subject": subject, "chain": " > ".join(chain)})]
        return []


def _told(subject: str, relation: str, value: str) -> Meaning:
    if relation in TIES:
        return Meaning("tie", {"who": subject, "tie": relation, "whom": value})
    if relation == "located in":
        return Meaning(relation, {"firm": subject, "city": value})
    return Meaning(relation, {"who": subject, "firm" if relation.endswith("works at") else "city": value})


def _changes(facts: Facts, people: list[str], cities: list[str], firms: list[str], rng: np.random.Generator) -> Facts:
    """Two people who live elsewhere and one who works elsewhere."""
    changed: Facts = {}
    for index, relation in zip(rng.permutation(len(people)), ("lives in", "lives in", "works at"), strict=False):
        who, pool = people[int(index)], firms if relation == "works at" else cities
        others = [value for value in pool if value != facts[who, relation]]
        changed[who, relation] = others[int(rng.integers(len(others)))]
    return changed


def _chains(kind: str) -> list[tuple[int, tuple[str, ...]]]:
    """How many ties to follow, and the relations after them."""
    born = ("born in",)
    if kind == "2 hops":
        return [(1, ("lives in",)), (1, ("works at",)), (1, born), (1, born)]
    if kind == "3 hops":
        return [(2, ("lives in",)), (2, ("works at",)), (2, born), (2, born), (1, ("works at", "located in"))]
    if kind == "4 hops":
        return [(3, ("lives in",)), (3, ("works at",)), (3, born), (2, ("works at", "located in"))]
    if kind == "changed":
        return [(1, ("lives in",)), (1, ("works at",)), (2, ("lives in",)), (2, ("works at",))]
    return [(1, born), (2, born), (3, born)]


Chain = tuple[str, tuple[str, ...], str, str, str]
"""Where a chain begins, its ties, what it asks for, who that is about, the answer."""


def _candidates(count: int, ends: tuple[str, ...], facts: Facts, people: list[str]) -> Iterator[Chain]:
    """Every chain over so many ties to such an end."""
    paths: list[tuple[str, str, tuple[str, ...]]] = [(start, start, ()) for start in people]
    for _ in range(count):
        paths = [(start, facts[who, tie], (*ties, tie)) for start, who, ties in paths for tie in TIES]
    for start, who, ties in paths:
        answer = who
        for relation in ends:
            answer = facts[answer, relation]
        yield start, ties, ends[-1], who, answer


def _ask(
    kind: str, facts: Facts, people: list[str], changed: set[tuple[str, str]], disputed: str, split: Split,
    rng: np.random.Generator,
) -> Asked:  # fmt: skip
    """One question of a kind."""
    found: list[Chain] = []
    chains = _chains(kind)
    while not found:
        found = list(_candidates(*chains[int(rng.integers(len(chains)))], facts, people))
        if kind == "changed":
            found = [one for one in found if (one[3], one[2]) in changed]
        else:  # only a contradiction asks for what is disputed, but not only it for a birthplace
            asked = ("born in", disputed) if kind == "contradiction" else None
            found = [one for one in found if (asked or one[2] != "born in" or one[3] != disputed)
                     and (asked is None or (one[2], one[3]) == asked)]  # fmt: skip
    start, ties, relation, _, answer = found[int(rng.integers(len(found)))]
    words = question(ASKING.say(relation, split, rng, person=_person(start, ties)))
    return Asked(kind, words, (DISPUTED,) if kind == "contradiction" else (answer,), ("graph",))


def _person(start: str, ties: tuple[str, ...]) -> str:
    """``the teacher of Ada's boss``."""
    words = f"{start}'s {ties[0]}"
    for tie in ties[1:]:
        words = f"the {tie} of {words}"
    return words


def _read_person(words: str) -> list[str]:
    """Where a chain begins, and its ties in the order in which they are followed."""
    outer = _TIE_OF.findall(words)
    match = _TIE.search(words)
    assert match is not None
    return [match[1], *filter(None, (match[2],)), *reversed(outer)]
