"""Changes that a verb tells: the state that it leads to, who has a thing afterwards, to when an event is moved."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memory.relational.endings import LEADS_TO, MOVES_DATE, OPPOSITE_STATES, TRANSFERS, Ending
from memory.relational.language.lemmas import verb_lemma
from memory.relational.language.nouns import names_role, names_time
from memory.relational.language.tense import When, tense_of
from memory.relational.obliques import Obliques
from memory.relational.parse import phrase
from memory.relational.participants import Participants
from memory.relational.stated import OBLIQUE, Named, Stated, every

if TYPE_CHECKING:
    from spacy.tokens import Token

_CLOCK = frozenset({"happens_at"})
_DATE = frozenset({"happens_on", "happens_at", "happens_in"})


class Changes:
    """Reader of what holds after a clause in the past tense or the perfect: "unlocked the door", "moved to Friday".

    Args:
        names: Reader of the names in the sentence.
    """

    def __init__(self, names: Participants) -> None:
        self.names = names
        self.obliques = Obliques(names)

    def read(self, verb: "Token", subjects: list[Named], moment: When) -> Iterator[Stated | Ending]:
        """Yield what a clause changes.

        Args:
            verb: The verb of the clause.
            subjects: Names of its subjects.
            moment: When the clause holds.
        """
        tense, perfect = tense_of(verb)
        passive = any(child.dep_ in ("auxpass", "nsubjpass") for child in verb.children)
        if tense == "future" or not (tense == "past" or perfect or (passive and tense == "present")):
            return
        dated = (c for one in verb.children if one.dep_ == "prep" for c in one.children)
        if passive and (tense, perfect) == ("present", False) and any(names_time(c.lower_) for c in dated):
            return  # "is closed on Sundays"
        names = _with_particle(verb)
        objects = subjects if passive else self.names.objects(verb)
        if not objects and any(child.dep_ == "dobj" for child in verb.children):
            return  # an object of which it is unclear what it is
        yield from self._run_out(verb, subjects)
        if (state := next((LEADS_TO[name] for name in names if name in LEADS_TO), None)) is not None:
            yield from self._led(verb, state, objects or subjects, perfect)
        if (relation := next((TRANSFERS[name] for name in names if name in TRANSFERS), None)) is not None:
            yield from self._transferred(verb, relation, passive)
        if {"buy_back", "get_back"} & {*names} and not passive:
            yield from every(objects, "owned_by", subjects, OBLIQUE)
        elif "buy" in names and not passive and _definite(verb):
            yield from every(objects, "owned_by", subjects, OBLIQUE)  # "bought the boat from Bo"
        if any(name in MOVES_DATE for name in names) and (passive or names[-1] not in _SETS):
            yield from self._moved(verb, objects or subjects, moment)

    def _run_out(self, verb: "Token", subjects: list[Named]) -> Iterator[Stated]:
        """Yield that there is no more of something: "has run out of water"."""
        if verb_lemma(verb.text) == "run":
            outs = [child for child in verb.children if child.lower_ == "out"]
            for of in (c for one in (*outs, *([verb] if outs else [])) for c in one.children if c.lower_ == "of"):
                for noun in (child for child in of.children if child.dep_ == "pobj"):
                    yield from every(subjects, "is", [(f"out of {phrase(noun)}", 1.0)], OBLIQUE)

    def _led(self, verb: "Token", state: str, things: list[Named], perfect: bool) -> Iterator[Stated | Ending]:
        """Yield the state that things are in: in the perfect it holds, in the past tense it ended its opposites."""
        lasting = any(
            child.lower_ == "for" and any(c.lower_ == "good" for c in child.children) for child in verb.children
        )
        if perfect or lasting:
            yield from every(things, "is", [(state, 1.0)], OBLIQUE)
        else:
            for opposite in sorted(OPPOSITE_STATES.get(state, ())):
                yield from (Ending(thing, frozenset({"is"}), opposite) for thing, _ in things)

    def _transferred(self, verb: "Token", relation: str, passive: bool) -> Iterator[Stated]:
        """Yield that a recipient owns or borrows the object: "gave the car to Kinga"."""
        role = "nsubjpass" if passive else "dobj"
        thing = next((child for child in verb.children if child.dep_ == role and child.pos_ != "PRON"), None)
        if thing is None or any(child.lower_ in ("a", "an") for child in thing.children):
            return
        given = [child for child in verb.children if child.dep_ == "dative" and child.pos_ != "ADP"]
        towards = [child for child in verb.children if child.lower_ == "to" and child.dep_ in ("prep", "dative")]
        given += [child for to in towards for child in to.children if child.dep_ == "pobj"]
        recipients = [
            name
            for one in given
            if one.pos_ in ("PROPN", "PRON") or names_role(one.lemma_.lower())
            for name in self.names.entities(one)
        ]
        name: list[Named] = [(phrase(thing, without=("poss", "case")), 1.0)]
        if relation == "borrows":
            yield from every(recipients, relation, name, OBLIQUE)
        else:
            yield from every(name, relation, recipients, OBLIQUE)

    def _moved(self, verb: "Token", events: list[Named], moment: When) -> Iterator[Stated | Ending]:
        """Yield the new time of an event, and that it no longer happens at the old one."""
        for preposition in (c for c in verb.subtree if c.lower_ in _TOWARDS and c.pos_ != "PART"):
            for noun in (child for child in preposition.children if child.dep_ == "pobj"):
                words = phrase(noun).rpartition(" to ")[2]  # "from nine to eleven o'clock", read as one
                clock = noun.ent_type_ == "TIME" or (noun.pos_ == "NUM" and noun.ent_type_ != "DATE")
                if not (clock or names_time(words) or noun.i in moment.dates):
                    continue
                relation = "happens_at" if clock else "happens_on"
                for event, _ in events:
                    yield Ending(event, _CLOCK if clock else _DATE)
                yield from every(events, relation, [(words, 1.0)], OBLIQUE)
                for inner in (child for child in noun.children if child.lower_ == "at" and child.dep_ == "prep"):
                    yield from self.obliques.of(events, "is", inner, moment, stative=True)


def _definite(verb: "Token") -> bool:
    """Return whether the object of a verb is one that is known already: "the boat"."""
    return any(inner.lower_ == "the" for noun in verb.children if noun.dep_ == "dobj" for inner in noun.children)


def _with_particle(verb: "Token") -> list[str]:
    """Return the base form of a verb, after it with its particle: ``["put_back", "put"]``."""
    lemma = verb_lemma(verb.text)
    particles = [
        child.lower_
        for child in verb.children
        if child.dep_ in ("prt", "advmod", "prep") and child.lower_ in _PARTICLES
    ]
    return [*(f"{lemma}_{particle}" for particle in particles), *([] if lemma == "put" else [lemma])]


_SETS = {"plan", "schedule", "set", "fix", "arrange", "book"}
_TOWARDS = {"to", "until", "till", "for", "on"}
_PARTICLES = {"back", "forward", "off", "on", "over", "down", "up", "out", "asleep"}
