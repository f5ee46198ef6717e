"""Reading of statements from the dependency parse of a sentence."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from memory.relational.changes import Changes
from memory.relational.copulas import MUTUAL, Copulas, married
from memory.relational.coreference import Discourse
from memory.relational.denials import Denials
from memory.relational.endings import ENDING_VERBS, JOBS, OPPOSITE_STATES, TIES, Ending
from memory.relational.language.lemmas import gerund_of, verb_lemma
from memory.relational.language.nouns import names_role, names_time, noun_kind
from memory.relational.language.tense import AGES, ENDED_BY_TENSE, STATIVE, When, tense_of, when
from memory.relational.names import SAME_AS, third_person
from memory.relational.obliques import Obliques
from memory.relational.parse import (
    BEGINNING,
    complement,
    first,
    negated,
    own_subject,
    phrase,
    placed,
    prepositions,
    supposed,
)
from memory.relational.participants import Participants
from memory.relational.stated import OBLIQUE, SURE, Named, Stated, every

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_LINKS = {"be", "become", "remain", "stay"}
_RESULTS = {"stand", "lie", "sit", "keep", "go", "turn", "get", "fall", "run"}
"""Verbs that link a subject to a quality: "stands empty", "got wet"."""

_FURTHER = frozenset("second third other another side extra additional weekend evening night part spare".split())
"""Words before a job that is not the only one."""

_ANY = frozenset("a an another some several many".split())

_PERSONAL = {"married_to", "engaged_to", "allergic_to", "afraid_of", "wife_of", "husband_of", "is"}
"""Relations of persons that are over if "was" tells them."""

LONGEST = 400
"""Greatest number of tokens of a sentence; longer ones are skipped."""


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
        self.obliques = Obliques(self.names)
        self.copulas = Copulas(self.names)
        self.changes = Changes(self.names)
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
                    yield from every(self.names.subjects(token), "dislikes", self.names.objects(token), SURE)
                elif supposed(token) and not denials.avoided(token):
                    continue
                elif negated(token):
                    yield from denials.denied(token, moment, self.clause(token, moment))
                    if relation := denials.avoided(token):
                        yield from every(self.names.subjects(token), relation, self.names.objects(token), SURE)
                elif (inner := complement(token)) is not None:
                    yield from self._complemented(token, inner, moment, denials)
                else:
                    more = _adds(token)
                    for stated in self.clause(token, moment):
                        yield replace(self._dated(stated, token, moment), more=more)
                    yield from denials.ended(token, moment)
                    if moment.tense == "present":
                        yield from denials.none(token, self.names.subjects(token))
                    yield from self.changes.read(token, self.names.subjects(token), moment)
            elif token.dep_ == "appos" and not negated(token):
                yield from self._apposition(token)
            elif token.dep_ == "ROOT" and token.pos_ in ("NOUN", "PROPN"):
                yield from self._announced(token)

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
            young = relation == "is_a" and stated.tail.lower().rpartition(" ")[2] in AGES
            if (
                young
                or (_person(verb) and relation in _PERSONAL)
                or relation.removesuffix("_of").rpartition("_")[2] in MUTUAL
            ):
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
            clock = (c for one in (verb, inner) for c in one.children if c.lower_ == "at" and c.dep_ == "prep")
            if moment.tense == "future" or any(names_time(c.lower_) for one in clock for c in one.children):
                return  # "stopped playing at midnight": for the day
            for stated in self.clause(inner, moment, subjects):
                yield denials.ending(stated, moment)
            yield from denials.habit(inner, subjects, moment)
        elif lemma in BEGINNING or verb.tag_ == "VBN":
            if moment.tense != "future":
                yield from (replace(stated, since=moment.since) for stated in self.clause(inner, moment, subjects))
        else:
            gerund = " ".join([gerund_of(inner.lower_), *(name for name, _ in self.names.objects(inner)[:1])])
            yield from every(subjects, third_person(lemma), [(gerund, 1.0)], SURE)

    def _announced(self, noun: "Token") -> Iterator[Stated]:
        """Yield the time of an event that a note names without a verb: "Fire drill on the 23rd"."""
        if any(token.pos_ in ("VERB", "AUX") for token in self.sentence) or negated(noun):
            return
        moment = when(noun, self.told, self.zone)
        for preposition in prepositions(noun):
            for stated in self.obliques.of([(phrase(noun), 1.0)], "is", preposition, moment, stative=True):
                if stated.relation.startswith("happens_"):
                    yield stated

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
            yield from self.copulas.read(verb, subjects, moment)
            return
        if passive and lemma in ("call", "name") and any(child.dep_ in ("oprd", "attr") for child in verb.children):
            yield from self.copulas.read(verb, subjects, moment)
            return
        if _told_by_ending(verb):
            return
        objects = self.names.objects(verb)
        if lemma == "take" and any(child.dep_ == "dobj" and child.text == "place" for child in verb.children):
            for preposition in prepositions(verb):  # "takes place in" is "is in"
                yield from self.obliques.of(subjects, "is", preposition, moment, stative=True)
            return
        if lemma == "get" and tense_of(verb)[1]:
            lemma = "have"  # "has got"
        if lemma in ("marry", "engage", "divorce") and passive:
            yield from married(verb, subjects)
        relation = "_".join([third_person(lemma), *(c.lower_ for c in verb.children if c.dep_ == "prt")])
        if passive:
            agents = [name for c in verb.children if c.dep_ == "agent" for name in self.names.objects_of(c)]
            yield from every(agents, relation, subjects, SURE)
            relation = verb.lower_
            dated = any(names_time(c.lower_) for one in prepositions(verb) for c in one.children)
            bare = not agents and not [*prepositions(verb)] and not tense_of(verb)[1]
            if moment.tense == "present" and (bare or (relation in OPPOSITE_STATES and not dated)):
                yield from every(subjects, "is", [(relation, 1.0)], SURE)  # "is injured", "is sold"
        else:
            yield from every(subjects, relation, objects, SURE)
            yield from self._around_objects(verb, subjects, relation, moment)
        often = [child for child in verb.children if child.dep_ == "npadvmod" and names_time(child.text)]
        for time in (c for c in often if any(inner.lower_ in ("every", "each") for inner in c.subtree)):
            words = " ".join(token.text for token in time.subtree)
            yield from every(subjects, f"{verb.lower_ if passive else relation}_on", [(words, 1.0)], OBLIQUE)
        if not (objects or passive):
            yield from self._states(verb, subjects, lemma, moment)
        for dative in (c for c in verb.children if c.dep_ == "dative"):
            given = self.names.objects_of(dative) if dative.pos_ == "ADP" else self.names.entities(dative)
            yield from every(subjects, f"{relation}_to", given, OBLIQUE)
        for preposition in prepositions(verb):
            if lemma in ("move", "take", "bring") and objects and not passive and preposition.lower_ == "to":
                places = self.names.objects_of(preposition)  # "moved her piano to Oslo"
                yield from every(objects, "located_in", places, OBLIQUE)
                continue
            if not (objects and preposition.lower_ in ("until", "till", "during", "throughout")):
                yield from self.obliques.of(subjects, relation, preposition, moment, stative=lemma in STATIVE)
        thing = verb.head.pos_ == "NOUN" and verb.head.ent_type_ != "PERSON"
        if (
            verb.dep_ == "relcl" and thing and any(child.lower_ == "where" for child in verb.children)
        ):  # "the pub where he works"
            place = self.entities(verb.head, with_joined=False)
            yield from every(subjects, f"{relation}_{'at' if lemma == 'work' else 'in'}", place, OBLIQUE)
        if lemma in ("work", "serve", "employ", "train") or any(noun.lemma_.lower() in JOBS for noun in verb.children):
            yield from self._as(verb, subjects)
        for role in (c for child in verb.children if child.lower_ == "as" for c in child.children if c.dep_ == "pobj"):
            for preposition in (c for c in prepositions(role) if c.lower_ in ("at", "for", "with")):
                yield from self.obliques.of(subjects, relation, preposition, moment, stative=True)  # "as a cook at"

    def _as(self, verb: "Token", subjects: list[Named]) -> Iterator[Stated]:
        """Yield the job that subjects have: "works as a baker", "found a job as a welder"."""
        jobs = [child for child in verb.children if child.dep_ == "dobj"]
        for preposition in (c for one in (verb, *jobs) for c in one.children if c.lower_ == "as"):
            for role in (c for c in preposition.children if c.dep_ == "pobj" and names_role(c.lemma_.lower())):
                yield from every(subjects, "works_as", [(phrase(role), 1.0)], OBLIQUE)

    def _states(self, verb: "Token", subjects: list[Named], lemma: str, moment: When) -> Iterator[Stated]:
        """Yield states that a verb without an object tells: "stands empty", "is leaking", "works again"."""
        if lemma in _RESULTS or lemma == "feel":
            for quality in (c for c in verb.children if (c.dep_ == "acomp" and c.pos_ == "ADJ") or c.lower_ == "well"):
                yield from every(subjects, "is", [(phrase(quality), 1.0)], OBLIQUE)
        alone = not any(child.dep_ in ("prep", "prt", "acomp", "xcomp", "ccomp", "npadvmod") for child in verb.children)
        progressive = verb.tag_ == "VBG" and any(c.dep_ == "aux" and c.lemma_ == "be" for c in verb.children)
        works = lemma == "work" and not _person(verb) and verb.tag_ in ("VBZ", "VBP")
        if alone and moment.tense == "present" and (progressive or works):
            yield from every(subjects, "is", [("working" if works else verb.lower_, 1.0)], OBLIQUE)

    def _around_objects(self, verb: "Token", subjects: list[Named], relation: str, moment: When) -> Iterator[Stated]:
        """Yield what stands with an object: "teaches pottery at the centre", "has a job at Tesco"."""
        for noun in (child for child in verb.children if child.dep_ == "dobj"):
            for preposition in prepositions(noun):
                word = preposition.lower_
                if noun.lemma_.lower() in JOBS and word in ("at", "with", "for"):
                    yield from every(subjects, "works_at", self.names.objects_of(preposition), OBLIQUE)
                elif word == "at" or (word == "with" and any(c.pos_ == "PROPN" for c in preposition.children)):
                    yield from self.obliques.of(subjects, relation, preposition, moment, stative=True)
            if noun.lemma_.lower() in JOBS:
                for preposition in prepositions(verb):
                    if preposition.lower_ in ("at", "with", "for"):
                        yield from every(subjects, "works_at", self.names.objects_of(preposition), OBLIQUE)

    def _apposition(self, noun: "Token") -> Iterator[Stated]:
        named = noun.head
        if named.lower_ in AGES and named.dep_ == "pobj":
            return  # "as a girl Sofia ate fish"
        role = named.dep_ == "dobj" and noun.pos_ == "PROPN" and names_role(named.lemma_.lower())
        if role and verb_lemma(named.head.text) == "have" and not (supposed(named.head) or negated(named.head)):
            owners = self.names.subjects(named.head)  # "has two daughters, Mabel and Joan"
            yield from every(self.entities(noun), f"{named.lemma_.lower()}_of", owners, OBLIQUE)
            return
        if named.tag_ == "NNS" and not any(child.dep_ == "conj" for child in named.children):
            return  # "two daughters, Mabel and Joan"
        owner = next((c for c in named.children if c.dep_ == "poss"), None)
        if named.pos_ == "NOUN" and noun.pos_ == "PROPN" and owner is not None:
            role = phrase(named, without=("poss", "case", "prep")).lower().replace(" ", "_")
            yield from every([(phrase(noun), 1.0)], f"{role}_of", self.names.owners(owner), OBLIQUE)
        elif named.pos_ == "NOUN" and noun.pos_ == "PROPN":
            if any(c.dep_ == "prep" for c in named.children):
                return
            yield from every(self.entities(noun), "is_a", [(phrase(named), 1.0)], OBLIQUE)
        elif _kind_beside(noun):
            yield from self.copulas.described(self.entities(named, with_joined=False), noun)


def _adds(verb: "Token") -> bool:
    """Return whether a clause adds to what is known: "also works", "lives in a small flat", "in Oslo in summer"."""
    if any(child.lower_ in ("also", "too", "additionally") for child in verb.children):
        return True
    jobs = [child for child in verb.children if child.dep_ == "dobj" and child.lemma_.lower() in JOBS]
    if any(inner.lower_ in _FURTHER and inner.i < job.i for job in jobs for inner in job.subtree):
        return True  # "has a second job at the library"
    if verb_lemma(verb.text) in ("own", "possess", "have", "get", "buy"):
        things = [child for child in verb.children if child.dep_ == "dobj"]
        if any(c.lower_ in _ANY or c.pos_ == "NUM" for thing in things for c in thing.children):
            return True  # "owns a car": another one than somebody else's
    nouns = [noun for one in verb.subtree if one.dep_ == "prep" for noun in one.children if noun.dep_ == "pobj"]
    if any(
        names_time(noun.lower_) and (noun.tag_ == "NNS" or noun.lower_ in {"spring", "summer", "autumn", "winter"})
        for noun in nouns
    ):
        return True
    nouns = [noun for one in verb.children if one.dep_ == "prep" for noun in one.children if noun.dep_ == "pobj"]
    return any(
        noun.pos_ == "NOUN" and any(c.lower_ in ("a", "an") or c.tag_ == "PRP$" for c in noun.children)
        for noun in nouns
    )


def _kind_beside(noun: "Token") -> bool:
    """Return whether a noun beside another says what kind it is: "Ada, a mathematician", not "Friday, nine o'clock"."""
    apart = noun.doc[max(noun.left_edge.i - 1, 0)].text in (",", "(", "-", "–", "—")
    article = any(child.dep_ == "det" and child.lower_ in ("a", "an", "the") for child in noun.children)
    whose = any(child.dep_ == "poss" or (child.dep_ == "prep" and child.lower_ == "of") for child in noun.children)
    role = noun.pos_ == "NOUN" or (noun.pos_ == "ADJ" and names_role(noun.lower_))
    return apart and role and (article or whose or names_role(noun.lower_)) and not names_time(phrase(noun.head))


def _told_by_ending(verb: "Token") -> bool:
    """Return whether an object only names what ends or nothing: "quit her job", "changed his mind"."""
    objects = {child.lemma_.lower() for child in verb.children if child.dep_ == "dobj"}
    return bool(objects & {"mind", "god", "notice"}) or (
        verb_lemma(verb.text) in ENDING_VERBS and bool(objects & (JOBS | {*TIES}))
    )


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
