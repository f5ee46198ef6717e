"""Denials and endings in a sentence: "no longer lives in", "is not allergic any more", "sold", "divorced"."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from memory.relational.endings import (
    ENDING_PREPOSITIONS,
    ENDING_VERBS,
    ENDS_ALL,
    ENDS_FOR_OBJECT,
    ENDS_FOR_OTHERS,
    ILLNESS,
    JOBS,
    OWNING,
    PARTNERS,
    TIES,
    WORKING,
    Ending,
    denied,
)
from memory.relational.language.lemmas import verb_lemma
from memory.relational.language.nouns import noun_kind
from memory.relational.language.tense import When
from memory.relational.names import SAME_AS, normalise, third_person
from memory.relational.parse import phrase
from memory.relational.participants import Participants
from memory.relational.stated import Named

if TYPE_CHECKING:
    from spacy.tokens import Token

_PARTICLES = {"away", "up", "out", "off", "down", "over", "on", "in", "aside"}
_UNRESTRICTED = {"n't", "not", "really", "actually", "even", "here", "there", "now"}
_OVER = {"over", "gone", "finished", "past"}
_PASSED = {"pass", "end", "expire", "lapse", "disappear", "vanish", "stop", "run", "go", "clear", "heal"}
_LOST = {"steal", "destroy", "wreck", "die", "burn", "demolish", "crash", "sink", "shut", "close"}
_NEVER = {"never", "hardly", "rarely", "seldom"}


class Denials:
    """Reader of what a sentence denies and ends.

    Args:
        names: Reader of the names in the sentence.
    """

    CEASING = frozenset({"stop", "quit", "cease", "give", "finish"})
    """Verbs that end what their complement states: "stopped smoking"."""

    def __init__(self, names: Participants) -> None:
        self.names = names

    def avoided(self, verb: "Token") -> str:
        """Return ``dislikes`` of "doesn't like", ``avoids`` of "doesn't eat"; empty for other clauses."""
        lemma = verb_lemma(verb.text)
        said = {child.lower_ for child in verb.children if child.dep_ in ("aux", "neg")}
        present = bool(said & {"do", "does", "wo"}) and bool(said & {"not", "n't", "n’t"})
        if not present or _no_longer(verb) or _restricted(verb):
            return ""
        return "dislikes" if lemma in ("like", "enjoy") else "avoids" if lemma in ("eat", "drink", "touch") else ""

    def none(self, verb: "Token", subjects: list[Named]) -> Iterator[Ending]:
        """Yield what a clause denies by its object: "has no allergy"."""
        relation = third_person(verb_lemma(verb.text))
        for noun in (child for child in verb.children if child.dep_ == "dobj"):
            if any(child.dep_ == "det" and child.lower_ == "no" for child in noun.children):
                name = phrase(noun, without=("det",))
                yield from (Ending(head, denied(relation) | ILLNESS, name) for head, _ in subjects)

    def dislikes(self, verb: "Token") -> bool:
        """Return whether a clause says "can't stand" or the like."""
        helpers = {child.lower_ for child in verb.children if child.dep_ in ("aux", "neg")}
        refused = bool(helpers & {"can", "ca", "could"}) and bool(helpers & {"not", "n't", "n’t"})
        return verb_lemma(verb.text) in ("stand", "bear", "abide") and (refused or "cannot" in helpers)

    def denied(self, verb: "Token", moment: When, clause: Iterable[Any]) -> Iterator[Ending]:
        """Yield the endings that a negated clause states: what it denies of the present, or says is over."""
        over = _no_longer(verb)
        if moment.tense in ("past", "future") and not over:
            return
        if any(child.lower_ in _NEVER for child in verb.children):
            return
        if not over and _restricted(verb):
            return
        yield from self._tied(verb, self.names.subjects(verb), None)
        for stated in clause:
            yield self.ending(stated, None)
            if stated.relation == "is_a":
                yield Ending(stated.head, frozenset({f"{stated.tail.lower().replace(' ', '_')}_of"}))
            if stated.relation == "is" and stated.tail.lower() in ("married", "engaged"):
                yield Ending(stated.head, PARTNERS)
        if over:
            yield from self.habit(verb, self.names.subjects(verb), None)

    def ending(self, stated: Any, moment: When | None) -> Ending:
        """Return the ending of what a clause would state."""
        relation = "owned_by" if stated.relation in ("owns", "possesses") else stated.relation
        time = moment.since if moment is not None else None
        return Ending(stated.head, denied(SAME_AS.get(relation, relation)), stated.tail, time)

    def habit(self, verb: "Token", subjects: list[Named], moment: When | None) -> Iterator[Ending]:
        """Yield the ending of a verb without an object: "no longer smokes", "stopped working"."""
        lemma = verb_lemma(verb.text)
        if any(child.dep_ in ("dobj", "prep", "attr", "acomp", "xcomp") for child in verb.children) or lemma == "be":
            return
        relations = WORKING if lemma == "work" else frozenset({third_person(lemma)})
        for head, _ in subjects:
            yield Ending(head, relations, None, moment.since if moment is not None else None)

    def ended(self, verb: "Token", moment: When, subjects: list[Named] | None = None) -> Iterator[Ending]:
        """Yield the endings that the verb of an affirmed clause states: "sold the car", "was fired", "is divorced"."""
        time = moment.since if moment.tense != "future" else None
        subjects = self.names.subjects(verb) if subjects is None else subjects
        lemma = verb_lemma(verb.text)
        perfect = any(child.lower_ in ("has", "have", "'ve", "'s", "’ve", "’s") for child in verb.children)
        passive = any(child.dep_ in ("auxpass", "nsubjpass") for child in verb.children)
        words = [child.lower_ for child in verb.children if child.dep_ in ("acomp", "attr", "advmod", "prep", "prt")]
        out = lemma not in ("run", "go", "clear") or any(word in ("out", "away", "up", "gone") for word in words)
        if (lemma == "be" and _OVER & {*words}) or (lemma in _PASSED and out and not self.names.objects(verb)):
            yield from self._lost(verb, time)
        if lemma == "be" and moment.tense == "present":
            words = [child for child in verb.children if child.dep_ in ("acomp", "attr", "advmod", "oprd")]
            words = [word for word in words if word.lower_ in ENDS_ALL]
            yield from (Ending(head, ENDS_ALL[word.lower_], None, time) for word in words for head, _ in subjects)
            return
        if not (moment.tense == "past" or perfect or passive) or moment.tense == "future":
            return
        if lemma == "leave" and _briefly(verb):
            return
        if lemma == "get":
            got = [child.lower_ for child in verb.children if child.lower_ in ENDS_ALL]
            yield from (Ending(head, ENDS_ALL[word], None, time) for word in got for head, _ in subjects)
        if lemma in _LOST:
            yield from self._lost(verb, time)
        loose = (
            c for c in verb.children if c.dep_ == "prep" and not any(i.dep_ in ("pobj", "pcomp") for i in c.children)
        )
        particle = next((c.lower_ for c in loose if c.lower_ in _PARTICLES), "") or next(
            (c.lower_ for c in verb.children if c.dep_ in ("prt", "advmod") and c.lower_ in _PARTICLES), ""
        )
        names = [verb.lower_ if passive else lemma]
        names = [f"{names[0]}_{particle}", names[0]] if particle else names
        tied = (
            [*self._tied(verb, subjects, time)] if any(name in ENDING_VERBS for name in names) and not passive else []
        )
        yield from tied
        if not passive and (lost := next((ENDS_FOR_OBJECT[name] for name in names if name in ENDS_FOR_OBJECT), None)):
            yield from (Ending(head, lost, tail, time) for head, _ in self.names.objects(verb) for tail, _ in subjects)
        found = bool(tied)
        for relations, objects in self._objects(verb, names, passive):
            found = found or bool(objects)
            for head, _ in subjects:
                for tail, _ in objects:
                    job = normalise(tail).rpartition(" ")[2] in JOBS and relations & WORKING
                    yield Ending(head, WORKING if job else relations, None if job else _bare(head, tail), time)
        others = next((ENDS_FOR_OTHERS[name] for name in names if name in ENDS_FOR_OTHERS), None)
        if others is not None and not self.names.objects(verb):
            yield from (Ending(head, others, None, time, of_others=True) for head, _ in subjects)
        if any(name in ("resign", "step_down", "retire", "quit", "stand_down") for name in names):
            roles = [*self._role(verb, subjects, time)]
            yield from roles
            if roles:
                return
        plain = not found and not self.names.objects(verb)
        if plain and (name := next((name for name in names if name in ENDS_ALL), None)) is not None:
            yield from (Ending(head, ENDS_ALL[name], None, time) for head, _ in subjects)

    def _role(self, verb: "Token", subjects: list[Named], time: float | None) -> Iterator[Ending]:
        """Yield the ending of a role: "resigned as captain"."""
        for role in (c for child in verb.children if child.lower_ == "as" for c in child.children if c.dep_ == "pobj"):
            for head, _ in subjects:
                yield Ending(head, frozenset({f"{phrase(role).lower().replace(' ', '_')}_of"}), None, time)
                yield Ending(head, frozenset({"is_a", "works_as"}), phrase(role), time)

    def _lost(self, verb: "Token", time: float | None) -> Iterator[Ending]:
        """Yield the ending of what somebody had: "Ada's bike was stolen", "her cat died"."""
        for subject in (child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass")):
            for owner in (child for child in subject.children if child.dep_ == "poss"):
                thing = phrase(subject, without=("poss", "case"))
                yield from (Ending(head, OWNING | ILLNESS, thing, time) for head, _ in self.names.owners(owner))

    def _tied(self, verb: "Token", subjects: list[Named], time: float | None) -> Iterator[Ending]:
        """Yield the ending of a tie: "cancelled the subscription to X", "outgrew her allergy to X"."""
        for noun in (child for child in verb.children if child.dep_ == "dobj" and child.lemma_.lower() in TIES):
            relations = TIES[noun.lemma_.lower()]
            found = [*(c for c in noun.children if c.dep_ == "prep"), *(c for c in verb.children if c.dep_ == "prep")]
            others = [name for preposition in found for name, _ in self.names.objects_of(preposition)]
            for head, _ in subjects:
                yield from (Ending(head, relations, other, time) for other in others)
                if (not others and noun.lemma_.lower() in ("engagement", "marriage", "habit")) or noun.lower_ in JOBS:
                    yield Ending(head, relations, None, time)

    def _objects(self, verb: "Token", names: list[str], passive: bool) -> Iterator[tuple[frozenset[str], list[Named]]]:
        """Yield the relations that a verb ends, with its objects."""
        for name in names:
            if name in ENDING_VERBS and not passive:
                if name == "give" and not any(c.dep_ == "dative" for c in verb.children):
                    continue
                yield ENDING_VERBS[name], _one_of_several(verb) or self.names.objects(verb)
                break
        for words, preposition in _phrases(verb):
            for name in names:
                if (ended := ENDING_PREPOSITIONS.get(f"{name}_{words}")) is not None:
                    yield ended, self.names.objects_of(preposition)
                    break
        for child in verb.children:
            if child.lower_ == "rid" and verb_lemma(verb.text) in ("get", "be"):
                for preposition in (c for c in child.children if c.lower_ == "of"):
                    yield OWNING | ILLNESS, self.names.objects_of(preposition)


def _phrases(verb: "Token") -> Iterator[tuple[str, "Token"]]:
    """Yield the prepositions of a verb in words, as ``"out_of"``, each with the token that has the object."""
    adverbs = [
        child.lower_ for child in verb.children if child.dep_ in ("advmod", "prt") and child.pos_ in ("ADV", "ADP")
    ]
    for child in verb.children:
        if child.dep_ != "prep":
            continue
        yield child.lower_, child
        yield from ((f"{adverb}_{child.lower_}", child) for adverb in adverbs)
        for inner in child.children:
            if inner.dep_ == "prep":
                yield f"{child.lower_}_{inner.lower_}", inner
    for child in verb.children:
        if child.dep_ == "advmod":
            yield from ((f"{child.lower_}_{inner.lower_}", inner) for inner in child.children if inner.dep_ == "prep")


def _one_of_several(verb: "Token") -> list[Named]:
    """Return an object with what tells it from others of its kind: "the key to the garage"; empty for other objects."""
    for noun in (child for child in verb.children if child.dep_ == "dobj" and child.pos_ == "NOUN"):
        for preposition in (child for child in noun.children if child.lower_ in ("to", "for") and child.dep_ == "prep"):
            things = [child for child in preposition.children if child.dep_ == "pobj" and child.pos_ == "NOUN"]
            if any(noun_kind(thing.lower_) not in ("person", "time") for thing in things):
                return [(f"{phrase(noun)} {preposition.lower_} {phrase(things[0])}", 1.0)]
    return []


def _restricted(verb: "Token") -> bool:
    """Return whether a denial is of a part only: "doesn't work on Mondays", "doesn't play well"."""
    kinds = ("npadvmod", "advcl", "advmod")
    extra = [c for c in verb.children if c.dep_ in kinds and c.lower_ not in _UNRESTRICTED]
    objects = any(child.dep_ in ("dobj", "attr", "acomp") for child in verb.children)
    parts = (c for noun in verb.children if noun.dep_ == "dobj" for c in noun.children if c.dep_ == "prep")
    if any(child.lower_ in ("with", "without") for child in parts):
        return True  # "doesn't like tea with milk"
    return bool(extra) or sum(child.dep_ == "prep" for child in verb.children) > (0 if objects else 1)


def _briefly(verb: "Token") -> bool:
    """Return whether somebody left only for a while: "for the weekend", "early today"."""
    for child in verb.children:
        if child.dep_ in ("advmod", "npadvmod") and {child.lower_, *(c.lower_ for c in child.children)} & {
            "early",
            "late",
            "briefly",
            "temporarily",
        }:
            return True
        if child.dep_ == "prep" and child.lower_ == "for":
            return any(noun_kind(inner.lower_) in ("time", "state") for inner in child.children)
        if child.dep_ == "prep" and child.lower_ == "at":
            return True  # "left Bo at the station", "left at nine"
    return False


def _no_longer(verb: "Token") -> bool:
    """Return whether a negated clause says that it held before: "no longer", "not any more"."""
    words = [token.lower_ for token in verb.subtree]
    pairs = set(pairwise(words))
    return bool({("no", "longer"), ("any", "more"), ("any", "longer"), ("no", "more")} & pairs) or "anymore" in words


def _bare(head: str, name: str) -> str:
    """Return the name of a thing without its owner: ``"ada's car"`` of Ada is ``"car"``."""
    for mark in ("'s ", "’s "):
        if name.lower().startswith(head.lower() + mark):
            return name[len(head) + len(mark) :]
    return name
