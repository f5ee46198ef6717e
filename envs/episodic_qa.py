"""Questions about single events: who left what, where and when."""

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
"""Wordings of events, and of questions by the slot that they ask for."""

Event = dict[str, str]


class EpisodicQA(ListenAndAnswer):
    """A stream of events, followed by questions with full and partial cues.

    ## Description
    On the first visit events are told one by one. They share people, things, places and times, so no single word
    identifies an event. On each of five more visits one question is asked. A ``full`` question gives three of an
    event's four slots; a ``partial`` question gives fewer, but enough to identify the event. An ``unanswerable``
    question gives as many slots as either but matches no event, sometimes with people or things that were never
    mentioned; its right answer is ``unknown``. Names and wordings differ between the splits.

    ## Mission
    ``listen, and keep in mind what you are told``, later ``answer: Who left the old map in the attic?``

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear the next event.

    ## Observation
    Text: an event; later a prompt for an answer.

    ## Reward
    1 for the right answer (ignoring case, articles and punctuation), else 0. Ingestion has no reward and succeeds.

    ## Termination
    Everything was told, or an answer was given.

    ## Registered ids
    ``hippo/EpisodicQA-v0``

    Args:
        level: ``easy`` (6 events), ``medium`` (12) or ``hard`` (24).
        events: Number of events, 4 to 60.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting is out of range.
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
        """Make up events that share their slots, and questions about them."""
        count = max(3, round(self.events**0.5) + 1)
        pools = {
            "who": some(pool("people", split), count, rng),
            "what": some(pool("things", split), count + 2, rng),
            "where": some(pool("spots", split), count, rng),
            "when": some([f"{day} {time}" for day in DAYS for time in TIMES], count + 1, rng),
        }
        combinations = list(product(*pools.values()))
        unheard = {
            "who": some([n for n in pool("people", split) if n not in pools["who"]], 2, rng),
            "what": some([n for n in pool("things", split) if n not in pools["what"]], 2, rng),
        }
        chosen = rng.choice(len(combinations), self.events, replace=False)
        events = [dict(zip(SLOTS, combinations[int(i)], strict=True)) for i in chosen]
        sentences = [sentence(WORDS.say("event", split, rng, **event)) for event in events]
        asking = {name: [*pool, *unheard.get(name, ())] for name, pool in pools.items()}
        questions = [self._ask(KINDS[int(i)], events, asking, split, rng) for i in rng.permutation(len(KINDS))]
        return Session([sentences], questions)

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
        """Return the meaning of an event or of a question, as a list of at most one."""
        meanings = (WORDS.understand(words) for words in bare(text))
        return [meaning for meaning in meanings if meaning][:1]


def _drawn(
    kind: str, events: list[Event], pools: dict[str, list[str]], rng: np.random.Generator
) -> Iterator[tuple[str, Event]]:
    """Yield slots to ask for with the cues to give, a limited number of random draws."""
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
