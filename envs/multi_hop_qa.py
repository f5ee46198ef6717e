"""Questions about chains of facts, some of which change and some of which are disputed."""

import re
from collections.abc import Iterator

import numpy as np

from envs.language import Meaning
from envs.multi_hop_words import ASKING, TELLING, TIES
from envs.names import pool, some
from envs.questions import (
    DISPUTED,
    Asked,
    ListenAndAnswer,
    Session,
    bare,
    question,
    sentence,
)
from envs.settings import check_range, settings_of
from envs.splits import Split

LEVELS = {"easy": {"people": 3}, "medium": {"people": 4}, "hard": {"people": 6}}
KINDS = ("2 hops", "3 hops", "4 hops", "changed", "contradiction")

_TIE_OF = re.compile(r"the (\w+) of ")
_TIE = re.compile(r"([A-Z][a-z]+)(?:'s (\w+))?$")

Facts = dict[tuple[str, str], str]
"""The facts that are true now, by subject and relation."""


class MultiHopQA(ListenAndAnswer):
    """Questions about chains of two to four facts; some facts change, and some are disputed.

    ## Description
    On the first visit facts are told one by one: who is whose boss and teacher, where people live, work and were born,
    and where companies are. On the second visit some facts have changed, and one birthplace is contradicted. On each of
    five more visits one question is asked: over ``2 hops``, ``3 hops`` or ``4 hops``, about a fact that ``changed``, or
    about a disputed birthplace (``contradiction``, with the right answer ``disputed``). Two of three questions about a
    birthplace are about one that is not disputed. Names and wordings differ between the splits.

    ## Mission
    ``listen, and keep in mind what you are told``, later ``answer: Where does Ada's boss live?``

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear the next fact.

    ## Observation
    Text: a fact; later a prompt for an answer.

    ## Reward
    1 for the right answer (ignoring case, articles and punctuation), else 0. Ingestion has no reward and succeeds.

    ## Termination
    Everything was told, or an answer was given.

    ## Registered ids
    ``hippo/MultiHopQA-v0``

    Args:
        level: ``easy`` (3 people), ``medium`` (4) or ``hard`` (6).
        people: Number of people, 3 to 8.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting is out of range.
    """

    name = "multi_hop_qa"
    waiting = "Answer in a few words. Say unknown if you were never told, disputed if you were told different things."
    expert = "facts"
    extractive = True

    def __init__(self, level: str = "medium", people: int | None = None, render_mode: str | None = None) -> None:
        people = settings_of(level, LEVELS)["people"] if people is None else people
        check_range("people", people, 3, 8)
        self.people = people
        self.name = f"multi_hop_qa-{people}"
        super().__init__(2, len(KINDS), render_mode)

    def write_session(self, world_seed: int, split: Split, rng: np.random.Generator) -> Session:  # noqa: ARG002
        """Make up facts, changes, a contradiction, and a question of each kind."""
        people, firms = some(pool("people", split), self.people, rng), some(pool("companies", split), 3, rng)
        cities = some(pool("cities", split), 6, rng)
        facts: Facts = {}
        for relation in TIES:
            others = np.roll(rng.permutation(len(people)), 1)
            ring = dict(zip(others.tolist(), np.roll(others, 1).tolist(), strict=True))
            facts |= {(people[index], relation): people[other] for index, other in ring.items()}
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
        later.append(_told(agreed, "born in", facts[agreed, "born in"]))  # telling it twice is no dispute
        facts |= changes
        questions = [_ask(KINDS[int(i)], facts, people, set(changes), disputed, split, rng) for i in rng.permutation(5)]
        by_visit = [[meanings[int(i)] for i in rng.permutation(len(meanings))] for meanings in (first, later)]
        sentences = [[sentence(TELLING.say(m.kind, split, rng, **m.slots)) for m in meanings] for meanings in by_visit]
        return Session(sentences, questions)

    def understand(self, text: str) -> list[Meaning]:
        """Return a fact as subject, relation and value, or a question as subject and chain of relations."""
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
    """Draw two people who move to another city and one who changes the company."""
    changed: Facts = {}
    for index, relation in zip(rng.permutation(len(people)), ("lives in", "lives in", "works at"), strict=False):
        who, pool = people[int(index)], firms if relation == "works at" else cities
        others = [value for value in pool if value != facts[who, relation]]
        changed[who, relation] = others[int(rng.integers(len(others)))]
    return changed


def _chains(kind: str) -> list[tuple[int, tuple[str, ...]]]:
    """Return the possible chains of a kind: the number of ties, and the relations after them."""
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
"""A chain: first person, ties, the relation that is asked for, the person it is about, and the answer."""


def _candidates(count: int, ends: tuple[str, ...], facts: Facts, people: list[str]) -> Iterator[Chain]:
    """Yield every chain of ``count`` ties that ends with the given relations."""
    paths: list[tuple[str, str, tuple[str, ...]]] = [(start, start, ()) for start in people]
    for _ in range(count):
        paths = [(start, facts[who, tie], (*ties, tie)) for start, who, ties in paths for tie in TIES]
    for start, who, ties in paths:
        answer = who
        for relation in ends:
            answer = facts[answer, relation]
        yield start, ties, ends[-1], who, answer


def _ask(
    kind: str,
    facts: Facts,
    people: list[str],
    changed: set[tuple[str, str]],
    disputed: str,
    split: Split,
    rng: np.random.Generator,
) -> Asked:
    """Draw one question of a kind."""
    candidates: list[Chain] = []
    chains = _chains(kind)
    while not candidates:
        candidates = list(_candidates(*chains[int(rng.integers(len(chains)))], facts, people))
        if kind == "changed":
            candidates = [chain for chain in candidates if (chain[3], chain[2]) in changed]
        else:  # only a contradiction may ask about the disputed birthplace; other kinds ask about others
            wanted = ("born in", disputed) if kind == "contradiction" else None
            candidates = [
                chain
                for chain in candidates
                if (wanted or chain[2] != "born in" or chain[3] != disputed)
                and (wanted is None or (chain[2], chain[3]) == wanted)
            ]
    start, ties, relation, _, answer = candidates[int(rng.integers(len(candidates)))]
    words = question(ASKING.say(relation, split, rng, person=_person(start, ties)))
    return Asked(kind, words, (DISPUTED,) if kind == "contradiction" else (answer,), ("graph",))


def _person(start: str, ties: tuple[str, ...]) -> str:
    """Word a chain of ties, such as ``the teacher of Ada's boss``."""
    words = f"{start}'s {ties[0]}"
    for tie in ties[1:]:
        words = f"the {tie} of {words}"
    return words


def _read_person(words: str) -> list[str]:
    """Return the first person of a chain and its ties, in the order in which they are followed."""
    outer = _TIE_OF.findall(words)
    match = _TIE.search(words)
    assert match is not None
    return [match[1], *filter(None, (match[2],)), *reversed(outer)]
