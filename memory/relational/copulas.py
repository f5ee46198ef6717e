"""Clauses with "be", "become", "remain": what kind or quality a subject is, whose it is, and where."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from memory.relational.language.lemmas import verb_lemma
from memory.relational.language.nouns import names_role, names_time, noun_kind
from memory.relational.language.tense import When
from memory.relational.obliques import Obliques
from memory.relational.parse import NOBODY, joined, negated, phrase, prepositions
from memory.relational.participants import REFERRED, Participants
from memory.relational.stated import OBLIQUE, SURE, Named, Stated, every

if TYPE_CHECKING:
    from spacy.tokens import Token

_NO_EMPLOYER = {"friend", "partner", "member", "guest", "patient", "fan", "candidate", "match", "father", "mother"}
"""Roles that do not work for what follows "at" and "for"."""


_STATES = frozenset("on off well back home away out up down upstairs downstairs abroad".split())
"""Words after "is" that tell a state or a place without an object."""

MUTUAL = frozenset(
    "friend colleague neighbour neighbor partner flatmate roommate housemate classmate twin sibling cousin rival ally"
    " couple teammate workmate relative spouse enemy".split()
)
"""Nouns that two subjects are to each other: "Ada and Bo are colleagues"."""


_TIES = (("engaged", "to"), ("divorced", "from"))
IDLE = frozenset("moment course present time".split())
"""Objects of prepositions that say nothing: "at the moment", "of course"."""


class Copulas:
    """Reader of clauses that link a subject to a kind, a quality or a place.

    Args:
        names: Reader of the names in the sentence.
    """

    def __init__(self, names: Participants) -> None:
        self.names = names
        self.obliques = Obliques(names)

    def read(self, verb: "Token", subjects: list[Named], moment: When) -> Iterator[Stated]:
        """Yield what a clause says that its subjects are.

        Args:
            verb: The verb of the clause.
            subjects: Names of its subjects.
            moment: When the clause holds.
        """
        for child in verb.children:
            article = any(inner.dep_ == "det" for inner in child.children)
            if child.dep_ in ("attr", "acomp") and child.lower_ in ("mine", "his", "hers", "theirs"):
                owners = [(name, REFERRED) for name in self.names.discourse.refer(child)]
                yield from every(subjects, "owned_by", owners, SURE)
            elif child.dep_ in ("attr", "oprd", "dobj", "acomp") and (
                child.pos_ in ("NOUN", "PROPN", "NUM") or article
            ):
                for noun in [child, *joined(child)]:
                    yield from self._kind(verb, subjects, noun)
            elif child.dep_ in ("acomp", "attr", "oprd", "advmod") and child.pos_ in ("ADJ", "VERB"):
                for quality in [child, *joined(child)]:
                    yield from self._quality(verb, subjects, quality)
        if verb_lemma(verb.text) == "become":
            return
        complete = any(child.dep_ in ("attr", "acomp", "oprd") for child in verb.children)
        for child in verb.children:
            alone = not any(inner.dep_ in ("pobj", "prep") for inner in child.children)
            loose = verb_lemma(verb.text) == "be" and child.lower_ in _STATES
            if loose and child.dep_ in ("prep", "advmod", "acomp", "prt", "attr") and alone:
                yield from every(subjects, "is", [(child.lower_, 1.0)], OBLIQUE)
            if verb_lemma(verb.text) == "be" and child.lower_ == "back" and not alone:
                yield from every(subjects, "is", [("back", 1.0)], OBLIQUE)
            if child.lower_ == "in" and any(c.lower_ == "love" for c in child.children):
                beside = [c for one in (verb, *child.subtree) for c in one.children if c.lower_ == "with"]
                for one in beside:
                    yield from every(subjects, "in_love_with", self.names.objects_of(one), OBLIQUE)
            if child.lower_ == "out" and child.dep_ in ("prep", "advmod") and not alone:
                yield from self._out_of(subjects, child)
        home = next((c for c in verb.children if c.dep_ == "nsubj" and c.lower_ in ("home", "house")), None)
        owner = next((c for c in home.children if c.dep_ == "poss"), None) if home is not None else None
        if home is not None and home.lower_ == "home" and owner is not None:  # "her home is in Oslo"
            for preposition in prepositions(verb):
                yield from self.obliques.of(self.names.owners(owner), "lives", preposition, moment, stative=True)
            return
        back = [c for child in verb.children if child.lower_ in ("back", "over") for c in prepositions(child)]
        for preposition in [*prepositions(verb), *back]:
            for stated in self.obliques.of(subjects, "is", preposition, moment, stative=True):
                quality = next((c for c in verb.children if c.dep_ == "acomp" and c.pos_ == "ADJ"), None)
                if not (complete and stated.relation.startswith("happens_")):
                    yield stated
                elif quality is not None:  # "is open on Sundays"
                    yield replace(stated, relation=stated.relation.replace("happens", quality.lower_))

    def _named(self, verb: "Token", name: "Token") -> Iterator[Stated]:
        """Yield what is called by a name: "a pony called Caramel", "her mother is called Tineke"."""
        known = verb.head if verb.dep_ == "acl" else None
        noun = next((child for child in verb.children if child.dep_ == "nsubjpass"), known)
        if noun is None or noun.pos_ != "NOUN":
            return
        names: list[Named] = [(phrase(name), 1.0)]
        owner = next((child for child in noun.children if child.dep_ == "poss"), None)
        if owner is not None:
            role = phrase(noun, without=("poss", "case")).lower().replace(" ", "_")
            yield from every(names, f"{role}_of", self.names.owners(owner), OBLIQUE)
        else:
            yield from every(names, "is_a", [(phrase(noun), 1.0)], OBLIQUE)

    def _out_of(self, subjects: list[Named], out: "Token") -> Iterator[Stated]:
        """Yield a state as "out of order" or "out of milk"."""
        for of in (child for child in out.children if child.lower_ == "of"):
            for noun in (child for child in of.children if child.dep_ == "pobj"):
                yield from every(subjects, "is", [(f"out of {phrase(noun)}", 1.0)], OBLIQUE)

    def _kind(self, verb: "Token", subjects: list[Named], noun: "Token") -> Iterator[Stated]:
        if negated(noun) and not negated(verb):
            return
        if noun.pos_ == "PROPN" and any(child.dep_ == "case" for child in noun.children):
            yield from every(subjects, "owned_by", [(phrase(noun), 1.0)], SURE)  # "the van is Theo's"
            return
        if verb.lower_ in ("called", "named") and noun.pos_ == "PROPN":
            yield from self._named(verb, noun)
            return
        owner = next((c for s in verb.children if s.dep_ == "nsubj" for c in s.children if c.dep_ == "poss"), None)
        if owner is not None and noun.pos_ == "PROPN":
            subject = owner.head
            role = phrase(subject, without=("poss", "case")).lower().replace(" ", "_")
            yield from every(self.names.entities(noun), f"{role}_of", self.names.entities(owner), SURE)
            return
        yield from self.described(subjects, noun)

    def described(self, subjects: list[Named], noun: "Token") -> Iterator[Stated]:
        """Yield the statements of ``X is the capital of Y``, ``X is Y's sister`` or ``X is a kind``."""
        of = [c for c in noun.children if c.dep_ == "prep" and c.lower_ == "of"]
        owners = [c for c in noun.children if c.dep_ == "poss"]
        if any(c.dep_ == "det" and c.lower_ in ("a", "an") for c in noun.children):
            owners = [c for c in owners if c.pos_ == "PROPN"]  # "a children's book" is a kind of book
        if of or owners:
            article = any(c.dep_ == "det" and c.lower_ in ("a", "an") for c in noun.children)
            without = ("poss", "case", "prep", "amod", "nummod") if article else ("poss", "case", "prep")
            role = phrase(noun, without=without).lower().replace(" ", "_")
            whose = [name for c in of for name in self.names.objects_of(c)]
            whose += [n for o in owners for n in self.names.entities(o)]
            yield from every(subjects, f"{role}_of", whose, SURE)
        elif names_time(phrase(noun)) and noun_kind(noun.lower_) == "time":
            yield from every(subjects, "happens_on", [(phrase(noun), 1.0)], OBLIQUE)  # "the deadline is Friday"
        elif len(subjects) == 2 and noun.lemma_.lower() in MUTUAL:
            role = phrase(noun).lower().replace(noun.lower_, noun.lemma_.lower()).replace(" ", "_")
            yield from every(subjects[:1], f"{role}_of", subjects[1:], OBLIQUE)
        elif noun.pos_ != "NUM" and noun.lower_ not in NOBODY:
            yield from every(subjects, "is_a", [(phrase(noun), 1.0)], SURE)
            if noun.lower_ in ("friends", "colleagues", "neighbours", "neighbors"):
                for preposition in (c for c in noun.children if c.dep_ == "prep" and c.lower_ == "with"):
                    yield from every(subjects, f"{noun.lower_}_with", self.names.objects_of(preposition), OBLIQUE)
            elif noun.lower_ in ("student", "pupil"):
                for preposition in (c for c in noun.children if c.dep_ == "prep" and c.lower_ in ("at", "in")):
                    yield from every(subjects, "studies_at", self.names.objects_of(preposition), OBLIQUE)
            elif names_role(noun.lower_) and noun.tag_ != "NNS" and noun.lower_ not in _NO_EMPLOYER:
                for preposition in (c for c in noun.children if c.dep_ == "prep" and c.lower_ in ("at", "for")):
                    yield from every(subjects, "works_at", self.names.objects_of(preposition), OBLIQUE)

    def _quality(self, verb: "Token", subjects: list[Named], quality: "Token") -> Iterator[Stated]:
        if negated(quality) and not negated(verb):
            return
        found = [one for one in prepositions(quality) if not any(c.lower_ in IDLE for c in one.children)]
        found = [one for one in found if one.lower_ not in ("since", "until", "till")]  # "married to Carl until 2010"
        for preposition in found:
            relation = f"{quality.lower_}_{preposition.lower_}"
            yield from every(subjects, relation, self.names.objects_of(preposition), OBLIQUE)
        if not found and quality.lower_ in ("married", "engaged", "divorced"):
            yield from married(verb, subjects)
        if not found:
            yield from every(subjects, "is", [(phrase(quality), 1.0)], SURE)


def married(verb: "Token", subjects: list[Named]) -> Iterator[Stated]:
    """Yield that two subjects are married or engaged to each other."""
    if len(subjects) == 2 and not any(
        child.dep_ in ("prep", "agent") and child.lower_ in ("to", "by") for child in verb.children
    ):
        relation = "engaged_to" if any(word.lower_ == "engaged" for word in (verb, *verb.children)) else "married_to"
        yield from every(subjects[:1], relation, subjects[1:], OBLIQUE)
