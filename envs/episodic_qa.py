"""Questions about single events: who left what where and when."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from envs.errors import EnvConfigError
from envs.language import Meaning, TemplateGrammar
from envs.names import DAYS, TIMES, pool, some
from envs.questions import (
    UNKNOWN,
    Asked,
    ListenAndAnswer,
    Session,
    bare,
    question,
    sentence,
)
from envs.settings import check_range, settings_of
from envs.splits import Split

SLOTS = ("who", "what", "where", "when")
LEVELS = {"easy": {"events": 6}, "medium": {"events": 12}, "hard": {"events": 24}}
KINDS = ("full", "full", "partial", "partial", "unanswerable")
TRIES = 1000

WORDS = TemplateGrammar(
    {
        "event": {
            "train": [
                "{who} left the {what} in the {where} on {when}",
                "on {when} {who} left the {what} in the {where}",
                "{who} put the {what} in the {where} on {when}",
                "in the {where} {who} left the {what} on {when}", "{who} forgot the {what} in the {where} on {when}",
                "the {what} was left in the {where} by {who} on {when}",
                "on {when} the {what} was put in the {where} by {who}",
                "{who} hid the {what} in the {where} on {when}", "on {when} in the {where} {who} left the {what}",
            ],
            "validation": ["on {when} {who} put the {what} in the {where}"],
            "test": ["in the {where} {who} put the {what} on {when}", "{who} left the {what} on {when} in the {where}"],
        },
        "who": {
            "train": [
                "who left the {what}[ in the {where}][ on {when}]",
                "who left the {what} lying[ in the {where}][ on {when}]",
                "by whom was the {what} left[ in the {where}][ on {when}]",
                "which person left the {what}[ in the {where}][ on {when}]",
                "name the person who left the {what}[ in the {where}][ on {when}]",
            ],
            "validation": ["who has left the {what}[ in the {where}][ on {when}]"],
            "test": ["who was it that left the {what}[ in the {where}][ on {when}]"],
        },
        "what": {
            "train": [
                "what did {who} leave[ in the {where}][ on {when}]",
                "what did {who} leave behind[ in the {where}][ on {when}]",
                "which thing did {who} leave[ in the {where}][ on {when}]",
                "what did {who} forget[ in the {where}][ on {when}]",
                "name the thing that {who} left[ in the {where}][ on {when}]",
            ],
            "validation": ["what has {who} left[ in the {where}][ on {when}]"],
            "test": ["what was it that {who} left[ in the {where}][ on {when}]"],
        },
        "where": {
            "train": [
                "where was the {what} left[ by {who}][ on {when}]",
                "where was the {what} left behind[ by {who}][ on {when}]",
                "which place was the {what} left in[ by {who}][ on {when}]",
                "where did the {what} stay when it was left[ by {who}][ on {when}]",
                "name the place where the {what} was left[ by {who}][ on {when}]",
            ],
            "validation": ["in which place was the {what} left[ by {who}][ on {when}]"],
            "test": ["where was it that the {what} was left[ by {who}][ on {when}]"],
        },
        "when": {
            "train": [
                "when was the {what} left[ by {who}][ in the {where}]",
                "when was the {what} left behind[ by {who}][ in the {where}]",
                "on which day and at which time was the {what} left[ by {who}][ in the {where}]",
                "name the day and time when the {what} was left[ by {who}][ in the {where}]",
                "what was the day and time when the {what} was left[ by {who}][ in the {where}]",
            ],
            "validation": ["at what time was the {what} left[ by {who}][ in the {where}]"],
            "test": ["when was it that the {what} was left[ by {who}][ in the {where}]"],
        },
    },
    {"who": "(?!Who )[A-Z][a-z]+", "what": "[a-z]+ [a-z]+", "where": "[a-z]+", "when": "[A-Z][a-z]+day [a-z]+"},
)  # fmt: skip
"""What is told, and the questions by what they ask for."""

Event = dict[str, str]


class EpisodicQA(ListenAndAnswer):
    """Streams of events, later questions from full and partial cues.

    ## Description
    On the first visit events are told one by one; they share people, things, places and times, so that no single
    word says which is meant. On each of five more visits one question is asked. ``full`` gives three of an event's
    four slots, ``partial`` fewer, but enough to know which event is meant; ``unanswerable`` gives as many as either
    and fits none, some about people or things that were never told of: the right answer is ``unknown``. Names of
    people, things and places, and the wording, differ between the splits.

    ## Mission
    ``listen, and keep in mind what you are told``, later ``answer: Who left the old map in the attic?``

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear on.

    ## Observation
    Text: an event, or that an answer is waited for.

    ## Reward
    1 for the right answer (no case, articles or punctuation), else 0. Listening has none, and succeeds.

    ## Termination
    All was told, or an answer was given.

    ## Registered ids
    ``hippo/EpisodicQA-v0``

    Args:
        level: ``easy`` (6 events), ``medium`` (12) or ``hard`` (24).
        events: How many events are told, 4 to 60.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting out of range.
    """

    name = "episodic_qa"
    expert = "events"
    extractive = True

    def __init__(self, level: str = "medium", events: int | None = None, render_mode: str | None = None) -> None:
        events = settings_of(level, LEVELS)["events"] if events is None else events
        check_range("events", events, 4, 60)
        self.events = events
        self.name = f"episodic_qa-{events}"
        super().__init__(1, len(KINDS), render_mode)

    def write_session(self, world_seed: int, split: Split, rng: np.random.Generator) -> Session:  # noqa: ARG002
        """Events that share their slots, and questions about them."""
        each = max(3, round(self.events**0.5) + 1)
        pools = {
            "who": some(pool("people", split), each, rng),
            "what": some(pool("things", split), each + 2, rng),
            "where": some(pool("spots", split), each, rng),
            "when": some([f"{day} {time}" for day in DAYS for time in TIMES], each + 1, rng),
        }
        combinations = list(product(*pools.values()))
        unheard = {"who": some([n for n in pool("people", split) if n not in pools["who"]], 2, rng),
                   "what": some([n for n in pool("things", split) if n not in pools["what"]], 2, rng)}  # fmt: skip
        chosen = rng.choice(len(combinations), self.events, replace=False)
        events = [dict(zip(SLOTS, combinations[int(i)], strict=True)) for i in chosen]
        told = [sentence(WORDS.say("event", split, rng, **event)) for event in events]
        asking = {name: [*pool, *unheard.get(name, ())] for name, pool in pools.items()}
        asked = [self._ask(KINDS[int(i)], events, asking, split, rng) for i in rng.permutation(len(KINDS))]
        return Session([told], asked)

    def _ask(
        self, kind: str, events: list[Event], pools: dict[str, list[str]], split: Split, rng: np.random.Generator
    ) -> Asked:
        for slot, given in _drawn(kind, events, pools, rng):
            answers = {event[slot] for event in events if given.items() <= event.items()}
            if len(answers) == (kind != "unanswerable"):
                words = question(WORDS.say(slot, split, rng, **given))
                return Asked(kind, words, tuple(answers) or (UNKNOWN,), ("episodes",))
        raise EnvConfigError(f"no {kind} question fits {self.events} events: choose another count")

    def understand(self, text: str) -> list[Meaning]:
        """An event, or what a question asks for and gives."""
        found = (WORDS.understand(words) for words in bare(text))
        return [meaning for meaning in found if meaning][:1]


def _drawn(
    kind: str, events: list[Event], pools: dict[str, list[str]], rng: np.random.Generator
) -> Iterator[tuple[str, Event]]:
    """Slots to ask for and cues to give, until one fits."""
    for _ in range(TRIES):
        slot = SLOTS[int(rng.integers(4))]
        needed = "who" if slot == "what" else "what"
        others = [name for name in SLOTS if name not in (slot, needed)]
        event = events[int(rng.integers(len(events)))]
        if kind == "unanswerable":
            event = {name: pool[int(rng.integers(len(pool)))] for name, pool in pools.items()}
        if kind == "partial" or (kind == "unanswerable" and rng.integers(2)):
            others = [others[int(i)] for i in rng.permutation(2)[: int(rng.integers(2))]]
        yield slot, {name: event[name] for name in SLOTS if name in (needed, *others)}
