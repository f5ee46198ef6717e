"""Reading of statements from the dependency parse of a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memory.relational.coreference import Discourse
from memory.relational.denials import Denials
from memory.relational.endings import ENDING_VERBS, JOBS, OPPOSITE_STATES, TIES, Ending
from memory.relational.language.lemmas import gerund_of, verb_lemma
from memory.relational.language.nouns import names_role, noun_kind
from memory.relational.language.tense import ENDED_BY_TENSE, STATIVE, When, tense_of, when
from memory.relational.names import SAME_AS, third_person
from memory.relational.parse import (
    BEGINNING,
    NOBODY,
    complement,
    first,
    joined,
    negated,
    own_subject,
    phrase,
    placed,
    prepositions,
    supposed,
)
from memory.relational.participants import REFERRED, Named, Participants
from memory.relational.typed import Oblique, oblique

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_SURE, _OBLIQUE = 0.95, 0.9
"""Confidence of a tuple from subject and object, and with a preposition."""

_LINKS = {"be", "become", "remain", "stay"}
_PERSONAL = {"married_to", "engaged_to", "allergic_to", "afraid_of", "wife_of", "husband_of", "is"}
"""Relations of persons that are over if "was" tells them."""

_NO_EMPLOYER = {"friend", "partner", "member", "guest", "patient", "fan", "candidate", "match", "father", "mother"}
"""Roles that do not work for what follows "at" and "for"."""


LONGEST = 400
"""Greatest number of tokens of a sentence; longer ones are skipped."""


@dataclass(frozen=True, slots=True)
class Stated:
    """One statement of a sentence.

    Attributes:
        head: As it is told.
        relation: Of head and tail.
        tail: As it is told.
        conf: Confidence that the sentence states it.
        since: When it began to hold, if a date tells it, in seconds since the epoch.
        until: When it stopped to hold, likewise.
        past: Whether it is told in the past tense without a date.
        event: Whether it tells that something began, as "moved" does.
    """

    head: str
    relation: str
    tail: str
    conf: float
    since: float | None = None
    until: float | None = None
    past: bool = False
    event: bool = False


class SentenceReader:
    """Reader of the statements of one parsed sentence.

    Args:
        sentence: The sentence.
        discourse: The entities that the text has mentioned before it.
        told: When the text was told, in seconds since the epoch.
        zone: Zone of the teller.
    """

    def __init__(self, sentence: "Span", discourse: Discourse, told: float = 0.0, zone: str = "UTC") -> None:
        self.sentence = sentence
        self.names = Participants(discourse)
        self.entities = self.names.entities
        self.told = told
        self.zone = zone

    def statements(self) -> Iterator[Stated | Ending]:
        """Yield every statement and ending, in the order of the words."""
        if len(self.sentence) > LONGEST or self.sentence.text.rstrip().endswith("?"):
            return
        denials = Denials(self.names)
        for token in self.sentence:
            if token.pos_ in ("VERB", "AUX") and placed(token):
                moment = when(token, self.told, self.zone)
                if denials.dislikes(token):
                    yield from _all(self.names.subjects(token), "dislikes", self.names.objects(token), _SURE)
                elif supposed(token):
                    continue
                elif negated(token):
                    yield from denials.denied(token, moment, self.clause(token, moment))
                elif (inner := complement(token)) is not None:
                    yield from self._complemented(token, inner, moment, denials)
                else:
                    yield from (self._dated(stated, token, moment) for stated in self.clause(token, moment))
                    yield from denials.ended(token, moment)
            elif token.dep_ == "appos" and not negated(token):
                yield from self._apposition(token)

    # time

    def _dated(self, stated: Stated, verb: "Token", moment: When) -> Stated:
        """Return a statement with the time of validity that its clause tells."""
        stative = verb_lemma(verb.text) in STATIVE
        relation = SAME_AS.get(stated.relation, "owned_by" if stated.relation == "owns" else stated.relation)
        if relation == "lives_in" and stated.relation in ("moves_to", "relocates_to") and not _may_live(verb):
            stated = replace(stated, relation="located_in")
        if relation == "has" and not _person(verb):
            relation = ""
        if moment.tense == "future":
            return replace(stated, since=moment.since)
        if moment.tense == "past" and (stative or (moment.over and moment.until is not None)):
            if moment.since is not None or moment.until is not None:
                until = self.told if moment.until is None else moment.until
                return replace(stated, since=min(until, until if moment.since is None else moment.since), until=until)
            place = relation == "located_in" and _person(verb)
            if moment.over or place or (relation in ENDED_BY_TENSE and verb_lemma(verb.text) != "be"):
                return replace(stated, since=self.told, until=self.told)
            if _person(verb) and relation in _PERSONAL:
                return replace(stated, since=self.told, until=self.told)
            return replace(stated, past=True)
        return replace(stated, since=moment.since, event=moment.tense == "past")

    def _complemented(self, verb: "Token", inner: "Token", moment: When, denials: Denials) -> Iterator[Stated | Ending]:
        """Yield the statements of "used to live", "stopped smoking", "is going to move", "likes swimming"."""
        lemma, subjects = verb_lemma(verb.text), self.names.subjects(verb)
        if lemma == "have":  # "had to stop playing", "had to sell the car"
            if moment.tense == "past":
                yield from denials.ended(inner, moment, subjects)
                last = complement(inner)
                if last is not None and verb_lemma(inner.text) in denials.CEASING:
                    yield from (denials.ending(stated, moment) for stated in self.clause(last, moment, subjects))
        elif lemma == "use":
            for stated in self.clause(inner, moment, subjects):
                yield replace(stated, since=self.told, until=self.told)
                yield denials.ending(stated, None)
            yield from denials.habit(inner, subjects, None)
        elif lemma == "go" and verb.tag_ == "VBG":
            future = when(inner, self.told, self.zone)
            since = next((s for s in (moment.since, future.since) if s is not None and s > self.told), None)
            if since is not None:
                yield from (replace(stated, since=since) for stated in self.clause(inner, moment, subjects))
        elif lemma in denials.CEASING:
            if moment.tense == "future":
                return
            for stated in self.clause(inner, moment, subjects):
                yield denials.ending(stated, moment)
            yield from denials.habit(inner, subjects, moment)
        elif lemma in BEGINNING or verb.tag_ == "VBN":
            if moment.tense != "future":
                yield from (replace(stated, since=moment.since) for stated in self.clause(inner, moment, subjects))
        else:
            gerund = " ".join([gerund_of(inner.lower_), *(name for name, _ in self.names.objects(inner)[:1])])
            yield from _all(subjects, third_person(lemma), [(gerund, 1.0)], _SURE)

    # clauses

    def clause(self, verb: "Token", moment: When, subjects: list[Named] | None = None) -> Iterator[Stated]:
        """Yield the statements of a clause, whether it is affirmed or denied."""
        if moment.tense == "future" and (moment.since is None or moment.since <= self.told):
            return
        passive = any(child.dep_ in ("auxpass", "nsubjpass", "agent") for child in verb.children) or verb.dep_ == "acl"
        if not passive and verb.dep_ == "conj" and verb.tag_ == "VBN" and not own_subject(verb):
            passive = any(child.dep_ in ("auxpass", "nsubjpass") for child in first(verb).children)
        subjects = self.names.subjects(verb) if subjects is None else subjects
        lemma = verb_lemma(verb.text)
        if lemma in _LINKS and not passive:
            yield from self._copula(verb, subjects, moment)
            return
        if passive and lemma in ("call", "name"):
            yield from self._copula(verb, subjects, moment)
            return
        if _told_by_ending(verb):
            return
        objects = self.names.objects(verb)
        if lemma == "take" and any(child.dep_ == "dobj" and child.text == "place" for child in verb.children):
            for preposition in prepositions(verb):  # "takes place in" is "is in"
                yield from self._with_preposition(subjects, "is", preposition, moment, stative=True)
            return
        if lemma == "get" and tense_of(verb)[1]:
            lemma = "have"  # "has got"
        if lemma == "marry" and passive:
            yield from self._married(verb, subjects)
        relation = "_".join([third_person(lemma), *(c.lower_ for c in verb.children if c.dep_ == "prt")])
        if passive:
            agents = [name for c in verb.children if c.dep_ == "agent" for name in self.names.objects_of(c)]
            yield from _all(agents, relation, subjects, _SURE)
            relation = verb.lower_
            if relation in OPPOSITE_STATES and moment.tense == "present":
                yield from _all(subjects, "is", [(relation, 1.0)], _SURE)
        else:
            yield from _all(subjects, relation, objects, _SURE)
            yield from self._around_objects(verb, subjects, relation, moment)
        for dative in (c for c in verb.children if c.dep_ == "dative"):
            given = self.names.objects_of(dative) if dative.pos_ == "ADP" else self.names.entities(dative)
            yield from _all(subjects, f"{relation}_to", given, _OBLIQUE)
        for preposition in prepositions(verb):
            if not (objects and preposition.lower_ in ("until", "till", "during", "throughout")):
                yield from self._with_preposition(subjects, relation, preposition, moment, stative=lemma in STATIVE)
        if verb.dep_ == "relcl" and any(child.lower_ == "where" for child in verb.children):  # "the pub where he works"
            place = self.entities(verb.head, with_joined=False)
            yield from _all(subjects, f"{relation}_{'at' if lemma == 'work' else 'in'}", place, _OBLIQUE)
        for role in (c for child in verb.children if child.lower_ == "as" for c in child.children if c.dep_ == "pobj"):
            for preposition in (c for c in prepositions(role) if c.lower_ in ("at", "for", "with")):
                yield from self._with_preposition(
                    subjects, relation, preposition, moment, stative=True
                )  # "as a cook at"

    def _around_objects(self, verb: "Token", subjects: list[Named], relation: str, moment: When) -> Iterator[Stated]:
        """Yield what stands with an object: "teaches pottery at the centre", "has a job at Tesco"."""
        for noun in (child for child in verb.children if child.dep_ == "dobj"):
            for preposition in prepositions(noun):
                word = preposition.lower_
                if noun.lemma_.lower() in JOBS and word in ("at", "with", "for"):
                    yield from _all(subjects, "works_at", self.names.objects_of(preposition), _OBLIQUE)
                elif word == "at":
                    yield from self._with_preposition(subjects, relation, preposition, moment, stative=True)
            if noun.lemma_.lower() in JOBS:
                for preposition in prepositions(verb):
                    if preposition.lower_ in ("at", "with", "for"):
                        yield from _all(subjects, "works_at", self.names.objects_of(preposition), _OBLIQUE)

    def _with_preposition(
        self, subjects: list[Named], relation: str, preposition: "Token", moment: When, stative: bool
    ) -> Iterator[Stated]:
        for noun in (child for child in preposition.children if child.dep_ == "pobj"):
            for one in [noun, *joined(noun)]:
                found = oblique(relation, preposition, one, moment, stative)
                if isinstance(found, Oblique):
                    yield from _all(subjects, found.relation, [(found.tail, 1.0)], _OBLIQUE)
                elif found is not None:
                    yield from _all(subjects, found, self.names.entities(one, with_joined=False), _OBLIQUE)
                if isinstance(found, Oblique) or found is None:
                    for inner in (c for c in prepositions(one) if c.lower_ in ("at", "in", "for") and c.head == one):
                        yield from self._with_preposition(subjects, relation, inner, moment, stative)

    def _married(self, verb: "Token", subjects: list[Named]) -> Iterator[Stated]:
        """Yield that two subjects are married to each other."""
        if len(subjects) == 2 and not any(
            child.dep_ in ("prep", "agent") and child.lower_ in ("to", "by") for child in verb.children
        ):
            yield from _all(subjects[:1], "married_to", subjects[1:], _OBLIQUE)

    def _copula(self, verb: "Token", subjects: list[Named], moment: When) -> Iterator[Stated]:
        for child in verb.children:
            article = any(inner.dep_ == "det" for inner in child.children)
            if child.dep_ in ("attr", "acomp") and child.lower_ in ("mine", "his", "hers", "theirs"):
                owners = [(name, REFERRED) for name in self.names.discourse.refer(child)]
                yield from _all(subjects, "owned_by", owners, _SURE)
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
            if (
                child.lower_ in ("on", "off")
                and child.dep_ in ("prep", "advmod", "acomp", "prt")
                and not [*child.children]
            ):
                yield from _all(subjects, "is", [(child.lower_, 1.0)], _OBLIQUE)
        back = [c for child in verb.children if child.lower_ in ("back", "over", "out") for c in prepositions(child)]
        for preposition in [*prepositions(verb), *back]:
            for stated in self._with_preposition(subjects, "is", preposition, moment, stative=True):
                if not (complete and stated.relation.startswith("happens_")):
                    yield stated

    def _kind(self, verb: "Token", subjects: list[Named], noun: "Token") -> Iterator[Stated]:
        if negated(noun) and not negated(verb):
            return
        if noun.pos_ == "PROPN" and any(child.dep_ == "case" for child in noun.children):
            yield from _all(subjects, "owned_by", [(phrase(noun), 1.0)], _SURE)  # "the van is Theo's"
            return
        owner = next((c for s in verb.children if s.dep_ == "nsubj" for c in s.children if c.dep_ == "poss"), None)
        if owner is not None and noun.pos_ == "PROPN":
            subject = owner.head
            role = phrase(subject, without=("poss", "case")).lower().replace(" ", "_")
            yield from _all(self.entities(noun), f"{role}_of", self.entities(owner), _SURE)
            return
        yield from self._described(subjects, noun)

    def _described(self, subjects: list[Named], noun: "Token") -> Iterator[Stated]:
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
            whose += [n for o in owners for n in self.entities(o)]
            yield from _all(subjects, f"{role}_of", whose, _SURE)
        elif noun.pos_ != "NUM" and noun.lower_ not in NOBODY:
            yield from _all(subjects, "is_a", [(phrase(noun), 1.0)], _SURE)
            if noun.lower_ in ("friends", "colleagues", "neighbours", "neighbors"):
                for preposition in (c for c in noun.children if c.dep_ == "prep" and c.lower_ == "with"):
                    yield from _all(subjects, f"{noun.lower_}_with", self.names.objects_of(preposition), _OBLIQUE)
            elif names_role(noun.lower_) and noun.tag_ != "NNS" and noun.lower_ not in _NO_EMPLOYER:
                for preposition in (c for c in noun.children if c.dep_ == "prep" and c.lower_ in ("at", "for")):
                    yield from _all(subjects, "works_at", self.names.objects_of(preposition), _OBLIQUE)

    def _quality(self, verb: "Token", subjects: list[Named], quality: "Token") -> Iterator[Stated]:
        if negated(quality) and not negated(verb):
            return
        found = list(prepositions(quality))
        for preposition in found:
            relation = f"{quality.lower_}_{preposition.lower_}"
            yield from _all(subjects, relation, self.names.objects_of(preposition), _OBLIQUE)
        if not found and quality.lower_ == "married":
            yield from self._married(verb, subjects)
        if not found:
            yield from _all(subjects, "is", [(phrase(quality), 1.0)], _SURE)

    def _apposition(self, noun: "Token") -> Iterator[Stated]:
        named = noun.head
        if named.dep_ == "dobj" and noun.pos_ == "PROPN" and names_role(named.lemma_.lower()):
            if verb_lemma(named.head.text) == "have" and not supposed(named.head) and not negated(named.head):
                owners = self.names.subjects(named.head)  # "has two daughters, Mabel and Joan"
                yield from _all(self.entities(noun), f"{named.lemma_.lower()}_of", owners, _OBLIQUE)
                return
        if named.tag_ == "NNS" and not any(child.dep_ == "conj" for child in named.children):
            return  # "two daughters, Mabel and Joan"
        owner = next((c for c in named.children if c.dep_ == "poss"), None)
        if named.pos_ == "NOUN" and noun.pos_ == "PROPN" and owner is not None:
            role = phrase(named, without=("poss", "case", "prep")).lower().replace(" ", "_")
            yield from _all([(phrase(noun), 1.0)], f"{role}_of", self.names.owners(owner), _OBLIQUE)
        elif named.pos_ == "NOUN" and noun.pos_ == "PROPN":
            if any(c.dep_ == "prep" for c in named.children):
                return
            yield from _all(self.entities(noun), "is_a", [(phrase(named), 1.0)], _OBLIQUE)
        elif noun.pos_ == "NOUN" and noun.doc[max(noun.left_edge.i - 1, 0)].text in (",", "(", "-", "–", "—"):
            yield from self._described(self.entities(named, with_joined=False), noun)


def _told_by_ending(verb: "Token") -> bool:
    """Return whether an object only names what ends: "quit her job", "cancelled the subscription", "changed his mind"."""
    objects = {child.lemma_.lower() for child in verb.children if child.dep_ == "dobj"}
    return bool(objects & {"mind"}) or (verb_lemma(verb.text) in ENDING_VERBS and bool(objects & (JOBS | {*TIES})))


def _may_live(verb: "Token") -> bool:
    """Return whether the subject of a clause may live somewhere: a person, or a name or group."""
    nouns = [child for child in verb.children if child.dep_ == "nsubj" and child.pos_ == "NOUN"]
    return not nouns or _person(verb) or any(noun.tag_ == "NNS" for noun in nouns)


def _person(verb: "Token") -> bool:
    """Return whether the subject of a clause is a person."""
    for child in verb.children:
        if child.dep_ == "nsubj":
            pronoun = child.lower_ in ("he", "she", "i", "we", "you", "who")
            bare = child.pos_ == "PROPN" and not any(inner.dep_ in ("det", "compound") for inner in child.children)
            named = child.ent_type_ == "PERSON" or (bare and child.ent_type_ in ("", "ORG", "NORP"))
            return pronoun or named or noun_kind(child.lower_) == "person"
    return False


def _all(heads: list[Named], relation: str, tails: list[Named], conf: float) -> Iterator[Stated]:
    for head, sure in heads:
        for tail, known in tails:
            yield Stated(head, relation, tail, round(min(conf, sure, known), 3))
