"""Namesakes: one name in two documents may be two people; what is known of them decides, not the name alone."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from memory.relational.aliases import Aliases
from memory.relational.endings import Ending
from memory.relational.exclusion import Exclusion
from memory.relational.language.nouns import fits, noun_kind
from memory.relational.names import document_of, normalise, relation_name
from memory.relational.tuples import MAX_NAME, Tuple
from memory.store import Store

FIXED = frozenset(
    {"born_in", "born_on", "born", "dies_in", "died_in", "died_on", "dies_on", "birthday", "mother", "father"}
)
"""Relations that never change: two values are two people."""

PARTNER = frozenset({"married_to", "wife_of", "husband_of", "spouse_of"})
"""Relations of which people mostly have one."""

SAME_TIME = 86400.0
"""Seconds between two tellings within which another home or employer is no news of the same person."""

_CHANGE = re.compile(
    r"\b(now|mov(e|es|ed|ing)|relocat\w+|join(s|ed|ing)?|start(s|ed|ing)?|switch\w*|became|becomes|new|recently|since|left"
    r"|leaves|leaving|longer|anymore|any more|chang\w+|transfer\w*|settl\w+|returned|back|hired|promoted|today"
    r"|this week)\b",
    re.IGNORECASE,
)
"""Words of a sentence that tells news: what it says may well differ from what was known."""


@dataclass
class _Known:
    """What is known of one entity: its facts by relation, and the documents and times that they were told in."""

    name: str
    facts: dict[str, set[str]] = field(default_factory=dict)
    documents: set[str] = field(default_factory=set)
    latest: float = float("-inf")


class Namesakes:
    """Tells apart entities of one name, by what the documents say that name them.

    An entity that is told apart has the document in parentheses after its name. ``kg.merge`` joins what is one.

    Args:
        store: The database.
        aliases: Groups of names that stand for one entity.
        functional: Relations with one tail per head at a time.
    """

    def __init__(self, store: Store, aliases: Aliases, functional: Collection[str]) -> None:
        self.store = store
        self.aliases = aliases
        self.functional = functional
        self.exclusion = Exclusion(store, aliases)

    def told_apart(self, told: Sequence[Tuple | Ending], read: bool) -> list[Tuple | Ending]:
        """Return statements with other names for those that may be others than the known ones of that name.

        Args:
            told: The statements.
            read: Whether they were read in documents. What is told as tuples is about the one of that name that the
                teller knows, except for names of several words.
        """
        by_document: dict[str, list[Tuple | Ending]] = {}
        for item in told:
            by_document.setdefault(document_of(item.origin.doc_id), []).append(item)
        chosen: dict[tuple[str, str], str] = {}
        for document, items in by_document.items():
            if document:
                chosen |= {(document, name): entity for name, entity in self._chosen(document, items, read)}
        if not chosen:
            return list(told)
        return [_renamed(item, chosen, document_of(item.origin.doc_id)) for item in told]

    def _chosen(self, document: str, items: Sequence[Tuple | Ending], read: bool) -> Iterable[tuple[str, str]]:
        """Yield the names of a document that stand for another entity than the one of that name."""
        statements: dict[str, list[Tuple]] = {}
        names: set[str] = set()
        for item in items:
            names |= {normalise(name) for name in (item.head, item.tail) if isinstance(name, str)}
            if isinstance(item, Tuple) and isinstance(item.head, str) and isinstance(item.relation, str):
                statements.setdefault(normalise(item.head), []).append(item)
        for name in sorted(names):
            if not name or len(name) + len(document) > MAX_NAME - 3 or not (read or " " in name):
                continue
            own = f"{name} ({document.lower()})"
            if self._exists(own):
                yield name, own
                continue
            new = [item for item in statements.get(name, ()) if self._telling(item)]
            if not new:
                continue
            candidates = [name, *self._variants(name)]
            known = [self._known(candidate) for candidate in candidates]
            if any(document in one.documents for one in known) or not known[0].facts:
                continue
            free = [one for one in known if not self._other(one, name, new)]
            if not free:
                yield name, own
            elif free[0].name != name:
                yield name, max(free, key=lambda one: _agreement(one, new)).name

    def _telling(self, item: Tuple) -> bool:
        """Return whether a statement says something that a namesake could not say too."""
        relation = relation_name(item.relation)
        return item.until is None and (relation in {*FIXED, *PARTNER, "is_a"} or relation in self.functional)

    def _exists(self, name: str) -> bool:
        row = self.store.db.execute(
            "SELECT 1 FROM facts WHERE head = ? UNION ALL SELECT 1 FROM facts WHERE tail = ? LIMIT 1", (name, name)
        ).fetchone()
        return row is not None

    def _variants(self, name: str) -> list[str]:
        """Return the entities of one name that were told apart, in alphabetical order."""
        rows = self.store.db.execute(
            "SELECT DISTINCT head FROM facts WHERE head >= ? AND head < ? ORDER BY head", (f"{name} (", f"{name} )")
        )
        return [head for (head,) in rows.fetchall() if head.endswith(")")]

    def _known(self, name: str) -> _Known:
        names = self.aliases.names(name)
        rows = self.store.db.execute(
            "SELECT f.relation, f.tail, p.doc_id, p.time FROM facts f JOIN provenance p ON p.item_table = 'facts'"
            f" AND p.item_id = f.id AND p.role = 'said' WHERE f.head IN ({', '.join('?' * len(names))})"
            " AND f.valid_to IS NULL",
            names,
        )
        known = _Known(name)
        for relation, tail, document, time in rows.fetchall():
            known.facts.setdefault(relation, set()).add(tail)
            known.documents.add(document_of(document))
            known.latest = max(known.latest, time)
        return known

    def _other(self, known: _Known, name: str, new: Sequence[Tuple]) -> bool:
        """Return whether new statements are about somebody else than what is known.

        They are where something that never changes differs; where the kind differs and a home, an employer or the like
        too; or where such differ at about the same time of telling for a name of several words, and nothing says it is
        news.
        """
        if not known.documents - {""}:
            return False
        differing = set()
        for item in new:
            relation, tail = relation_name(item.relation), normalise(item.tail)
            before = known.facts.get(relation, set())
            if not before or not all(self.exclusion.excludes(relation, tail, one) for one in before):
                continue
            alike = [one for one in before if _same_type(tail, one)]
            if relation in FIXED and alike and all(unlike(tail, one) for one in alike):
                return True
            if relation == "is_a" and bool(_roles({tail}) or _roles(before)) and not _roles({tail}) & _roles(before):
                differing.add("kind")
            if relation in PARTNER:
                differing.add("partner")
            news = _CHANGE.search(item.origin.text_span) is not None
            if relation in self.functional and fits(relation, item.tail) and not news:
                near = abs(item.origin.time - known.latest) < SAME_TIME
                differing.add("place at the same time" if near else "place")
        if len(differing) > 1 and differing != {"place", "place at the same time"}:
            return True
        return "place at the same time" in differing and len(name.split()) > 1


def _agreement(known: _Known, new: Sequence[Tuple]) -> int:
    return sum(normalise(item.tail) in known.facts.get(relation_name(item.relation), ()) for item in new)


def _roles(kinds: Iterable[str]) -> set[str]:
    """Return the head nouns of kinds that are roles of persons."""
    heads = (kind.partition(" of ")[0].rpartition(" ")[2] for kind in kinds)
    return {head for head in heads if noun_kind(head) == "person"}


def _same_type(value: str, other: str) -> bool:
    """Return whether two values are both dates or both names."""
    return any(c.isdigit() for c in value) == any(c.isdigit() for c in other)


def unlike(value: str, other: str) -> bool:
    """Return whether two values of one type can't both be true: neither is part of the other."""
    return _same_type(value, other) and value not in other and other not in value


def _renamed(item: Tuple | Ending, chosen: dict[tuple[str, str], str], document: str) -> Tuple | Ending:
    head = chosen.get((document, normalise(item.head))) if isinstance(item.head, str) else None
    tail = chosen.get((document, normalise(item.tail))) if isinstance(item.tail, str) else None
    if head is None and tail is None:
        return item
    if isinstance(item, Ending):
        return replace(item, head=head or item.head, tail=tail or item.tail)
    return replace(item, head=head or item.head, tail=tail or item.tail)
