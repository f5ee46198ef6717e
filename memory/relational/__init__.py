"""Relational memory (SGC-RSS: schema-guided consolidation, relational semantic store): what is true."""

from typing import TYPE_CHECKING

import memory.relational.table  # noqa: F401 - declares its tables
from memory.lazy import lazy
from memory.relational.aliases import Alias, Aliases
from memory.relational.contradictions import Contradiction
from memory.relational.extract import Extractor, TemplateExtractor
from memory.relational.graph import KG
from memory.relational.names import FUNCTIONAL, normalise
from memory.relational.schema import Frame, Routing, SchemaIndex
from memory.relational.subgraph import FoundFact, Subgraph
from memory.relational.tuples import Fact, Tuple

if TYPE_CHECKING:
    from memory.relational.rules import RuleExtractor, TupleExtractor
else:
    __getattr__ = lazy(__name__, {"rules": "RuleExtractor TupleExtractor"})

__all__ = [
    "FUNCTIONAL",
    "KG",
    "Alias",
    "Aliases",
    "Contradiction",
    "Extractor",
    "Fact",
    "FoundFact",
    "Frame",
    "Routing",
    "RuleExtractor",
    "SchemaIndex",
    "Subgraph",
    "TemplateExtractor",
    "Tuple",
    "TupleExtractor",
    "normalise",
]
