"""Export of the graph for other programs: GraphML and JSON-LD."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import networkx as nx

from memory import provenance
from memory.errors import InvalidItemError
from memory.files import atomic_path
from memory.provenance import Provenance
from memory.relational.graph import KG
from memory.relational.tuples import Fact

_BASE = "urn:hippo:"


def export(kg: KG, path: Path) -> int:
    """Write the facts that hold now, with their sources, to a file atomically; return their count.

    Args:
        kg: The graph.
        path: The file; it ends in ``.graphml`` (Brandes et al. 2002) or ``.jsonld`` (W3C JSON-LD 1.1).

    Raises:
        InvalidItemError: The path has another ending.
        StorageError: The file can't be written.
    """
    if path.suffix not in (".graphml", ".jsonld"):
        raise InvalidItemError(f"expected a file that ends in .graphml or .jsonld, got {path.name!r}")
    facts = _facts(kg)
    with atomic_path(path) as part:
        if path.suffix == ".graphml":
            nx.write_graphml(_graphml(facts), part)
        else:
            part.write_text(json.dumps(_jsonld(facts), ensure_ascii=False, indent=1), encoding="utf-8")
    return len(facts)


def _facts(kg: KG) -> list[dict[str, Any]]:
    with kg.store.read() as db:
        ids = [fact_id for _, _, fact_id in kg.graph.edges(keys=True)]
        facts = [fact for start in range(0, len(ids), 10_000) for fact in kg.get_many(ids[start : start + 10_000])]
        records = []
        for start in range(0, len(facts), 10_000):
            part = facts[start : start + 10_000]
            sources = provenance.of_many(db, "facts", [fact.id for fact in part])
            records += [_fact(kg, fact, sources.get(fact.id, ())) for fact in part]
    return records


def _fact(kg: KG, fact: Fact, sources: Sequence[Provenance]) -> dict[str, Any]:
    return {
        "id": fact.id,
        "head": kg.aliases.entity(fact.head),
        "relation": fact.relation,
        "tail": kg.aliases.entity(fact.tail),
        "conf": fact.conf,
        "strength": fact.strength,
        "valid_from": fact.valid_from,
        "sources": [
            {"source": o.source, "doc_id": o.doc_id, "text_span": o.text_span, "time": o.time} for o in sources
        ],
    }


def _graphml(facts: list[dict[str, Any]]) -> "nx.MultiDiGraph[str]":
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for fact in facts:
        data = {name: fact[name] for name in ("relation", "conf", "strength", "valid_from")}
        data["relation"] = _legal(fact["relation"])
        graph.add_edge(
            _legal(fact["head"]), _legal(fact["tail"]), fact["id"], **data, sources=_legal(json.dumps(fact["sources"]))
        )
    return graph


def _legal(text: str) -> str:
    """Remove the control characters that XML can't contain."""
    return "".join(letter for letter in text if (letter >= " " or letter in "\t\n\r") and letter not in "\ufffe\uffff")


def _jsonld(facts: list[dict[str, Any]]) -> dict[str, Any]:
    def name(entity: str) -> str:
        return f"{_BASE}entity:{quote(entity)}"

    nodes: dict[str, dict[str, Any]] = {}
    statements = []
    for fact in facts:
        for entity in (fact["head"], fact["tail"]):
            nodes.setdefault(entity, {"@id": name(entity), "rdfs:label": entity})
        statements.append(
            {
                "@id": f"{_BASE}fact:{fact['id']}",
                "@type": "rdf:Statement",
                "rdf:subject": {"@id": name(fact["head"])},
                "rdf:predicate": {"@id": f"{_BASE}relation:{quote(fact['relation'])}"},
                "rdf:object": {"@id": name(fact["tail"])},
                **{key: fact[key] for key in ("conf", "strength", "valid_from", "sources")},
            }
        )
    context = {
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "@vocab": _BASE,
    }
    return {"@context": context, "@graph": [*nodes.values(), *statements]}
