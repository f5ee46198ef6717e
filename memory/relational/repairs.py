"""Repairs of a dependency parse before it is read: mistakes are put right, and clefts are brought into plain order.

A small parser takes verbs for nouns ("Ada is a pilot and lives in Doha"), subjects for parts of a compound ("Yusuf
studies law") and verbs for auxiliaries ("Enzo loves flying"). Each repair looks for one such form that no right parse
has, or that is rarer than the mistake. "It was in May that Ada moved", "All he drinks is tea" and "Tea I can't stand"
get the parse of "Ada moved in May", "he drinks tea" and "I can't stand tea".
"""

from typing import TYPE_CHECKING

from memory.relational.language.lemmas import is_third_person, known_word, verb_lemma
from memory.relational.language.nouns import names_role, names_time, noun_kind
from memory.relational.language.tense import STATIVE

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_AUXILIARIES = frozenset(
    "be have do get will shall may might must can could would should ought need dare use let to go keep".split()
)
_OFTEN_VERBS = STATIVE | frozenset("stop start run visit call meet move buy help miss join".split())
"""Verbs whose third person is more often a verb than a plural after "and" or "but"."""

_SUBJECT = ("nsubj", "nsubjpass", "expl", "csubj")
_PARTS = ("compound", "nmod", "amod", "npadvmod", "poss")
_VERB_TAGS = {"VBZ", "VBD"}


def repair(doc: "Doc") -> None:
    """Repair a parse in place."""
    for token in list(doc):
        verb_like, dep = token.tag_ in ("NNS", *_VERB_TAGS), token.dep_
        if token.tag_ == "POS":
            _clitic(token)
        elif dep == "aux" and token.tag_ in _VERB_TAGS and verb_lemma(token.text) not in _AUXILIARIES:
            _no_auxiliary(token)
        elif verb_like and dep == "conj" and token.head.pos_ in ("NOUN", "PROPN", "ADJ"):
            _joined_verb(token)
        elif token.tag_ == "NNS" and dep == "conj" and token.head.tag_ == "VBZ" and is_third_person(token.text):
            _to_verb(token)
        elif verb_like and dep in ("ROOT", "conj", "ccomp", "advcl"):
            _subject(token)
        elif token.lower_ == "been":
            _been(token)
        elif dep == "npadvmod" and token.pos_ == "NOUN":
            _kin(token)
        elif dep in ("compound", "amod") and token.pos_ == "NOUN" and token.head.pos_ == "PROPN":
            _role(token)
    for token in list(doc):
        if token.pos_ in ("VERB", "AUX"):
            _has_got(token)
            _run_on(token)
            _cleft(token)
            _all_that(token)
            _fronted(token)


def _attach(token: "Token", head: "Token", dep: str) -> None:
    token.head = head
    token.dep_ = dep


def _to_verb(token: "Token") -> None:
    if token.tag_ == "NNS":
        token.tag_ = "VBZ"
    token.pos_ = "VERB"


def _subject(verb: "Token") -> None:
    """Make the words before a verb its subject: "the ferry leaves", read as a compound."""
    if any(child.dep_ in _SUBJECT or child.dep_ in ("aux", "auxpass") for child in verb.children):
        return
    before = [child for child in verb.children if child.i < verb.i]
    noun = next((child for child in reversed(before) if child.i == verb.i - 1), None)
    if noun is None or noun.dep_ not in (*_PARTS, "advmod") or names_time(noun.text):
        return
    if noun.pos_ in ("ADJ", "ADV") and _is_name(noun):
        noun.pos_ = "PROPN"  # "Bo lives in Oslo"
    if noun.pos_ not in ("NOUN", "PROPN"):
        return
    if verb.tag_ == "NNS":
        starts = noun.text[:1].isupper() and not any(child.dep_ in ("det", "nummod") for child in before)
        if not (starts and is_third_person(verb.text) and any(child.i > verb.i for child in verb.children)):
            return
        if any(child.dep_ in ("nsubj", "aux") for child in verb.subtree) or verb.dep_ != "ROOT":
            return
    _to_verb(verb)
    noun.dep_ = "nsubj"
    for child in before:
        if child != noun and child.dep_ in ("det", *_PARTS):
            child.head = noun
    _objects(verb)


