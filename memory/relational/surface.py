"""Names as they were told: the graph compares names in lower case, and shows them in their surface form."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import networkx as nx

from memory.relational.tuples import Fact

if TYPE_CHECKING:
    from memory.relational.graph import KG


def surface(name: str, words: Iterable[str]) -> str:
    """A stored name as the first of several texts has it; the name itself if none does.

    Where a text has it more than once, one with a capital inside a sentence is meant: ``surface("will", ["One day Will
    will come"])`` is ``"Will"``.
    """
    spaced = r"\s+".join(map(re.escape, name.split()))
    pattern = re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)
    for text in words:
        found = [*pattern.finditer(text)]
        if found:
            inside = (one for one in found if one.group() != one.group().lower() and not _begins(text, one.start()))
            return " ".join(next(inside, found[0]).group().split())
    return name


def _begins(text: str, at: int) -> bool:
    return re.search(r"(^|[.!?:])\s*$", text[:at]) is not None


def sentences(graph: "KG", facts: Sequence[Fact]) -> list[str]:
    """Facts as short sentences, each name as its fact's oldest origin has it."""
    words = _words(graph, [fact.id for fact in facts])
    return [
        f"{surface(fact.head, words.get(fact.id, ()))} {fact.relation.replace('_', ' ')}"
        f" {surface(fact.tail, words.get(fact.id, ()))}"
        for fact in facts
    ]


def surface_forms(graph: "KG", entities: Sequence[str]) -> list[str]:
    """Entities of facts that hold now, as the first fact of each was told."""
    held = graph.graph
    told = {name: next((edge[2] for edge in _edges(held, name)), 0) for name in entities}
    words = _words(graph, told.values())
    return [surface(name, words.get(fact, ())) for name, fact in told.items()]


def _edges(held: "nx.MultiDiGraph[str]", name: str) -> Iterator[tuple[str, str, int]]:
    yield from held.out_edges(name, keys=True)
    yield from held.in_edges(name, keys=True)


def _words(graph: "KG", facts: Iterable[int]) -> Mapping[int, list[str]]:
    """What was said of facts, oldest first; what was forgotten leaves no words."""
    rows = graph.store.db.execute(
        "SELECT item_id, text_span FROM provenance WHERE item_table = 'facts' AND role = 'said' AND text_span != ''"
        " AND item_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(facts)),),
    )
    found: dict[int, list[str]] = {}
    for fact, words in rows.fetchall():
        found.setdefault(fact, []).append(words)
    return found
