"""Tools as a prompt lists them: descriptions of arguments cut to what there is room for."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.types import ToolSpec

LENGTHS = (200, 120, 80, 50, 30, 0)
"""Greatest lengths of one description, in characters, of which the first is taken with which all of them fit."""

MAX_DEFAULT = 24
"""Longest default that is shown, as JSON."""

_WORDS = ("description", "default")


def fitted(specs: Sequence[ToolSpec], most: int) -> list[ToolSpec]:
    """Return tools whose descriptions of arguments have at most ``most`` characters together.

    Every description is cut to the same length, at the end of a sentence where one ends before. What is inside of an
    argument is not described: a listing has one line for a tool.
    """
    lengths = (LENGTHS[-1],) if most <= 0 else LENGTHS
    for longest in lengths:
        cut = [_cut(spec, longest) for spec in specs]
        if sum(len(node.get("description", "")) for spec in cut for node in _arguments(spec)) <= most:
            break
    return cut


def _arguments(spec: ToolSpec) -> list[Mapping[str, Any]]:
    return [node for node in spec.parameters.get("properties", {}).values() if isinstance(node, Mapping)]


def _cut(spec: ToolSpec, longest: int) -> ToolSpec:
    properties = {name: _shorter(node, longest) for name, node in spec.parameters.get("properties", {}).items()}
    return replace(spec, parameters={**spec.parameters, "properties": properties})


def _shorter(node: Any, longest: int) -> Any:
    if not isinstance(node, Mapping):
        return node
    kept = {key: _bare(value, key) for key, value in node.items() if key not in _WORDS}
    words = str(node.get("description") or "")
    if len(words) > longest:
        sentence = re.split(r"(?<=[.!?;])\s", words)[0]
        words = sentence if len(sentence) <= longest else words[: max(longest - 1, 0)].rsplit(" ", 1)[0] + "…"
    words = words.rstrip(".;, ")
    if longest and words not in ("", "…"):
        kept["description"] = words
    if "default" in node and len(json.dumps(node["default"], default=str)) <= MAX_DEFAULT:
        kept["default"] = node["default"]
    return kept


def _bare(value: Any, key: str = "") -> Any:
    """Return a part of a schema without descriptions and defaults."""
    if isinstance(value, list) and key not in ("enum", "required"):
        return [_bare(item) for item in value]
    if not isinstance(value, Mapping) or key in ("enum", "const"):
        return value
    if key in ("properties", "patternProperties"):
        return {name: _bare(part) for name, part in value.items()}
    return {name: _bare(part, name) for name, part in value.items() if name not in _WORDS}
