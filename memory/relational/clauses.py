"""Reading of statements from the dependency parse of a sentence."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memory.relational.coreference import Discourse
from memory.relational.names import third_person
from memory.relational.parse import (
    NOBODY,
    SKIPPED_PREPOSITIONS,
    first,
    joined,
    mistaken_subject,
    modal,
    negated,
    own_subject,
    phrase,
    prepositions,
    relative_of,
)

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_SURE, _OBLIQUE, _REFERRED = 0.95, 0.9, 0.85
"""Confidence of a tuple from subject and object, with a preposition, and with a resolved pronoun or short name."""

_DOUBT = {"perhaps", "maybe", "possibly", "probably", "allegedly", "supposedly", "hardly", "barely", "almost", "nearly"}
_PLACE = {"in", "at", "on", "inside", "within"}
_LINKS = {"be", "become", "remain"}

LONGEST = 400
"""Greatest number of tokens of a sentence; longer ones are skipped."""

Statement = tuple[str, str, str, float]
Named = tuple[str, float]


class SentenceReader:
    """Reader of the statements of one parsed sentence.

    Args:
        sentence: The sentence.
        discourse: The entities that the text has mentioned before it.
    """

    def __init__(self, sentence: "Span", discourse: Discourse) -> None:
        self.sentence = sentence
        self.discourse = discourse

    def statements(self) -> Iterator[Statement]:
        """Yield head, relation, tail and confidence of every statement."""
        if len(self.sentence) > LONGEST or self.sentence.text.rstrip().endswith("?"):
            return
        for token in self.sentence:
            if (name := mistaken_subject(token)) is not None:
                yield from self._mistaken(token, name)
            elif token.pos_ in ("VERB", "AUX") and self._states(token):
                yield from self._clause(token)
            elif token.dep_ == "appos" and not negated(token):
                yield from self._apposition(token)

    # which clauses are statements

    def _states(self, verb: "Token") -> bool:
        """Return whether the clause of a verb is a plain statement."""
        if verb.dep_ in (
            "aux",
            "auxpass",
            "xcomp",
            "ccomp",
            "advcl",
            "pcomp",
            "csubj",
            "amod",
            "compound",
            "parataxis",
        ):
            return False
        if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX") and not self._states_or_denies(verb):
            return False
        if verb.dep_ == "acl" and verb.tag_ != "VBN":
            return False
        if verb.dep_ in ("relcl", "acl") and not self._head_stated(verb.head):
            return False
        return self._asserted(verb)

    def _head_stated(self, noun: "Token") -> bool:
        """Return whether the noun of a relative clause is not negated, as in "no man who ..."."""
        return not negated(noun)

    def _states_or_denies(self, verb: "Token") -> bool:
        """Return whether the clause that a verb is joined to is a statement, affirmed or denied."""
        first = verb.head
        while first.dep_ == "conj" and first.head.pos_ in ("VERB", "AUX"):
            first = first.head
        if first.dep_ in ("xcomp", "ccomp", "advcl", "pcomp", "csubj"):
            return False
        own = any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)
        return own or verb.tag_ != "VB" or not modal(first)

    def _asserted(self, verb: "Token") -> bool:
        if negated(verb) or modal(verb):
            return False
        for child in verb.children:
            if child.dep_ == "advcl" and any(mark.lower_ in ("if", "unless", "whether") for mark in child.children):
                return False
            if child.dep_ in ("advmod", "neg") and child.lower_ in _DOUBT:
                return False
            if child.dep_ in ("xcomp", "ccomp") and child.pos_ in ("VERB", "AUX"):
                return False
            if child.dep_ == "mark" and child.lower_ in ("if", "unless", "whether"):
                return False
        ordered = verb.tag_ == "VB" and verb.dep_ == "ROOT" and not modal(verb)
        return not ordered or any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)

    # clauses

    def _clause(self, verb: "Token") -> Iterator[Statement]:
        passive = any(child.dep_ in ("auxpass", "nsubjpass", "agent") for child in verb.children) or verb.dep_ == "acl"
        if not passive and verb.dep_ == "conj" and verb.tag_ == "VBN" and not own_subject(verb):
            passive = any(child.dep_ in ("auxpass", "nsubjpass") for child in first(verb).children)
        subjects = self._subjects(verb)
        objects = self._objects(verb)
        if verb.lemma_ in _LINKS and not passive:
            yield from self._copula(verb, subjects)
            return
        relation = "_".join([third_person(verb.lemma_), *(c.lower_ for c in verb.children if c.dep_ == "prt")])
        if passive:
            agents = [name for c in verb.children if c.dep_ == "agent" for name in self._objects_of(c)]
            yield from _all(agents, relation, subjects, _SURE)
            relation = verb.lower_
        else:
            yield from _all(subjects, relation, objects, _SURE)
        for dative in (c for c in verb.children if c.dep_ == "dative"):
            given = self._objects_of(dative) if dative.pos_ == "ADP" else self.entities(dative)
            yield from _all(subjects, f"{relation}_to", given, _OBLIQUE)
        for preposition in prepositions(verb):
            yield from _all(subjects, f"{relation}_{preposition.lower_}", self._objects_of(preposition), _OBLIQUE)

    def _mistaken(self, verb: "Token", name: "Token") -> Iterator[Statement]:
        """Yield the statements of a clause whose verb the parser mistook for a noun."""
        if negated(verb) or negated(name):
            return
        subjects: list[Named] = [(phrase(name), _REFERRED)]
        relation = third_person(verb.lemma_) if verb.pos_ == "VERB" else verb.lower_
        objects = [n for c in verb.children if c.dep_ in ("npadvmod", "dobj", "appos") for n in self.entities(c)]
        yield from _all(subjects, relation, objects, _REFERRED)
        for preposition in prepositions(verb):
            yield from _all(subjects, f"{relation}_{preposition.lower_}", self._objects_of(preposition), _REFERRED)

    def _copula(self, verb: "Token", subjects: list[Named]) -> Iterator[Statement]:
        for child in verb.children:
            article = any(inner.dep_ == "det" for inner in child.children)
            if child.dep_ in ("attr", "oprd", "dobj", "acomp") and (child.pos_ in ("NOUN", "PROPN", "NUM") or article):
                for noun in [child, *joined(child)]:
                    yield from self._kind(verb, subjects, noun)
            elif child.dep_ in ("acomp", "attr", "oprd", "advmod") and child.pos_ == "ADJ":
                for quality in [child, *joined(child)]:
                    yield from self._quality(subjects, quality)
            elif child.dep_ == "prep" and child.lower_ not in SKIPPED_PREPOSITIONS:
                where = "located_in" if child.lower_ in _PLACE else f"is_{child.lower_}"
                yield from _all(subjects, where, self._objects_of(child), _OBLIQUE)

    def _kind(self, verb: "Token", subjects: list[Named], noun: "Token") -> Iterator[Statement]:
        if negated(noun):
            return
        owner = next((c for s in verb.children if s.dep_ == "nsubj" for c in s.children if c.dep_ == "poss"), None)
        if owner is not None and noun.pos_ == "PROPN":
            subject = owner.head
            role = phrase(subject, without=("poss", "case")).lower().replace(" ", "_")
            yield from _all(self.entities(noun), f"{role}_of", self.entities(owner), _SURE)
            return
        yield from self._described(subjects, noun)

    def _described(self, subjects: list[Named], noun: "Token") -> Iterator[Statement]:
        """Yield the statements of ``X is the capital of Y``, ``X is Y's sister`` or ``X is a kind``."""
        of = [c for c in noun.children if c.dep_ == "prep" and c.lower_ == "of"]
        owners = [c for c in noun.children if c.dep_ == "poss"]
        if any(c.dep_ == "det" and c.lower_ in ("a", "an") for c in noun.children):
            owners = [c for c in owners if c.pos_ == "PROPN"]  # "a children's book" is a kind of book
        if of or owners:
            role = phrase(noun, without=("poss", "case", "prep")).lower().replace(" ", "_")
            whose = [name for c in of for name in self._objects_of(c)] + [n for o in owners for n in self.entities(o)]
            yield from _all(subjects, f"{role}_of", whose, _SURE)
        elif noun.pos_ != "NUM" and noun.lower_ not in NOBODY:
            yield from _all(subjects, "is_a", [(phrase(noun), 1.0)], _SURE)

    def _quality(self, subjects: list[Named], quality: "Token") -> Iterator[Statement]:
        if negated(quality):
            return
        prepositions = [c for c in quality.children if c.dep_ == "prep" and c.lower_ not in SKIPPED_PREPOSITIONS]
        for preposition in prepositions:
            relation = f"{quality.lower_}_{preposition.lower_}"
            yield from _all(subjects, relation, self._objects_of(preposition), _OBLIQUE)
        if not prepositions:
            yield from _all(subjects, "is", [(phrase(quality), 1.0)], _SURE)

    def _apposition(self, noun: "Token") -> Iterator[Statement]:
        named = noun.head
        if named.pos_ == "NOUN" and (noun.pos_ == "PROPN" or noun.text[:1].isupper()):
            if any(c.dep_ == "prep" for c in named.children):
                return
            yield from _all(self.entities(noun), "is_a", [(phrase(named), 1.0)], _OBLIQUE)
        elif noun.pos_ == "NOUN" or any(child.dep_ == "det" for child in noun.children):
            yield from self._described(self.entities(named, with_joined=False), noun)

    # names of subjects and objects

    def _subjects(self, verb: "Token") -> list[Named]:
        """Return the names of the subjects of a clause; those of the first joined verb if it has none of its own."""
        for child in verb.children:
            if child.dep_ in ("nsubj", "nsubjpass"):
                if child.tag_ in ("WP", "WDT") and relative_of(verb) is not None:
                    return self.entities(relative_of(verb), with_joined=False)
                return self.entities(child)
        if verb.dep_ == "acl":
            return self.entities(verb.head, with_joined=False)
        clause = first(verb)
        return self._subjects(clause) if clause.i != verb.i else []

    def _objects(self, verb: "Token") -> list[Named]:
        objects: list[Named] = []
        for child in verb.children:
            measured = child.dep_ == "npadvmod" and any(inner.pos_ == "NUM" for inner in child.children)
            named = child.dep_ in ("dobj", "attr", "oprd") and child.tag_ not in ("WP", "WDT")
            if named or (measured and child.pos_ == "NOUN"):
                objects += self.entities(child)
        if not objects and verb.dep_ == "relcl" and own_subject(verb) and not list(prepositions(verb)):
            subject = next(c for c in verb.children if c.dep_ in ("nsubj", "nsubjpass"))
            if subject.tag_ not in ("WP", "WDT"):
                objects = self.entities(verb.head, with_joined=False)
        return objects

    def _objects_of(self, preposition: "Token") -> list[Named]:
        return [name for child in preposition.children if child.dep_ == "pobj" for name in self.entities(child)]

    def entities(self, token: "Token | None", with_joined: bool = True) -> list[Named]:
        """Return the names of a noun and of those joined to it, each with the confidence that it is meant."""
        if token is None or negated(token):
            return []
        names: list[Named] = []
        for noun in [token, *(joined(token) if with_joined else [])]:
            if negated(noun) or noun.lower_ in NOBODY:
                continue
            if noun.pos_ == "PRON":
                names += [(name, _REFERRED) for name in self.discourse.refer(noun)]
            elif noun.pos_ in ("NOUN", "PROPN", "NUM", "ADJ", "X", "SYM"):
                phrase = self._possessed(noun)
                if phrase:
                    full = self.discourse.full(noun, phrase)
                    names.append((full, 1.0 if full == phrase else _REFERRED))
        return names

    def _possessed(self, noun: "Token") -> str:
        """Return the phrase with the owner's name in place of "her" or "his"; empty if the owner is unclear."""
        owner = next((c for c in noun.children if c.dep_ == "poss" and c.tag_ == "PRP$"), None)
        if owner is None:
            return phrase(noun)
        owners = self.discourse.refer(owner)
        return f"{owners[0]}'s {phrase(noun, without=('poss',))}" if len(owners) == 1 else ""


def _all(heads: list[Named], relation: str, tails: list[Named], conf: float) -> Iterator[Statement]:
    for head, sure in heads:
        for tail, known in tails:
            yield head, relation, tail, round(min(conf, sure, known), 3)
