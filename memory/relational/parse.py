"""Helper functions for tokens of a dependency parse."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memory.relational.language.lemmas import verb_lemma
from memory.relational.language.stand_ins import ADDRESSED

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_MODALS = {"may", "might", "could", "would", "should", "can", "must", "ca"}
_DOUBT = frozenset(
    "perhaps maybe possibly probably allegedly supposedly hardly barely almost nearly apparently reportedly"
    " according".split()
)
_FICTION = frozenset(
    "dream nightmare novel film movie book story tale play poem song game imagination fantasy legend myth series"
    " episode sitcom cartoon comic opera musical theory scenario joke".split()
)
"""Nouns for what tells of things that need not be so."""

_EVERY = frozenset("everyone everybody everything all anyone anybody".split())
BEGINNING = frozenset({"start", "begin", "continue", "resume"})
"""Verbs whose complement holds: "started to like"."""

_GERUND = frozenset(
    "like love hate enjoy dislike prefer allow forbid permit ban prohibit stop quit cease give finish detest"
    " adore".split()
)
NOBODY = {"nobody", "none", "nothing", "neither", "no"}
_BARE = {"a", "an", "the", "this", "that", "these", "those"}
_INNER = {"compound", "amod", "nummod", "poss", "case", "nmod", "quantmod", "npadvmod", "advmod", "flat", "predet"}
SKIPPED_PREPOSITIONS = {"without", "like", "as", "than", "instead", "despite", "except", "unlike", "per"}


_MOST_JOINED, _LONGEST = 100, 60
"""Greatest number of items of an enumeration, and of tokens of a name, that are read."""


def first(verb: "Token") -> "Token":
    """Return the first verb of the conjunction that a verb belongs to; the verb itself if there is none."""
    while verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX"):
        verb = verb.head
    return verb


def own_subject(verb: "Token") -> bool:
    """Return whether a verb has a subject of its own."""
    return any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)


def relative_of(verb: "Token") -> "Token | None":
    """Return the noun that a relative clause modifies, ``None`` if ``verb`` is in no such clause."""
    clause = first(verb)
    return clause.head if clause.dep_ == "relcl" else None


def complement(verb: "Token") -> "Token | None":
    """Return the verb that completes another: "live" of "used to live", "smoking" of "stopped smoking"."""
    lemma = verb_lemma(verb.text)
    for child in verb.children:
        if child.dep_ == "advcl" and lemma in ("go", "come", "move") and child.tag_ == "VB" and verb.tag_ == "VBN":
            return child  # "has gone to live in Bruges"
        if child.dep_ in ("xcomp", "ccomp", "pcomp") and (child.pos_ in ("VERB", "AUX", "NOUN") or child.tag_ == "IN"):
            to = any(inner.lower_ == "to" and inner.dep_ == "aux" for inner in child.children)
            if to and lemma == "have" and verb.tag_ == "VBD":
                return child
            if to and lemma == "use" and verb.tag_ in ("VBD", "VBN"):
                return child
            if to and lemma in ("like", "love", "hate", "prefer") and not own_subject(child):
                return child
            if (
                to
                and lemma in ("learn", "come", "grow")
                and verb_lemma(child.text) in ("like", "love", "hate", "enjoy")
            ):
                return child  # "has learned to love olives"
            if lemma in BEGINNING or (to and lemma == "go" and verb.tag_ in ("VBG", "VBN")):
                return child
            if child.tag_ == "VBG" and lemma in _GERUND and not own_subject(child):
                return child
    return None


def supposed(verb: "Token") -> bool:
    """Return whether a clause is no plain statement: modal, doubted, conditional, ordered, or about somebody's wish."""
    inner = complement(verb)
    for child in verb.children:
        if child.dep_ == "aux" and (child.lower_ in _MODALS or (child.lower_ == "'d" and verb.tag_ == "VB")):
            return True
        if child.dep_ == "advcl" and any(mark.lower_ in ("if", "unless", "whether") for mark in child.children):
            return True
        if child.dep_ in ("advmod", "neg", "prep") and child.lower_ in _DOUBT:
            return True
        if child.dep_ == "prep" and child.lower_ in ("in", "on") and child.i < verb.i and _in_fiction(child):
            return True
        if child.dep_ in ("xcomp", "ccomp") and child.pos_ in ("VERB", "AUX") and child != inner:
            return True
        if child.dep_ == "mark" and child.lower_ in ("if", "unless", "whether"):
            return True
    ordered = verb.tag_ == "VB" and verb.dep_ == "ROOT" and not any(child.dep_ == "aux" for child in verb.children)
    return ordered and not any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.children)


