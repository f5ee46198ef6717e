"""Tuples by rules over a dependency parse (spaCy's small English model)."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import EmbedderError
from memory.paths import cache_dir
from memory.provenance import Provenance
from memory.relational.coreference import Discourse
from memory.relational.extract import validate_text, with_span
from memory.relational.names import canonical, normalise, third_person
from memory.relational.parse import (
    NOBODY,
    SKIPPED_PREPOSITIONS,
    first,
    joined,
    mistaken_subject,
    modal,
    negated,
    note_entities,
    own_subject,
    phrase,
    prepositions,
    relative_of,
)
from memory.relational.tuples import MAX_NAME, Tuple

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span, Token

_SURE, _OBLIQUE, _REFERRED = 0.95, 0.9, 0.85
"""Confidence in a tuple: from subject and object; through a preposition; through a pronoun or a short name."""

_DOUBT = {"perhaps", "maybe", "possibly", "probably", "allegedly", "supposedly", "hardly", "barely", "almost", "nearly"}
_PLACE = {"in", "at", "on", "inside", "within"}
_PART = 20_000
_LONGEST = 400  # tokens of a sentence; what is longer is no sentence
_LINKS = {"be", "become", "remain"}


class RuleExtractor:
    """Tuples from English prose by rules over its dependency parse, without a language model.

    Statements only: what is denied, supposed, asked, ordered, wished or claimed by somebody is passed
    over. Pronouns and repeated names stand for what they refer to within the text.

    Args:
        folder: Directory of a spaCy pipeline; by default the one that ``hippo models fetch spacy-en`` makes.
        conf_min: Tuples of less confidence are dropped.

    Raises:
        EmbedderError: The pipeline is not there (when the first text comes).
    """

    name = "rules"

    def __init__(self, folder: Path | None = None, conf_min: float = 0.0) -> None:
        self.folder = folder or cache_dir() / "spacy-en"
        self.conf_min = conf_min
        self._lock = threading.Lock()
        self._pipeline: Any = None

    def _loaded(self) -> Any:
        if self._pipeline is None:
            if not (self.folder / "config.cfg").is_file():
                raise EmbedderError(f"no parser in {self.folder}: run `hippo models fetch spacy-en`")
            import spacy

            self._pipeline = spacy.load(self.folder)
        return self._pipeline

    def extract(self, text: str, origin: Provenance | str | None = None) -> list[Tuple]:
        """Tuples in the order of the text; see :class:`~memory.relational.extract.TupleExtractor`."""
        return self.extract_many([text], [origin])[0]

    def extract_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> list[list[Tuple]]:
        """The tuples of each text, parsed in batches."""
        return [tuples for tuples, _ in self.read_many(texts, origins)]

    def read_many(
        self, texts: Sequence[str], origins: Sequence[Provenance | str | None] | None = None
    ) -> Iterator[tuple[list[Tuple], list[str]]]:
        """The tuples and the names of each text, as they come."""
        origins = origins or [None] * len(texts)
        parts = [_parts(text) for text in texts]
        with self._lock:
            docs = self._loaded().pipe((part for text in parts for part in text), batch_size=32)
            for text, origin in zip(parts, origins, strict=True):
                yield self._read(islice(docs, len(text)), origin)

    def _read(self, docs: Iterable["Doc"], origin: Provenance | str | None) -> tuple[list[Tuple], list[str]]:
        """Tuples and names of the parts of one text."""
        discourse, names = Discourse(), []
        found: dict[tuple[str, str, str], Tuple] = {}
        for doc in docs:
            note_entities(doc)
            names += [entity.text for entity in doc.ents if entity.label_ not in _UNNAMED]
            for sentence in doc.sents:
                for item in self._stated(sentence, discourse, origin):
                    found.setdefault((item.head, item.relation, item.tail), item)
                discourse.close(sentence)
        return list(found.values()), names

    def _stated(self, sentence: "Span", discourse: Discourse, origin: Provenance | str | None) -> Iterator[Tuple]:
        for head, relation, tail, conf in _Sentence(sentence, discourse).statements():
            names = canonical(normalise(head), relation, normalise(tail))
            fits = all(0 < len(name) <= MAX_NAME for name in names) and names[0] != names[2]
            if fits and conf >= self.conf_min:
                yield Tuple(*names, with_span(origin, sentence.text.strip(), conf), conf=conf)


def _parts(text: str) -> list[str]:
    """The text in parts of at most 20,000 characters that end with a sentence, so that a parse fits in main memory."""
    rest, found = " ".join(validate_text(text).split()), []
    while len(rest) > _PART:
        end = rest.rfind(". ", 0, _PART) + 1 or rest.rfind(" ", 0, _PART) + 1 or _PART
        found.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*found, rest]


_UNNAMED = {"DATE", "TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL"}


Statement = tuple[str, str, str, float]
Named = tuple[str, float]


class _Sentence:
    """Reads the statements of one parsed sentence."""

    def __init__(self, sentence: "Span", discourse: Discourse) -> None:
        self.sentence = sentence
        self.discourse = discourse

    def statements(self) -> Iterator[Statement]:
        if len(self.sentence) > _LONGEST or self.sentence.text.rstrip().endswith("?"):
            return
        for token in self.sentence:
            if (name := mistaken_subject(token)) is not None:
                yield from self._mistaken(token, name)
            elif token.pos_ in ("VERB", "AUX") and self._states(token):
                yield from self._clause(token)
            elif token.dep_ == "appos" and not negated(token):
                yield from self._apposition(token)

    # what is stated at all

    def _states(self, verb: "Token") -> bool:
        """Whether the clause of a verb is said to be so."""
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
        """A relative clause tells of something that is: not of "no man who ..."."""
        return not negated(noun)

    def _states_or_denies(self, verb: "Token") -> bool:
        """Whether the clause that a verb is joined to is a statement, affirmed or not."""
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
        """A clause whose verb the parser took for a noun."""
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
        """``X is the capital of Y``, ``X is Y's sister``, or ``X is a kind``."""
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

    # who and what

    def _subjects(self, verb: "Token") -> list[Named]:
        """Names of what a clause is about; those of its first verb if it has none of its own."""
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
        found: list[Named] = []
        for child in verb.children:
            measured = child.dep_ == "npadvmod" and any(inner.pos_ == "NUM" for inner in child.children)
            named = child.dep_ in ("dobj", "attr", "oprd") and child.tag_ not in ("WP", "WDT")
            if named or (measured and child.pos_ == "NOUN"):
                found += self.entities(child)
        if not found and verb.dep_ == "relcl" and own_subject(verb) and not list(prepositions(verb)):
            subject = next(c for c in verb.children if c.dep_ in ("nsubj", "nsubjpass"))
            if subject.tag_ not in ("WP", "WDT"):
                found = self.entities(verb.head, with_joined=False)
        return found

    def _objects_of(self, preposition: "Token") -> list[Named]:
        return [name for child in preposition.children if child.dep_ == "pobj" for name in self.entities(child)]

    def entities(self, token: "Token | None", with_joined: bool = True) -> list[Named]:
        """Names of a noun and of those joined to it, each with how sure it is that they are meant."""
        if token is None or negated(token):
            return []
        found: list[Named] = []
        for noun in [token, *(joined(token) if with_joined else [])]:
            if negated(noun) or noun.lower_ in NOBODY:
                continue
            if noun.pos_ == "PRON":
                found += [(name, _REFERRED) for name in self.discourse.refer(noun)]
            elif noun.pos_ in ("NOUN", "PROPN", "NUM", "ADJ", "X", "SYM"):
                phrase = self._possessed(noun)
                if phrase:
                    full = self.discourse.full(noun, phrase)
                    found.append((full, 1.0 if full == phrase else _REFERRED))
        return found

    def _possessed(self, noun: "Token") -> str:
        """The phrase, with whose it is in place of "her" or "his"; empty where nobody knows."""
        owner = next((c for c in noun.children if c.dep_ == "poss" and c.tag_ == "PRP$"), None)
        if owner is None:
            return phrase(noun)
        owners = self.discourse.refer(owner)
        return f"{owners[0]}'s {phrase(noun, without=('poss',))}" if len(owners) == 1 else ""


def _all(heads: list[Named], relation: str, tails: list[Named], conf: float) -> Iterator[Statement]:
    for head, sure in heads:
        for tail, known in tails:
            yield head, relation, tail, round(min(conf, sure, known), 3)
