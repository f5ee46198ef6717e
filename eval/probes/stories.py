"""Short events with who, what, where and when, many of which share entities, and cues for them.

Every event is one sentence. Half of the events are near misses of others: one or two of their four
slots differ. A cue is made from an event by dropping half of its words, by paraphrasing it, or by giving
two of its slots that no other event has both of.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from memory.episodic import SLOTS, Event, Slot

NAMES = (
    "Ada Alma Amir Anna Aron Bela Bo Boris Carla Cem Chloe Cy Dana Dario Dee Dora Edgar Eli Elsa Emil Enzo Eva Fatima "
    "Felix Fiona Gabor Gina Greta Hana Hugo Ida Igor Ines Iris Ivan Jana Jonas Jules Kaja Karim Kira Lars Lea Leo Lina "
    "Lola Luca Mara Marco Mei Mila Milo Nadia Nils Nora Olaf Olga Omar Oskar Otto Paula Petra Pia Quinn Rana Rosa "
    "Ruben Sam Sara Selma Sven Tara Theo Tilda Tomas Uma Ursula Vera Viktor Wanda Willem Xenia Yara Yusuf Zara Zeno"
).split()

# Each thing, verb and room with another way to say it.
ADJECTIVES = (
    "silver golden broken tiny heavy wooden yellow purple striped rusty painted folded borrowed antique plastic cracked"
).split()
THINGS = {
    "lamp": "lantern", "coat": "jacket", "stone": "rock", "cup": "mug", "letter": "note", "picture": "photograph",
    "rope": "cord", "bag": "sack", "couch": "sofa", "bicycle": "bike", "phone": "telephone", "car": "automobile",
    "carpet": "rug", "doll": "puppet", "blanket": "quilt", "knife": "blade", "bucket": "pail", "pot": "saucepan",
    "shirt": "blouse", "cap": "hat", "boat": "canoe", "gift": "present", "novel": "storybook", "coin": "penny",
}  # fmt: skip
VERBS = {
    "hid": "concealed", "found": "discovered", "bought": "purchased", "broke": "smashed", "repaired": "fixed",
    "dropped": "let fall", "cleaned": "washed", "lost": "mislaid", "carried": "lugged", "opened": "unpacked",
}  # fmt: skip
ROOMS = {
    "kitchen": "room for cooking", "attic": "loft", "cellar": "basement", "garden": "yard", "garage": "car shed",
    "office": "study", "hall": "corridor", "shop": "store", "church": "chapel", "forest": "woods", "harbour": "port",
    "school": "classroom", "cabin": "hut", "street": "road", "barn": "stable", "theatre": "playhouse",
}  # fmt: skip
SIDES = ("north", "south", "east", "west", "old", "new")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Story:
    """One event: its slots, its verb and the sentence that tells it."""

    slots: Mapping[Slot, str]
    verb: str

    @property
    def sentence(self) -> str:
        """The event in one sentence."""
        s = self.slots
        return f"On {s['when']}, {s['who']} {self.verb} the {s['what']} in the {s['where']}."

    @property
    def event(self) -> Event:
        """The event, to be written."""
        return Event(self.sentence, dict(self.slots), "story")

    @property
    def paraphrase(self) -> str:
        """The event in other words, without its day."""
        adjective, thing = self.slots["what"].split(" ")
        side, room = self.slots["where"].split(" ")
        verb = VERBS[self.verb]
        return f"the {adjective} {THINGS[thing]} that {self.slots['who']} {verb}, {side} {ROOMS[room]}"


def stories(count: int, seed: int) -> list[Story]:
    """Draw distinct events, in random order; every second is a near miss of another."""
    rng = np.random.default_rng(seed)

    def pick(options: object) -> str:
        choices = list(options)  # type: ignore[call-overload]
        return str(choices[rng.integers(len(choices))])

    def slot(name: Slot) -> str:
        if name == "who":
            return pick(NAMES)
        if name == "what":
            return f"{pick(ADJECTIVES)} {pick(THINGS)}"
        if name == "where":
            return f"{pick(SIDES)} {pick(ROOMS)}"
        return f"{pick(DAYS)} {rng.integers(1, 29)} {pick(MONTHS)}"

    by_sentence: dict[str, Story] = {}
    while len(by_sentence) < count:
        slots = {name: slot(name) for name in SLOTS}
        verb = pick(VERBS)
        if by_sentence and rng.random() < 0.5:
            like = list(by_sentence.values())[-int(rng.integers(1, min(len(by_sentence), 500) + 1))]
            changed = rng.choice(SLOTS, rng.integers(1, 3), replace=False)
            slots, verb = {**like.slots, **{name: slots[name] for name in changed}}, like.verb
        story = Story(slots, verb)
        by_sentence[story.sentence] = story
    order = rng.permutation(count)
    everything = list(by_sentence.values())
    return [everything[i] for i in order]


def half_of_the_words(story: Story, rng: np.random.Generator) -> str:
    """Half of the sentence's words, in order."""
    words = story.sentence.rstrip(".").replace(",", "").split()
    kept = sorted(rng.choice(len(words), len(words) // 2, replace=False))
    return " ".join(words[i] for i in kept)


class Cues:
    """Makes cues that only one of the stories fits."""

    def __init__(self, told: list[Story]) -> None:
        self.pairs = Counter((a, b, s.slots[a], s.slots[b]) for s in told for a, b in combinations(SLOTS, 2))
        self.wordings = Counter(s.paraphrase for s in told)

    def two_slots(self, story: Story, rng: np.random.Generator) -> dict[Slot, str] | None:
        """Two slots that no other story has both of; ``None`` if there are no such two."""
        fit = [(a, b) for a, b in combinations(SLOTS, 2) if self.pairs[a, b, story.slots[a], story.slots[b]] == 1]
        if not fit:
            return None
        return {name: story.slots[name] for name in fit[rng.integers(len(fit))]}

    def paraphrase(self, story: Story) -> str | None:
        """Other words for it, unless they fit another story as well."""
        return story.paraphrase if self.wordings[story.paraphrase] == 1 else None