def _in_fiction(preposition: "Token") -> bool:
    """Return whether a preposition leads to what need not be so: "in Bo's dream she lives in Paris"."""
    return any(noun.dep_ == "pobj" and noun.lemma_.lower() in _FICTION for noun in preposition.children)


def placed(verb: "Token") -> bool:
    """Return whether a clause stands where a statement may stand: not a condition, an aim, or somebody's words."""
    if verb.dep_ == "advcl":
        return _circumstance(verb)
    if verb.dep_ == "ccomp":
        return _known(verb)
    if verb.dep_ == "pcomp":
        return after_preposition(verb) is not None
    if verb.dep_ in ("aux", "auxpass", "xcomp", "csubj", "amod", "compound", "parataxis"):
        return False
    if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX"):
        leading = first(verb)
        if leading.dep_ in ("xcomp", "ccomp", "advcl", "pcomp", "csubj") and not placed(leading):
            return False
        if not (own_subject(verb) or verb.tag_ != "VB" or not supposed(leading)):
            return False
    if verb.dep_ == "acl" and verb.tag_ != "VBN":
        return False
    return verb.dep_ not in ("relcl", "acl") or not negated(verb.head)


_THEN = frozenset("before after when since once until till while".split())
_REASONS = frozenset("because although though whereas while since".split())
_FACTIVE = frozenset("know remember note learn discover find realise realize notice forget mean turn recall".split())


def after_preposition(verb: "Token") -> "Token | None":
    """Return the clause whose subject a gerund after "before", "after" or "since" has: "before becoming a reporter"."""
    main = verb.head.head
    if verb.dep_ != "pcomp" or verb.tag_ != "VBG" or verb.head.lower_ not in ("before", "after", "since"):
        return None
    past = main.tag_ in ("VBD", "VBN") and not supposed(main) and not negated(main)
    return main if main.pos_ in ("VERB", "AUX") and past else None


def _circumstance(verb: "Token") -> bool:
    """Return whether an adverbial clause states a fact: "before she joined Nokia", "because his car is broken"."""
    marks = {child.lower_ for child in verb.children if child.dep_ in ("mark", "advmod")}
    main, helpers = verb.head, {child.lower_ for child in verb.children if child.dep_ == "aux"}
    if not own_subject(verb) or verb.tag_ in ("VB", "VBG") or (main.pos_ in ("VERB", "AUX") and supposed(main)):
        return False
    past = verb.tag_ == "VBD" or (verb.tag_ == "VBN" and bool(helpers & {"has", "have", "had", "'s", "'ve"}))
    present = verb.tag_ in ("VBZ", "VBP") or bool(helpers & {"is", "are", "am"})
    return bool((past and marks & _THEN) or ((past or present) and marks & _REASONS))


def _known(verb: "Token") -> bool:
    """Return whether a clause is what somebody knows or is asked to remember: "remember that Bo is vegetarian"."""
    main = verb.head
    if main.pos_ not in ("VERB", "AUX") or not own_subject(verb) or (negated(main) and main.lower_ != "forget"):
        return False
    if any(child.lower_ in ("if", "whether", "who", "what", "why", "how", "where") for child in verb.children):
        return False
    if verb_lemma(main.text) not in _FACTIVE:
        return False
    helpers = {child.lower_ for child in main.children if child.dep_ == "aux"}
    told = main.tag_ == "VB" and not helpers - {"do", "to", "please"}
    speakers = {"i", "we", "you", "it", "which", "this", "that"}
    said = any(child.dep_ == "nsubj" and child.lower_ in speakers for child in main.children)
    return told or (said and not helpers & _MODALS)


def negated(token: "Token") -> bool:
    """Return whether a clause, noun or adjective is negated."""
    for child in token.children:
        if child.i > token.i and token.pos_ not in ("VERB", "AUX"):
            continue  # "a sailor, not a soldier"
        if child.dep_ == "neg" or (
            child.dep_ in ("det", "preconj", "cc:preconj", "cc") and child.lower_ in ("no", "neither")
        ):
            return True
        if child.lower_ in ("never", "not"):
            return True
        if child.lower_ == "longer" and any(inner.lower_ == "no" for inner in child.children):
            return True
        subject = child.dep_ in ("nsubj", "nsubjpass") and token.pos_ in ("VERB", "AUX")
        if subject and (child.lower_ in NOBODY or negated(child)):
            return True
    before = token.nbor(-1) if token.i > token.sent.start else None
    return before is not None and before.lower_ in ("not", "neither", "nor")


