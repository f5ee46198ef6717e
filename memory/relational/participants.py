"""Participants of a clause: the names of its subjects and objects in a dependency parse."""

from typing import TYPE_CHECKING

from memory.relational.coreference import Discourse
from memory.relational.language.nouns import noun_kind
from memory.relational.names import is_name, normalise
from memory.relational.parse import (
    NOBODY,
    after_preposition,
    first,
    joined,
    negated,
    own_subject,
    phrase,
    prepositions,
    relative_of,
)
from memory.relational.stated import Named

if TYPE_CHECKING:
    from spacy.tokens import Token

REFERRED = 0.85
"""Confidence of a tuple with a resolved pronoun or short name."""


_QUANTITIES = frozenset("lot lots bit bits plenty load loads couple pair bunch ton tons dozens hundreds bits".split())


class Participants:
    """Reader of the names in one sentence.

    Args:
        discourse: The entities that the text has mentioned before it.
    """

    def __init__(self, discourse: Discourse) -> None:
        self.discourse = discourse

    def subjects(self, verb: "Token") -> list[Named]:
        """Return the names of the subjects of a clause; those of the first joined verb if it has none of its own."""
        for child in verb.children:
            if child.dep_ in ("nsubj", "nsubjpass"):
                noun = relative_of(verb)
                if child.tag_ in ("WP", "WDT") and noun is not None:
                    return self.entities(noun, with_joined=False)
                return self.entities(child)
        if verb.dep_ == "acl":
            return self._described(verb.head) or self.entities(verb.head, with_joined=False)
        clause = after_preposition(verb) or first(verb)
        if clause.i != verb.i:
            return self.subjects(clause)
        return [(self.discourse.speaker, REFERRED)] if self._left_out(verb) else []

    def _left_out(self, verb: "Token") -> bool:
        """Return whether a note leaves "I" out: "Sold the car", "Finally closed the account"."""
        before = [token for token in verb.doc[verb.sent.start : verb.i] if token.pos_ not in ("ADV", "PUNCT", "INTJ")]
        past = verb.tag_ in ("VBD", "VBN", "VBG") and verb.dep_ == "ROOT"
        return self.discourse.named_speaker and past and not before

    def _described(self, noun: "Token") -> list[Named]:
        """Return what a kind is said of: of "X is a film directed by Y", X."""
        kind = noun.dep_ == "attr" and noun.pos_ == "NOUN" and noun.head.lower_ in ("is", "was", "'s")
        definite = any(child.dep_ == "det" and child.lower_ == "the" for child in noun.children)
        return self.subjects(noun.head) if kind and not definite else []

    def objects(self, verb: "Token") -> list[Named]:
        """Return the names of the direct objects of a clause."""
        objects: list[Named] = []
        for child in verb.children:
            measured = child.dep_ == "npadvmod" and any(inner.pos_ == "NUM" for inner in child.children)
            measured = measured and noun_kind(child.lower_) != "time"
            named = child.dep_ in ("dobj", "attr", "oprd") and child.tag_ not in ("WP", "WDT")
            if child.dep_ == "dobj" and child.tag_ == "VBG":
                objects.append((self._gerund(child), 1.0))
                continue
            if named or (measured and child.pos_ == "NOUN"):
                objects += self.entities(child)
        if not objects and verb.dep_ == "relcl" and own_subject(verb) and not list(prepositions(verb)):
            subject = next(c for c in verb.children if c.dep_ in ("nsubj", "nsubjpass"))
            if subject.tag_ not in ("WP", "WDT"):
                objects = self.entities(verb.head, with_joined=False)
        return objects

    def objects_of(self, preposition: "Token") -> list[Named]:
        """Return the names of the objects of a preposition."""
        objects: list[Named] = []
        for child in preposition.children:
            if child.tag_ == "VBG" and child.dep_ in ("pobj", "pcomp"):
                others = (c for c in child.children if c.dep_ == "conj" and c.tag_ in ("VBG", "NN", "NNS"))
                objects += [(self._gerund(one), 1.0) for one in (child, *others)]
            elif child.dep_ == "pobj":
                objects += self.entities(child)
        return objects

    def _gerund(self, verb: "Token") -> str:
        """Return a gerund with its object: "reading books"."""
        return " ".join([verb.lower_, *(name for name, _ in self.objects(verb)[:1])])

    def owners(self, owner: "Token") -> list[Named]:
        """Return the names of an owner: "her" in "her brother", "Ada" in "Ada's brother"."""
        if owner.tag_ == "PRP$":
            return [(name, REFERRED) for name in self.discourse.refer(owner)]
        return self.entities(owner, with_joined=False)

    def entities(self, token: "Token | None", with_joined: bool = True) -> list[Named]:
        """Return the names of a noun and of those joined to it, each with the confidence that it is meant."""
        if token is None or negated(token):
            return []
        names: list[Named] = []
        for noun in [token, *(joined(token) if with_joined else [])]:
            if negated(noun) or noun.lower_ in NOBODY:
                continue
            if noun.pos_ == "PRON":
                if noun.lower_.endswith(("self", "selves")):
                    continue
                names += [(name, REFERRED) for name in self.discourse.refer(noun)]
            elif noun.pos_ in ("NOUN", "PROPN", "NUM", "ADJ", "X", "SYM"):
                if (counted := self._counted(noun)) is not None:
                    names += self.entities(counted)
                    continue
                words = self.possessed(noun)
                if words and is_name(normalise(words)):
                    full = self.discourse.full(noun, words)
                    names.append((full, 1.0 if full == words else REFERRED))
        return names

    def _deeper(self, noun: "Token") -> str:
        """Return a phrase; in "my sister's wedding" with the speaker's name in place of "my"."""
        whole, edge = phrase(noun), noun.left_edge
        if edge.tag_ != "PRP$" or not whole.lower().startswith(f"{edge.lower_} "):
            return whole
        owners = self.discourse.refer(edge)
        return f"{owners[0]}'s {whole.partition(' ')[2]}" if len(owners) == 1 else ""

    def _counted(self, noun: "Token") -> "Token | None":
        """Return what there is much of: "coffee" of "a lot of coffee"."""
        of = next((child for child in noun.children if child.lower_ == "of" and child.dep_ == "prep"), None)
        if noun.lower_ not in _QUANTITIES or of is None:
            return None
        return next((child for child in of.children if child.dep_ == "pobj"), None)

    def possessed(self, noun: "Token") -> str:
        """Return the phrase with the owner's name in place of "her" or "my"; empty if the owner is unclear."""
        called = next((c for c in noun.children if c.dep_ == "acl" and c.lower_ in ("called", "named")), None)
        name = next((c for c in called.children if c.dep_ == "oprd" and c.pos_ == "PROPN"), None) if called else None
        if name is not None and noun.pos_ == "NOUN":
            return phrase(name)  # "a pony called Caramel"
        beside = next((c for c in noun.children if c.dep_ == "appos" and c.pos_ == "PROPN"), None)
        if beside is not None and beside.left_edge.i == noun.i + 1 and noun.pos_ == "NOUN":
            return phrase(beside)  # "her brother Anil", "Ada's cat Mimi", "the plumber Mr Hill"
        owner = next((c for c in noun.children if c.dep_ == "poss" and c.tag_ == "PRP$"), None)
        if owner is None:
            return self._deeper(noun)
        owners = self.discourse.refer(owner)
        return f"{owners[0]}'s {phrase(noun, without=('poss',))}" if len(owners) == 1 else ""
