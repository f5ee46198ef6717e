"""Endings: what a sentence says holds no longer, by denial ("no longer lives in") or by its verb ("sold").

Which words end which relations is in language/endings.txt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from memory.provenance import Provenance, origin_of

Relations = frozenset[str]


def _read(path: Path) -> dict[str, list[tuple[list[str], list[str]]]]:
    """Return the sections of the word list: for each line the words before and after its colon."""
    sections: dict[str, list[tuple[list[str], list[str]]]] = {}
    text = path.read_text(encoding="utf-8").replace("\n    ", " ")
    lines: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            before, _, after = line.partition(": ")
            lines.append((before.split(), after.split()))
    return sections


_LISTS = _read(Path(__file__).parent / "language" / "endings.txt")
_FAMILY = {names[0]: frozenset(relations) for names, relations in _LISTS["families"]}


def _united(words: Iterable[str]) -> Relations:
    return frozenset().union(*(_FAMILY.get(word, {word}) for word in words))


def _table(section: str) -> Mapping[str, Relations]:
    return {word: _united(after) for words, after in _LISTS[section] for word in words}


def _opposites(section: str) -> Mapping[str, Relations]:
    opposed: dict[str, set[str]] = {}
    for one, other in _LISTS[section]:
        for words, against in ((one, other), (other, one)):
            for word in words:
                opposed.setdefault(word, set()).update(against)
    plain = {word.replace("_", " "): {one.replace("_", " ") for one in against} for word, against in opposed.items()}
    return {word: frozenset(against) for word, against in plain.items()}


OWNING, PARTNERS, WORKING, ILLNESS = (_FAMILY[name] for name in ("owning", "partners", "working", "illness"))

ENDING_VERBS = _table("verbs with an object")
"""Verbs whose object no longer stands in one of these relations to the subject."""

ENDING_PREPOSITIONS = _table("verbs with a preposition")
"""The same for a verb with a preposition and its object."""

ENDS_ALL = _table("without an object")
"""Verbs and qualities without an object that end all facts of their subject in these relations."""

ENDS_FOR_OBJECT = _table("verbs that end what their object has with the subject")
"""Verbs that end what their object has with their subject: "Acme fired Ada"."""

ENDS_FOR_OTHERS = _table("verbs that end what others have with their subject")
"""Verbs that end what others have with their subject: "the band split up"."""

TIES = _table("nouns of ties to the object of their preposition")
"""Nouns that name a tie to the object of their preposition: who ends "the subscription to X" no longer has X."""

LEADS_TO = {word: after[0].replace("_", " ") for words, after in _LISTS["states that verbs lead to"] for word in words}
"""Verbs, and the state that their object is in afterwards; their subject, if they have no object."""

TRANSFERS = {word: after[0] for words, after in _LISTS["verbs of transfer"] for word in words}
"""Verbs, and what their object is to the recipient afterwards."""

MOVES_DATE = frozenset(word for words, _ in _LISTS["verbs that move a date"] for word in words)
"""Verbs whose subject or object happens at another time afterwards."""

JOBS = frozenset(word.replace("_", " ") for word in _LISTS["jobs"][0][1])
"""Objects of "quit" and "lose" that mean any employer."""

SYMMETRIC = frozenset(_LISTS["symmetric"][0][1])
"""Relations that an ending finds in both directions."""

_SAME = tuple(_united(words) for _, words in _LISTS["same when denied"])

OPPOSITES = _opposites("opposite relations")
"""Relations and those that can't hold of the same two entities at the same time."""

OPPOSITE_STATES = _opposites("opposite states")
"""Tails of ``is`` and those that can't hold of one entity at the same time."""


def denied(relation: str) -> Relations:
    """Return the relations that a denial of ``relation`` denies."""
    return frozenset({relation}).union(*(family for family in _SAME if relation in family))


def ends(relation: str) -> Relations:
    """Return the relations that are over where a fact in ``relation`` is: with ``works_at``, ``teaches_at``, too."""
    families = (family for family in _FAMILY.values() if relation in family)
    return denied(relation).union(*families)


@dataclass(frozen=True, slots=True)
class Ending:
    """Statement that something holds no longer.

    Attributes:
        head: Name of an entity.
        relations: Relations of the facts that end, with the entity as head, or as the owner of ``owned_by``.
        tail: Name of the other entity; ``None`` for all of these facts.
        time: When they ended, in seconds since the epoch; ``None`` for the time of the telling.
        provenance: Who says so.
        of_others: Whether it ends what others have with the entity, and not what it has: of a pet that died, of a firm
            that closed.
    """

    head: str
    relations: Relations
    tail: str | None = None
    time: float | None = None
    provenance: Provenance | str | None = None
    of_others: bool = False

    def covers(self, relation: str) -> bool:
        """Return whether facts in a relation end: who leaves a firm no longer ``cooks_at`` or ``plays_for`` it."""
        if self.of_others and "works_at" in self.relations and relation.endswith(("_at", "_for", "_of", "_with")):
            return True
        at = self.tail is not None and "works_at" in self.relations and relation.endswith(("_at", "_for"))
        return at or relation in self.relations

    @property
    def origin(self) -> Provenance:
        """The provenance, complete."""
        return origin_of(self.provenance)

    def derived_from(self, *rows: tuple[str, int]) -> "Ending":
        """Return the ending as derived from some rows."""
        return replace(self, provenance=replace(self.origin, derived_from=rows))
