"""The story of a Courier world: what is said day by day, and the missions that ask for it later."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from envs.courier_words import BELL
from envs.language import Meaning
from envs.names import pool, some
from envs.splits import Split

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
KINDS = ("ball", "box", "key")
ROUNDS = 2
"""Days on which the agent walks the round and listens."""

MISSIONS = 5
"""Days after the rounds, with one mission each."""

NEEDS = {
    "round": (), "owner": ("graph",), "lent": ("graph",), "opens": ("graph",), "moved": ("graph",),
    "held": ("episodes",), "lay": ("episodes",), "place": ("map",), "errand": ("graph", "map"),
}  # fmt: skip
"""The memories that each kind of mission can't be done without."""


@dataclass(frozen=True)
class Told:
    """A sentence that is said on one day: in a room, or at the start if ``room`` is empty."""

    day: int
    room: str
    meaning: Meaning


@dataclass(frozen=True)
class Errand:
    """A mission.

    Attributes:
        kind: The kind of mission, a key of :data:`NEEDS`.
        meaning: What is asked for, a meaning of the grammar :data:`ASKING`.
        target: The thing to bring or to go to; empty for ``moved``.
        person: The person to give it to, or to go to.
        choices: Things that lie in the hall, including the target.
        tight: Whether there is time for the shortest way only.
    """

    kind: str
    meaning: Meaning
    target: str = ""
    person: str = ""
    choices: tuple[str, ...] = ()
    tight: bool = False


@dataclass(frozen=True)
class Story:
    """Everything that happens in one world.

    Attributes:
        people: Names of the people.
        homes: Colour of the room that each person lives in during the rounds.
        moves: Colour of the new room of each person who moves after the rounds.
        fixtures: The thing that stays in each room.
        told: The sentences that are said.
        errands: The missions of the days after the rounds.
    """

    people: tuple[str, ...]
    homes: Mapping[str, str]
    moves: Mapping[str, str]
    fixtures: Mapping[str, str]
    told: tuple[Told, ...]
    errands: tuple[Errand, ...]

    def home(self, person: str, day: int) -> str:
        """Return the room that a person is in on a day."""
        return self.moves.get(person, self.homes[person]) if day > ROUNDS else self.homes[person]


def write_story(rooms: tuple[str, ...], split: Split, rng: np.random.Generator) -> Story:
    """Make up a world's story.

    Args:
        rooms: Colours of the rooms, at least four.
        split: The split whose names are used.
        rng: Source of randomness.
    """
    people = tuple(some(pool("people", split), len(rooms), rng))
    homes = dict(zip(people, (rooms[int(i)] for i in rng.permutation(len(rooms))), strict=True))
    family = ("owner", "lent", "opens")[int(rng.integers(3))]
    everything = [f"{color} {kind}" for color in COLORS for kind in KINDS]
    everything = [everything[int(i)] for i in rng.permutation(len(everything))]
    keys = [thing for thing in everything if thing.endswith("key")]
    items = keys[:4] if family == "opens" else [thing for thing in everything if thing not in keys][:4]
    rest = [thing for thing in everything if thing not in items]
    props, fixtures = rest[:4], dict(zip(rooms, rest[4:], strict=False))
    a, b, c, d = people[:4]
    moves = {c: homes[d], d: homes[c]}
    facts, bring, errand = _facts(family, (a, b, c, d), items, homes, rng)
    statements = list(facts)
    statements += [Told(2, "", Meaning("moved", {"who": who, "room": room})) for who, room in moves.items()]
    events, recollection = _events(people[:4], props, homes, rng)
    statements += events
    mover = (c, d)[int(rng.integers(2))]
    room = rooms[int(rng.integers(len(rooms)))]
    errands = [
        Errand("moved", Meaning("moved", {"who": mover, "bell": BELL}), person=mover, tight=True),
        bring,
        errand,
        recollection,
        Errand("place", Meaning("place", {"item": fixtures[room], "bell": BELL}), fixtures[room], tight=True),
    ]
    first, *others = errands  # this errand comes first, before the agent meets that person again
    order = [first, *(others[int(i)] for i in rng.permutation(len(others)))]
    return Story(people, homes, moves, fixtures, tuple(statements), tuple(order))


def _facts(
    family: str, four: tuple[str, ...], items: list[str], homes: Mapping[str, str], rng: np.random.Generator
) -> tuple[list[Told], Errand, Errand]:
    """Make up who owns, lent or opens what, a mission about it, and an errand with a bell."""
    a, b, c, d = four
    questions: list[tuple[Meaning, str]] = []
    statements: list[Told] = []
    if family == "lent":
        for item, (who, whom) in zip(items, ((a, c), (a, d), (b, c), (b, d)), strict=True):
            statements.append(Told(1, homes[whom], Meaning("lent", {"item": item, "who": who, "whom": whom})))
            questions.append((Meaning("lent", {"who": who, "whom": whom}), item))
    else:
        owned = dict(zip(four, items, strict=True))
        for who, item in owned.items():
            statements.append(Told(1, homes[who], Meaning(family, {"item": item, "who": who})))
        if family == "owner":
            owned[a], owned[c] = owned[c], owned[a]
            statements += [Told(2, homes[who], Meaning("sold", {"item": owned[who], "who": who})) for who in (a, c)]
        questions = [(Meaning(family, {"who": who}), item) for who, item in owned.items()]
    choices = tuple(items)
    meaning, item = questions[int(rng.integers(len(questions)))]
    bring = Errand(family, meaning, item, meaning.slots["who"], choices)
    staying = [pair for pair in questions if pair[0].slots["who"] in (a, b)]
    meaning, item = staying[int(rng.integers(len(staying)))]
    hurried = Meaning(meaning.kind, {**meaning.slots, "bell": BELL})
    return statements, bring, Errand("errand", hurried, item, meaning.slots["who"], choices, tight=True)


def _events(
    four: tuple[str, ...], props: list[str], homes: Mapping[str, str], rng: np.random.Generator
) -> tuple[list[Told], Errand]:
    """Make up what somebody held, or what lay somewhere, on each day, and a mission about it."""
    family = ("held", "lay")[int(rng.integers(2))]
    first = rng.permutation(4)
    second = np.roll(first, int(rng.integers(1, 4)))  # on the second day every thing is elsewhere
    statements, questions = [], []
    for day, order in ((1, first), (2, second)):
        for index, who in zip(order, four, strict=True):
            slots = {"item": props[int(index)]} | ({"who": who} if family == "held" else {})
            statements.append(Told(day, homes[who], Meaning(family, slots)))
            about = {"whom": who} if family == "held" else {"room": homes[who]}
            questions.append((about | {"day": str(day)}, props[int(index)]))
    about, item = questions[int(rng.integers(len(questions)))]
    person = four[int(rng.integers(2))]
    return statements, Errand(family, Meaning(family, {"who": person, **about}), item, person, tuple(props))