def _is_name(word: "Token") -> bool:
    """Return whether a word at the beginning of a sentence is no English word, or the parser's guess at a name."""
    starts = word.i == word.sent.start and word.text[:1].isupper()
    return starts and (word.dep_ != "advmod" or not known_word(word.lower_)) and not word.lower_.endswith("ly")


def _objects(verb: "Token") -> None:
    """Name the noun after a verb its object, where the parser took it for an apposition."""
    for child in list(verb.children):
        if child.i > verb.i and child.pos_ in ("NOUN", "PROPN") and child.dep_ in ("appos", "npadvmod", "nmod"):
            child.dep_ = "npadvmod" if names_time(child.text) else "dobj"


def _no_auxiliary(verb: "Token") -> None:
    """Make a full verb the head of what the parser took for the main verb: "loves flying"."""
    inner = verb.head
    if inner.i < verb.i or inner.tag_ not in ("VBG", "VBN", "NN", "NNS"):
        return
    head, dep = inner.head, inner.dep_
    moved = [child for child in inner.children if child.i < verb.i or child.dep_ == "punct"]
    verb.pos_ = "VERB"
    if head == inner:
        verb.head = verb
        verb.dep_ = "ROOT"
    else:
        _attach(verb, head, dep)
    _attach(inner, verb, "xcomp" if inner.tag_ == "VBG" else "dobj")
    for child in moved:
        child.head = verb


def _joined_verb(verb: "Token") -> None:
    """Join a verb that the parser took for a noun to the verb before it: "is a pilot and lives in Doha"."""
    noun = verb.head
    clause = next((one for one in (noun, *noun.ancestors) if one.pos_ in ("VERB", "AUX") and one.i < verb.i), None)
    if clause is None or clause.tag_ in ("VB", "VBG", "VBN", "VBP") or not is_third_person(verb.text):
        return
    if any(child.i < verb.i and child.dep_ not in ("advmod", "neg", "punct", "cc") for child in verb.children):
        return
    after = verb.nbor(1) if verb.i + 1 < verb.sent.end else None
    if verb.tag_ == "NNS" and (
        verb_lemma(verb.text) not in _OFTEN_VERBS or after is None or after.pos_ in ("PUNCT", "VERB", "AUX", "CCONJ")
    ):
        return
    whole = noun.head
    _to_verb(verb)
    if whole.pos_ in ("NOUN", "PROPN") and whole.i > verb.i and noun.dep_ in _PARTS:
        # "enjoys sea swimming but dislikes pools", read as pools of swimming and dislikes
        inner = [child for child in whole.children if child.i < noun.i]
        _attach(noun, whole.head, whole.dep_)
        for child in inner:
            child.head = noun
        _attach(verb, clause, "conj")
        _attach(whole, verb, "dobj")
    else:
        _attach(verb, clause, "conj")
    for child in list(noun.children):
        if child.i > verb.i and child.dep_ in ("prep", "dobj", "npadvmod", "advmod"):
            child.head = verb
        elif child.i == verb.i - 1 and child.dep_ == "cc":
            child.head = clause
    _objects(verb)


