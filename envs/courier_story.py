"""What is told in a Courier world, day by day, and what is asked for later."""

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
"""Days on which one walks round and listens."""

MISSIONS = 5
"""Days after them, with a mission each."""

NEEDS = {
    "round": (), "owner": ("graph",), "lent": ("graph",), "opens": ("graph",), "moved": ("graph",),
    "held": ("episodes",), "lay": ("episodes",), "place": ("map",), "errand": ("graph", "map"),
}  # fmt: skip
"""Memories that a kind of mission can't be done without."""


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
        kind: Its kind, a key of :data:`NEEDS`.
        meaning: What is asked for, in the words of :data:`ASKING`.
        target: The thing to choose or to stand before; for ``moved`` empty.
        person: Who is to be given it, or to be stood before.
        choices: Things that lie in the hall, the target among them.
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
    """All that happens in one world.

    Attributes:
        people: Their names.
        homes: Who lives in which room, by its colour, on the first days.
        moves: Who lives where after them, for those who moved.
        fixtures: The thing that stays in each room.
        told: What is said.
        errands: The missions of the days after the rounds.
    """

    people: tuple[str, ...]
    homes: Mapping[str, str]
    moves: Mapping[str, str]
    fixtures: Mapping[str, str]
    told: tuple[Told, ...]
    errands: tuple[Errand, ...]

    def home(self, person: str, day: int) -> str:
        """Where somebody is on a day."""
        return self.moves.get(person, self.homes[person]) if day > ROUNDS else self.homes[person]


def write_story(rooms: tuple[str, ...], split: Split, rng: np.random.Generator) -> Story:
    """Make up a world's story.

    Args:
        rooms: Colours of the rooms, at least four.
        split: Whose names are used.
        rng: Chooses.
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
    told = list(facts)
    told += [Told(2, "", Meaning("moved", {"who": who, "room": room})) for who, room in moves.items()]
    events, recollection = _events(people[:4], props, homes, rng)
    told += events
    mover = (c, d)[int(rng.integers(2))]
    room = rooms[int(rng.integers(len(rooms)))]
    errands = [
        Errand("moved", Meaning("moved", {"who": mover, "bell": BELL}), person=mover, tight=True),
        bring,
        errand,
        recollection,
        Errand("place", Meaning("place", {"item": fixtures[room], "bell": BELL}), fixtures[room], tight=True),
    ]
    first, *others = errands  # who moved is asked for before they are met again
    order = [first, *(others[int(i)] for i in rng.permutation(len(others)))]
    return Story(people, homes, moves, fixtures, tuple(told), tuple(order))


def _facts(
    family: str, four: tuple[str, ...], items: list[str], homes: Mapping[str, str], rng: np.random.Generator
) -> tuple[list[Told], Errand, Errand]:
    """Who owns, lent or opens what; a mission about it, and one in a hurry."""
    a, b, c, d = four
    asked: list[tuple[Meaning, str]] = []
    told: list[Told] = []
    if family == "lent":
        for item, (who, whom) in zip(items, ((a, c), (a, d), (b, c), (b, d)), strict=True):
            told.append(Told(1, homes[whom], Meaning("lent", {"item": item, "who": who, "whom": whom})))
            asked.append((Meaning("lent", {"who": who, "whom": whom}), item))
    else:
        owned = dict(zip(four, items, strict=True))
        for who, item in owned.items():
            told.append(Told(1, homes[who], Meaning(family, {"item": item, "who": who})))
        if family == "owner":
            owned[a], owned[c] = owned[c], owned[a]
            told += [Told(2, homes[who], Meaning("sold", {"item": owned[who], "who": who})) for who in (a, c)]
        asked = [(Meaning(family, {"who": who}), item) for who, item in owned.items()]
    choices = tuple(items)
    meaning, item = asked[int(rng.integers(len(asked)))]
    bring = Errand(family, meaning, item, meaning.slots["who"], choices)
    staying = [pair for pair in asked if pair[0].slots["who"] in (a, b)]
    meaning, item = staying[int(rng.integers(len(staying)))]
    hurried = Meaning(meaning.kind, {**meaning.slots, "bell": BELL})
    return told, bring, Errand("errand", hurried, item, meaning.slots["who"], choices, tight=True)


def _events(
    four: tuple[str, ...], props: list[str], homes: Mapping[str, str], rng: np.random.Generator
) -> tuple[list[Told], Errand]:
    """What somebody held, or what lay somewhere, on each day; and a mission about it."""
    family = ("held", "lay")[int(rng.integers(2))]
    first = rng.permutation(4)
    second = np.roll(first, int(rng.integers(1, 4)))  # everything is elsewhere on the second day
    told, asked = [], []
    for day, order in ((1, first), (2, second)):
        for index, who in zip(order, four, strict=True):
            slots = {"item": props[int(index)]} | ({"who": who} if family == "held" else {})
            told.append(Told(day, homes[who], Meaning(family, slots)))
            about = {"whom": who} if family == "held" else {"room": homes[who]}
            asked.append((about | {"day": str(day)}, props[int(index)]))
    about, item = asked[int(rng.integers(len(asked)))]
    person = four[int(rng.integers(2))]
    return told, Errand(family, Meaning(family, {"who": person, **about}), item, person, tuple(props))
