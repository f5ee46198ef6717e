"""Coreference within one text: which name a pronoun or a shorter name refers to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory.relational.language.nouns import names_role, noun_kind
from memory.relational.parse import first, joined, phrase

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

    NamesOf = Callable[[Token, bool], list[tuple[str, float]]]

_HE = {"he", "him", "his", "himself"}
_SHE = {"she", "her", "hers", "herself"}
_IT = {"it", "its", "itself"}
_I = {"i", "me", "my", "mine", "myself"}
_WE = {"we", "us", "our", "ours", "ourselves"}
_THEY = {"they", "them", "their", "theirs", "themselves"}

_MEN = frozenset(
    "man boy king father brother son uncle husband grandfather nephew prince widower actor sir mr lord gentleman"
    " adam alan albert alexander andrew anthony arthur ben benjamin brian bruce charles christopher daniel david"
    " dennis donald douglas edward eric ernest francis frank fred george gerald gregory harold harry henry howard"
    " hugh isaac jack jacob james jason jeffrey joe john jonathan joseph joshua justin karl kenneth kevin larry"
    " leonard louis mark martin matthew michael nathan nicholas noah oliver oscar otto patrick paul peter philip"
    " ralph raymond richard robert roger ronald roy russell ryan sam samuel scott sean simon stephen steven thomas"
    " tim timothy tom victor vincent walter wayne william bo emil bruno joshua luca andrea nikita".split()
)
_WOMEN = frozenset(
    "woman girl queen mother sister daughter aunt wife grandmother niece princess widow actress mrs ms miss lady"
    " alice amy angela ann anne barbara beth betty carol caroline catherine charlotte christine claire deborah"
    " diane dorothy elizabeth ellen emily esther florence frances grace hannah helen irene isabel jane janet jean"
    " jennifer joan joyce judith julie karen kate katherine kathleen kelly kim laura lauren lucy margaret marie"
    " marilyn mary megan michelle nancy nicole pamela rachel rosemary ruth sarah sharon shirley susan victoria"
    " virginia frida".split()
)


_BODIES = frozenset(
    "hospital school company bank university college inc ltd corp club church museum hotel market street road library"
    " office department council group factory shop store restaurant café cafe theatre society association agency hall"
    " stadium album film band series committee clinic academy institute foundation airport station park army team"
    " choir".split()
)
"""Last words of names of organisations and places."""


@dataclass(slots=True)
class Mention:
    """Mention of an entity: its name, and the properties that decide which pronouns fit it."""

    name: str
    person: bool
    woman: bool | None
    subject: bool
    proper: bool = True

    @property
    def sure(self) -> bool:
        """Whether the name or the noun tells the sex, and is not only guessed from its ending."""
        words = self.name.lower().split()
        return any(word.strip(".") in _MEN | _WOMEN for word in (words[0], words[-1]))


@dataclass
class Discourse:
    """The entities that a text has mentioned so far.

    A pronoun refers to the last fitting subject, else to the last fitting mention. If no mention fits, or it is
    unclear which one is meant, it refers to nothing. "I" refers to the speaker.

    Attributes:
        speaker: Name of the speaker; empty if "I" refers to nothing.
        named_speaker: Whether it is a name, so that "we" includes it and notes may leave "I" out: "Sold the car".
        people: Full names of persons, in the order in which they were mentioned.
    """

    speaker: str = ""
    named_speaker: bool = False
    people: dict[str, None] = field(default_factory=dict)
    _called: dict[str, dict[str, None]] = field(default_factory=dict)
    _last: list[Mention] = field(default_factory=list)
    _group: list[str] = field(default_factory=list)
    _subjects: list[Mention] = field(default_factory=list)
    _topic: list[Mention] = field(default_factory=list)
    _age: int = 0

    def refer(self, pronoun: "Token") -> list[str]:
        """Return the names that a pronoun refers to; empty if that is unclear."""
        word = pronoun.lower_
        if word in _I or (word in _WE and self.named_speaker):
            return [self.speaker] if self.speaker else []
        here = self._earlier(pronoun)
        if word in _THEY:
            return self._pair(pronoun) or (list(self._group) if self._age <= 1 else [])
        if word in _IT:
            things = [m for m in (*here, *self._subjects, *self._topic) if not m.person]
            lonely = [m for m in self._last if not m.person]
            if not things and len(lonely) == 1:
                things = lonely
            return [things[0].name] if things else []
        if word not in _HE | _SHE:
            return []
        woman = word in _SHE
        others = [m for m in reversed(self._last) if m.person and m.woman in (woman, None)]
        others.sort(key=lambda m: not m.sure)
        if len({m.name for m in others}) > 1:
            others = [m for m in others if m.woman is woman]  # of several, only one whose name fits for sure
        everyone = [m for m in (*here, *self._subjects, *others, *self._topic) if m.person]
        people = [m for m in everyone if m.woman in (woman, None)]
        named = {m.name: m for m in everyone if m.proper and (m in people or not m.sure)}
        if len(named) == 1 and not any(m.proper for m in people):
            people = [*named.values()]  # rather a name whose sex is a guess than "the captain"
        known = [m for m in people if m.woman is not None]
        if not people and len({m.name for m in everyone if not m.sure}) == 1:
            people = [m for m in everyone if not m.sure]  # only one can be meant, of whose sex the name is no sure sign
        return [(known or people)[0].name] if people else []

    def _pair(self, pronoun: "Token") -> list[str]:
        """Return the joined subjects of an earlier clause of the same sentence: "Ada and Bo met, and they ..."."""
        for token in pronoun.doc[pronoun.sent.start : pronoun.i]:
            others = joined(token) if token.dep_ in ("nsubj", "nsubjpass") and token.pos_ == "PROPN" else []
            if others and pronoun.dep_ in ("nsubj", "nsubjpass"):
                return [self.full(one, phrase(one)) for one in (token, *others)]
        return []

    def full(self, noun: "Token", phrase: str) -> str:
        """Return the longer name that was mentioned before, if ``phrase`` is one word of it; else ``phrase``."""
        if noun.pos_ != "PROPN" or " " in phrase:
            return phrase
        word = phrase.lower()
        longer = self._called.get(word, {})
        return next(iter(longer)) if len(longer) == 1 else phrase

    def close(self, sentence: "Span", entities: "NamesOf") -> None:
        """Record the mentions of a sentence after it was read.

        Args:
            sentence: The sentence.
            entities: Function that returns the names that a noun stands for, such as
                :meth:`memory.relational.clauses.SentenceReader.entities`.
        """
        last: list[Mention] = []
        group: list[str] = []
        for token in sentence:
            if token.pos_ == "PRON" and token.dep_ in ("nsubj", "nsubjpass"):
                last += [m for name in self.refer(token) for m in self._known(name)]
            named = token.dep_ == "appos" and token.pos_ == "PROPN" and token.head.pos_ == "NOUN"
            if token.pos_ not in ("NOUN", "PROPN") or (
                token.dep_ in ("compound", "appos", "attr", "poss") and not named
            ):
                continue
            event = token.dep_ == "nsubj" and any(child.dep_ in ("poss", "det", "compound") for child in token.children)
            if token.ent_type_ in ("DATE", "TIME", "MONEY", "QUANTITY", "CARDINAL", "ORDINAL") and not event:
                continue
            names = [name for name, _ in entities(token, False)]
            if not names:
                continue
            subject = token.dep_ in ("nsubj", "nsubjpass") and first(token.head).dep_ == "ROOT"
            last.append(Mention(names[0], *_gender(token, names[0]), subject, _proper(token)))
            if token.pos_ == "PROPN" and " " in names[0] and last[-1].person:
                self.people.setdefault(names[0])
                for word in {names[0].lower().split()[0], names[0].lower().split()[-1]}:
                    self._called.setdefault(word, {}).setdefault(names[0])
            others = joined(token)
            things = token.pos_ == "NOUN" and not last[-1].person and any(m.subject and m.proper for m in last)
            if (others or _plural(token)) and (subject or not (group or things)):
                group = names + [name for other in others for name, _ in entities(other, False)]
        if last:
            self._subjects = [m for m in last if m.subject]
            self._last = last
            self._topic = self._topic or [m for m in last if m.subject]
        self._age += 1
        people = list(dict.fromkeys(m.name for m in last if m.person))
        if not group and len(people) == 2:
            group = people  # "Dev met Pooja. They are married."
        if group:
            self._group, self._age = [name for name in group if not name[:1].isdigit()], 0

    def _known(self, name: str) -> list[Mention]:
        return [Mention(m.name, m.person, m.woman, True) for m in self._last if m.name == name][:1]

    def _earlier(self, pronoun: "Token") -> list[Mention]:
        """Return the subjects before a pronoun in the same sentence: for "her" in "Ada sold her boat", the last first.

        A pronoun that is a subject itself refers only to subjects of clauses that its own clause is joined to.
        """
        verb = pronoun.head if pronoun.dep_ in ("nsubj", "nsubjpass") else None
        if pronoun.tag_ != "PRP$" and verb is None:
            return []
        mentions: list[Mention] = []
        for token in pronoun.sent:
            if token.i >= pronoun.i:
                break
            if token.dep_ not in ("nsubj", "nsubjpass") or token.pos_ not in ("PROPN", "NOUN"):
                continue
            if verb is not None and not (
                verb.dep_ in ("conj", "advcl", "ccomp", "parataxis") and token.head in verb.ancestors
            ):
                continue
            if token.pos_ == "NOUN" and verb is None:
                continue
            name = (
                phrase(token)
                if verb is not None
                else " ".join(t.text for t in token.subtree if t.dep_ in ("compound", "flat") or t.i == token.i)
            )
            mentions.insert(0, Mention(self.full(token, name), *_gender(token, name), True))
        if not mentions and verb is not None and verb.dep_ == "advcl":  # "before she joined Nokia, Johanna worked"
            for token in verb.head.children:
                if token.i > pronoun.i and token.dep_ in ("nsubj", "nsubjpass") and token.pos_ == "PROPN":
                    name = phrase(token)
                    mentions.append(Mention(self.full(token, name), *_gender(token, name), True))
        return mentions


def _plural(token: "Token") -> bool:
    """Return whether a noun is in the plural; "the Hendersons" is, whatever the parser says."""
    family = token.tag_ == "NNP" and token.text.endswith("s") and any(c.lower_ == "the" for c in token.children)
    return token.tag_ in ("NNS", "NNPS") or family


def _proper(token: "Token") -> bool:
    """Return whether a noun is a name; a capitalised noun without article counts, as parsers miss rare names."""
    bare = not any(child.dep_ in ("det", "poss", "amod", "nummod") for child in token.children)
    return token.pos_ == "PROPN" or (token.tag_ == "NN" and bare and token.text[:1].isupper())


def _gender(token: "Token", name: str) -> tuple[bool, bool | None]:
    """Return whether a noun is a person, and whether it is a woman; the latter is ``None`` if unknown."""
    first = name.lower().split()[0].strip(".")
    last = name.lower().split()[-1]
    if token.i in token.doc.user_data.get("quoted", ()) or last in _BODIES or first in _BODIES:
        return False, None
    if token.tag_ == "NNP" and any(child.lower_ == "the" for child in token.children):
        return False, None  # "the Roxy"
    for word in (first, last) if _proper(token) else (last, first):
        if word in _WOMEN:
            return True, True
        if word in _MEN:
            return True, False
    if not _proper(token):
        person = noun_kind(last) in ("person", None) and names_role(last)
        return person and token.ent_type_ == "", None
    if token.ent_type_ in ("GPE", "LOC", "FAC", "WORK_OF_ART", "PRODUCT", "EVENT", "LANGUAGE", "LAW"):
        return first.endswith(("a", "o")) and token.dep_ == "nsubj", True if first.endswith("a") else None
    if token.ent_type_ in ("PERSON", "", "ORG", "NORP"):
        return True, True if first.endswith(("a", "ie", "ine", "elle")) else (False if first.endswith("o") else None)
    return False, None