def _clitic(clitic: "Token") -> None:
    """Read "'s" before a preposition, an article or a gerund as "is": "Esra's in a hurry"."""
    owner = clitic.head
    if owner.i != clitic.i - 1 or clitic.i + 1 >= clitic.sent.end:
        return
    after = clitic.nbor(1)
    last = after.i + 1 >= clitic.sent.end or after.nbor(1).pos_ in ("PUNCT", "ADP", "SCONJ", "CCONJ", "ADV")
    quality = after.tag_ in ("JJ", "VBN", "VBG") and last and after.dep_ not in ("nsubj", "csubj")
    if not (quality or after.tag_ in ("IN", "DT", "TO", "PRP$") or (after.tag_ == "RB" and owner.dep_ != "poss")):
        return
    whole = owner.head if owner.dep_ == "poss" else owner  # "Brigitte's a vet", read as a vet of Brigitte
    head, dep = whole.head, whole.dep_
    moved = [
        child for child in {*owner.children, *whole.children} if child.i > clitic.i and child not in (whole, after)
    ]
    clitic.tag_, clitic.pos_, clitic.lemma_ = "VBZ", "AUX", "be"
    if head == whole or dep in ("dobj", "dep", "npadvmod"):
        clitic.head = clitic
        clitic.dep_ = "ROOT"
    elif dep in ("nsubj", "nsubjpass", "poss", "compound", "advmod"):
        _attach(clitic, head, "ccomp")
    elif dep in ("appos", "conj", "pobj"):
        clause = next((one for one in whole.ancestors if one.pos_ in ("VERB", "AUX") and one.i < clitic.i), None)
        _attach(clitic, clause or head, "conj")
    else:
        _attach(clitic, head, dep)
    _attach(owner, clitic, "nsubj")
    if whole != owner:
        _attach(whole, clitic, "attr" if whole.pos_ in ("NOUN", "PROPN") else "acomp")
    for child in moved:
        child.head = clitic
    if after.head == owner:
        after.head = clitic
    if quality and after.head == clitic:
        after.dep_ = "acomp"
    elif after.head == clitic and after.pos_ in ("NOUN", "PROPN"):
        after.dep_ = "attr"


_SAYING = frozenset(
    "say think believe claim hope wish guess reckon hear know suppose tell ask wonder seem report announce insist feel"
    " suspect imagine assume fear dream explain add admit deny argue warn promise mean swear bet doubt".split()
)
"""Verbs whose complement may stand before them: "Bo lives in Rome, she said"."""


_CONDITIONS = frozenset(
    "if unless when whenever until while although though because since before after as once".split()
)


def _run_on(verb: "Token") -> None:
    """Read the first of two sentences that a comma joins as the leading one: "Bo is ill, he stays home"."""
    main = verb.head
    if verb.dep_ == "ccomp" and verb_lemma(main.text) in ("call", "ring", "phone", "text", "write") and verb.i > main.i:
        if "," in (verb.left_edge.text, verb.doc[verb.left_edge.i - 1].text):
            verb.dep_ = "conj"  # "the hospital called, they've moved the scan"
        return
    if verb.dep_ not in ("ccomp", "advcl") or verb.i > main.i or verb_lemma(main.text) in _SAYING:
        return
    if not any(child.dep_ in _SUBJECT for child in verb.children):
        return
    if any(child.dep_ == "mark" or child.tag_ in ("WDT", "WP", "WRB") for child in verb.children):
        return
    if verb.doc[verb.left_edge.i].text.partition(" ")[0].lower() in _CONDITIONS:
        return
    own = any(child.dep_ in _SUBJECT and child.i > verb.i for child in main.children)
    if not (own or main.tag_ in ("VB", "VBD")):
        return
    head, dep = main.head, main.dep_
    if head == main:
        verb.head = verb
        verb.dep_ = "ROOT"
    else:
        _attach(verb, head, dep)
    _attach(main, verb, "conj")


def _been(verb: "Token") -> None:
    """Read "she's been" as a perfect, not as a passive."""
    for child in verb.children:
        if child.dep_ == "auxpass":
            child.dep_, child.lemma_, child.tag_, child.pos_ = "aux", "have", "VBZ", "AUX"
        elif child.dep_ == "nsubjpass":
            child.dep_ = "nsubj"


def _kin(noun: "Token") -> None:
    """Read a noun before a name as its subject with the name beside it: "my cousin Sigrid has taken his room"."""
    name = noun.nbor(1) if noun.i + 1 < noun.sent.end else None
    if (
        name is not None
        and not names_time(noun.text)
        and name.dep_ == "nsubj"
        and name.pos_ == "PROPN"
        and name.head == noun.head
    ):
        noun.dep_ = "nsubj"
        _attach(name, noun, "appos")


