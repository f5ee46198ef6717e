"""What is told in a Courier world, day by day, and what is asked for later."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from envs.language import Grammar, Meaning
from envs.names import pool, some
from envs.splits import Split

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
KINDS = ("ball", "box", "key")
ROUNDS = 2
"""Days on which one walks round and listens."""

MISSIONS = 5
"""Days after them, with a mission each."""

TELLING = Grammar(
    {
        "owner": {
            "train": [
                "the {item} belongs to {who}",
                "{who} owns the {item}",
                "the {item} is owned by {who}",
                "the {item} is {who}'s",
                "the {item} is the property of {who}",
                "{who} has owned the {item} for years",
                "the one who owns the {item} is {who}",
                "for the {item} one has to ask {who}, who owns it",
            ],
            "validation": ["the owner of the {item} is {who}"],
            "test": ["{who} is the owner of the {item}", "it is {who} who owns the {item}"],
        },
        "sold": {
            "train": [
                "the {item} belongs to {who} now",
                "now {who} owns the {item}",
                "{who} bought the {item}",
                "the {item} was sold to {who}",
                "the {item} has gone to {who}",
                "as of today {who} owns the {item}",
                "{who} is now the owner of the {item}",
                "from now on the {item} is {who}'s",
            ],
            "validation": ["the {item} is owned by {who} now"],
            "test": ["now the {item} belongs to {who}", "the new owner of the {item} is {who}"],
        },
        "lent": {
            "train": [
                "{who} lent the {item} to {whom}",
                "{whom} borrowed the {item} from {who}",
                "the {item} was lent to {whom} by {who}",
                "{who} has lent the {item} to {whom}",
                "{whom} has the {item} on loan from {who}",
                "{who} gave the {item} to {whom} on loan",
                "the {item} is on loan from {who} to {whom}",
                "{who} let {whom} have the {item} for a while",
                "the {item} was borrowed from {who} by {whom}",
                "{who} lets {whom} use the {item}",
            ],
            "validation": ["it was {who} who lent the {item} to {whom}"],
            "test": ["{who} lent {whom} the {item}", "the {item} was borrowed by {whom} from {who}"],
        },
        "opens": {
            "train": [
                "the {item} opens {who}'s box",
                "{who}'s box opens with the {item}",
                "with the {item} one gets into {who}'s box",
                "{who}'s box needs the {item}",
                "the {item} fits {who}'s box",
                "to open {who}'s box take the {item}",
                "the key to {who}'s box is the {item}",
                "{who}'s box is opened by the {item}",
            ],
            "validation": ["one can open {who}'s box with the {item}"],
            "test": ["{who}'s box can be opened with the {item}", "it is the {item} that opens {who}'s box"],
        },
        "moved": {
            "train": [
                "{who} moves to the {room} room tonight",
                "tonight {who} will move to the {room} room",
                "{who} is off to the {room} room tonight",
                "from tonight on {who} lives in the {room} room",
                "the {room} room is where {who} goes tonight",
                "{who} changes to the {room} room tonight",
                "tonight {who} goes to live in the {room} room",
            ],
            "validation": ["{who} will move to the {room} room tonight"],
            "test": ["tonight {who} moves to the {room} room", "{who} is moving to the {room} room tonight"],
        },
        "held": {
            "train": [
                "{who} is holding a {item}",
                "{who} has a {item} in hand",
                "{who} carries a {item}",
                "{who} is carrying a {item}",
                "{who} has picked up a {item}",
                "a {item} is being held by {who}",
                "in one hand {who} keeps a {item}",
            ],
            "validation": ["{who} is seen with a {item} in hand"],
            "test": ["{who} holds a {item}", "a {item} is in {who}'s hands"],
        },
        "lay": {
            "train": [
                "on the table lies a {item}",
                "there is a {item} on the table",
                "a {item} rests on the table",
                "the table has a {item} on it",
                "someone put a {item} on the table",
                "on the table one sees a {item}",
                "a {item} was left on the table",
            ],
            "validation": ["a {item} is lying on the table"],
            "test": ["a {item} lies on the table", "on the table there is a {item}"],
        },
    },
    {"who": "[A-Z][a-z]+", "whom": "[A-Z][a-z]+", "item": "[a-z]+ (?:ball|box|key)", "room": "[a-z]+"},
)

BELL = " before the bell rings"
ASKING = Grammar(
    {
        "round": {
            "train": [
                "visit every room and note what you hear", "walk the round and keep in mind what you are told",
                "go through all rooms and note what you hear", "look in at every room and write down what you hear",
                "visit all the rooms and remember what is said",
            ],
            "validation": ["visit every room and keep in mind what you hear"],
            "test": ["look into every room and note what you are told", "walk the round and note what you hear"],
        },
        "owner": {
            "train": [
                "bring {who} what belongs to {who}[{bell}]", "bring {who} the thing that {who} owns[{bell}]",
                "hand {who} what belongs to {who}[{bell}]", "let {who} have what {who} owns[{bell}]",
                "give {who} what is {who}'s own[{bell}]", "fetch {who} the thing that is {who}'s[{bell}]",
            ],
            "validation": ["bring {who} what {who} owns[{bell}]"],
            "test": ["bring {who} the thing that belongs to {who}[{bell}]", "take {who} what {who} owns[{bell}]"],
        },
        "lent": {
            "train": [
                "bring {who} what {who} lent to {whom}[{bell}]",
                "bring {who} the thing that {whom} borrowed from {who}[{bell}]",
                "return to {who} what {who} lent to {whom}[{bell}]",
                "hand {who} what {whom} got on loan from {who}[{bell}]",
                "give {who} the thing that was lent to {whom} by {who}[{bell}]",
                "fetch {who} what {whom} was lent by {who}[{bell}]",
            ],
            "validation": ["bring {who} what {whom} borrowed from {who}[{bell}]"],
            "test": [
                "bring {who} the thing that {who} lent to {whom}[{bell}]",
                "take {who} what {who} lent to {whom}[{bell}]",
            ],
        },
        "opens": {
            "train": [
                "bring {who} what opens {who}'s box[{bell}]", "bring {who} the key to {who}'s box[{bell}]",
                "hand {who} the key that fits {who}'s box[{bell}]", "give {who} what {who}'s box opens with[{bell}]",
                "fetch {who} the key for {who}'s box[{bell}]",
            ],
            "validation": ["bring {who} the thing that opens {who}'s box[{bell}]"],
            "test": [
                "bring {who} the key that opens {who}'s box[{bell}]",
                "take {who} what opens {who}'s box[{bell}]",
            ],
        },
        "held": {
            "train": [
                "bring {who} what {whom} held on day {day}",
                "bring {who} the thing that {whom} was holding on day {day}",
                "give {who} what was in {whom}'s hands on day {day}", "fetch {who} what {whom} carried on day {day}",
                "hand {who} the thing {whom} had in hand on day {day}",
            ],
            "validation": ["bring {who} what {whom} was holding on day {day}"],
            "test": [
                "bring {who} the thing that {whom} held on day {day}",
                "take {who} what {whom} held on day {day}",
            ],
        },
        "lay": {
            "train": [
                "bring {who} what lay on the table in the {room} room on day {day}",
                "bring {who} the thing that was on the table in the {room} room on day {day}",
                "give {who} what one saw on the table in the {room} room on day {day}",
                "fetch {who} what the table in the {room} room held on day {day}",
                "hand {who} what lay on day {day} on the table in the {room} room",
            ],
            "validation": ["bring {who} what was on the table in the {room} room on day {day}"],
            "test": [
                "bring {who} the thing that lay on the table in the {room} room on day {day}",
                "take {who} what lay on the table in the {room} room on day {day}",
            ],
        },
        "moved": {
            "train": [
                "go to {who}{bell}", "find {who}{bell}", "visit {who}{bell}", "look for {who}{bell}",
                "see {who}{bell}", "meet {who}{bell}", "go over to {who}{bell}",
            ],
            "validation": ["go and find {who}{bell}"],
            "test": ["go and see {who}{bell}", "walk to {who}{bell}"],
        },
        "place": {
            "train": [
                "go to the {item}{bell}", "find the {item}{bell}", "look for the {item}{bell}",
                "stand in front of the {item}{bell}", "go up to the {item}{bell}", "head for the {item}{bell}",
            ],
            "validation": ["go and find the {item}{bell}"],
            "test": ["walk to the {item}{bell}", "find the {item} and go to it{bell}"],
        },
    },
    {
        "who": "[A-Z][a-z]+", "whom": "[A-Z][a-z]+", "item": "[a-z]+ (?:ball|box|key)", "room": "[a-z]+", "day": r"\d+",
        "bell": BELL,
    },
)  # fmt: skip

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