def joined(token: "Token") -> list["Token"]:
    """Return the nouns or adjectives joined to ``token`` by commas and conjunctions."""
    others: list[Token] = []
    stack = [] if title(token) is not None else [token]
    while stack and len(others) < _MOST_JOINED:
        one = stack.pop()
        if one.lower_ in _EVERY and any(child.lower_ == "but" for child in one.children):
            continue  # "everyone but Bo"
        for child in one.children:
            if child.dep_ == "conj" and not (child.pos_ == "ADJ" and one.pos_ in ("NOUN", "PROPN")):
                others.append(child)
                stack.append(child)
    return others


def prepositions(verb: "Token") -> Iterator["Token"]:
    """Yield the prepositions of a verb, noun or adjective whose objects are part of its statement."""
    denied = verb.pos_ in ("VERB", "AUX") and negated(verb)
    for child in verb.children:
        leads = child.dep_ == "prep" or (child.dep_ == "oprd" and child.pos_ == "ADP")
        while leads:
            if child.lower_ not in SKIPPED_PREPOSITIONS and (denied or not negated(child)):
                yield child
            joined_ = [c for c in child.children if c.dep_ == "conj" and c.pos_ in ("ADP", "SCONJ")]
            leads, child = bool(joined_), joined_[0] if joined_ else child


def note_entities(doc: "Doc") -> None:
    """Store in ``doc.user_data`` which tokens belong to a title or a date, so that later look-ups are fast."""
    titles: dict[int, str] = {}
    dates: dict[int, list[int]] = {}
    for entity in doc.ents:
        joined_inside = any(token.lower_ in ("and", "or", "&") for token in entity[1:-1])
        if joined_inside and entity.label_ not in ("PERSON", "DATE"):
            titles |= dict.fromkeys(range(entity.start, entity.end), entity.text)
        if entity.label_ in ("DATE", "TIME", "MONEY", "QUANTITY"):
            own = [t.i for t in entity if not (t.i == entity.start and t.lower_ in _BARE)]
            dates |= dict.fromkeys(range(entity.start, entity.end), own)
    doc.user_data["titles"], doc.user_data["dates"] = titles, dates


def title(token: "Token") -> str | None:
    """Return the proper name that a token belongs to, if the name contains a conjunction: "War and Peace"."""
    name: str | None = token.doc.user_data["titles"].get(token.i)
    return name


def phrase(token: "Token", without: tuple[str, ...] = ()) -> str:
    """Return a noun or adjective with its modifiers, but no article, relative clause, apposition or conjunction."""
    whole = title(token)
    if whole is not None:
        return whole
    kept = {token.i}
    stack = [token]
    while stack and len(kept) < _LONGEST:
        for child in stack.pop().children:
            wanted = (child.dep_ in _INNER and not (child.dep_ == "advmod" and child.i > child.head.i)) or (
                child.dep_ == "det" and child.lower_ not in _BARE
            )
            of = child.dep_ == "prep" and child.lower_ == "of" and token.pos_ != "ADJ"
            inner = child.head.dep_ == "prep" and child.dep_ == "pobj"
            hyphen = child.dep_ == "punct" and child.text == "-"
            own_case = child.dep_ == "case" and child.head.i == token.i and token.dep_ not in ("pobj", "dobj")
            named = token.pos_ == "PROPN" and not any(c.dep_ == "det" for c in token.children)
            pet = child.dep_ in ("amod", "compound") and named and child.lower_ in ADDRESSED
            dated = child.ent_type_ == "DATE" and token.pos_ == "PROPN" and token.ent_type_ != "DATE"
            deeper = child.dep_ == "det" and child.head.i != token.i
            case = child.dep_ == "case" and child.head.i == token.i and token.dep_ in ("pobj", "dobj")
            left_out = (
                own_case or pet or dated or child.dep_ in without or not (wanted or case or of or inner or hyphen)
            )
            if left_out and not deeper:
                continue
            kept.add(child.i)
            stack.append(child)
    kept |= {*token.doc.user_data["dates"].get(token.i, ())}
    return "".join(
        token.doc[i].text_with_ws if i + 1 in kept else token.doc[i].text + " " for i in sorted(kept)
    ).strip()