def _role(noun: "Token") -> None:
    """Read a role before a name as the noun with the name beside it: "my stepfather Gaspard", "the plumber Mr Hill"."""
    name = noun.head
    between = noun.doc[noun.i + 1 : name.i]
    if not noun.text.islower() or any(word.pos_ != "PROPN" for word in between) or noun.i > name.i:
        return
    whose = [c for c in name.children if c.i < noun.i and (c.dep_ == "poss" or (c.dep_ == "det" and c.lower_ == "the"))]
    if not whose or not (noun_kind(noun.lower_) in ("person", "animal") or names_role(noun.lower_)):
        return
    head, dep = name.head, name.dep_
    before = [child for child in name.children if child.i < noun.i]
    if head == name:
        noun.head = noun
        noun.dep_ = dep
    else:
        _attach(noun, head, dep)
    _attach(name, noun, "appos")
    for child in before:
        child.head = noun


def _has_got(verb: "Token") -> None:
    """Read "he's got" as a perfect, not as a passive."""
    if verb.lower_ != "got":
        return
    for child in verb.children:
        if child.dep_ == "auxpass" and child.lower_ in ("'s", "’s"):
            child.dep_, child.lemma_ = "aux", "have"
        elif child.dep_ == "nsubjpass":
            child.dep_ = "nsubj"


def _cleft(verb: "Token") -> None:
    """Bring "it was in May that Ada moved" and "it's Ada who owns the car" into plain order."""
    if verb_lemma(verb.text) != "be" or not any(
        child.lower_ == "it" and child.dep_ in ("nsubj", "expl") for child in verb.children
    ):
        return
    for inner in (child for child in verb.children if child.dep_ in ("ccomp", "advcl", "relcl", "acl")):
        mark = next((child for child in inner.children if child.lower_ == "that" and child.dep_ == "mark"), None)
        leading = [child for child in verb.children if child.dep_ in ("prep", "npadvmod") and child.i < inner.i]
        if mark is None or not leading:
            continue
        for child in leading:
            child.head = inner
        inner.dep_ = "parataxis" if verb.dep_ != "ROOT" else "conj"
        mark.dep_ = "cc"
    for noun in (child for child in verb.children if child.dep_ == "attr" and child.pos_ in ("NOUN", "PROPN")):
        for inner in (child for child in noun.children if child.dep_ == "relcl"):
            who = next((c for c in inner.children if c.lower_ in ("who", "that") and c.dep_ == "nsubj"), None)
            if who is not None:
                _attach(inner, verb, "conj")
                _attach(noun, inner, "nsubj")
                who.dep_ = "dep"


def _all_that(verb: "Token") -> None:
    """Bring "tea is what he drinks" and "all he drinks is tea" into plain order."""
    if verb_lemma(verb.text) != "be" or verb.dep_ not in ("ROOT", "conj"):
        return
    subject = next((child for child in verb.children if child.dep_ in ("nsubj", "csubj")), None)
    if subject is None:
        return
    inner = next((child for child in subject.children if child.dep_ == "relcl"), None)
    if subject.lower_ == "all" and inner is not None:
        noun = next((child for child in verb.children if child.dep_ == "attr"), None)
        _plain(verb, inner, noun, subject)
    elif subject.dep_ == "csubj" and any(child.lower_ == "what" for child in subject.children):
        _plain(verb, subject, next((child for child in verb.children if child.dep_ == "attr"), None), None)
    elif subject.pos_ in ("NOUN", "PROPN"):
        inner = next((child for child in verb.children if child.dep_ == "ccomp"), None)
        if inner is not None and any(child.lower_ == "what" and child.dep_ == "dobj" for child in inner.children):
            _plain(verb, inner, subject, None)


def _plain(link: "Token", verb: "Token", noun: "Token | None", all_: "Token | None") -> None:
    if noun is None or not any(child.dep_ == "nsubj" for child in verb.children):
        return
    for child in verb.children:
        if child.lower_ == "what":
            child.dep_ = "dep"
    if all_ is not None:
        all_.dep_ = "dep"
    _attach(verb, link, "conj")
    _attach(noun, verb, "dobj")


def _fronted(verb: "Token") -> None:
    """Read the first of two subjects as the object: "coriander I can't stand"."""
    subjects = [child for child in verb.children if child.dep_ == "nsubj"]
    two = len(subjects) == 2 and subjects[0].pos_ in ("NOUN", "PROPN") and subjects[1].pos_ in ("PRON", "PROPN")
    if two and not any(child.dep_ in ("dobj", "attr", "acomp", "ccomp") for child in verb.children):
        subjects[0].dep_ = "dobj"
