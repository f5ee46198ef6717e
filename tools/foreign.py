"""Arguments of tools that come as JSON schemas: from an MCP server, a catalogue, another program."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from tools.errors import ToolArgumentError, ToolSchemaError
from tools.schema import MAX_STRING, tidy_schema, unexpressed

MAX_REASON = 200
"""Longest reason why an argument is refused, in characters."""


def _fits(pattern: str, text: str) -> bool:
    """Return whether a pattern of somebody else's fits a text; one that takes too long does not."""
    try:
        return regex.search(pattern, text, timeout=PATIENCE) is not None
    except (TimeoutError, regex.error):
        return False


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _fits(pattern, instance):
        yield ValidationError(f"{instance[:80]!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any) -> Iterator[Any]:
    for pattern, schema in patterns.items() if isinstance(instance, Mapping) else ():
        for name, value in instance.items():
            if _fits(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties}
)
"""JSON Schema whose regular expressions end: Python's own would hold up everything."""

PATIENCE = 0.2
"""Seconds for one regular expression."""


class SchemaArguments:
    """Arguments that are checked against a JSON schema, and given as they are.

    Args:
        name: Name of the tool, for errors.
        schema: JSON schema (2020-12), an object.

    Attributes:
        tidy: The schema in terms that a grammar has.
        names: Names of the arguments.

    Raises:
        ToolSchemaError: The schema is none, is not that of an object, or can't be generated under a grammar.
    """

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:
        if not isinstance(schema, Mapping):
            raise ToolSchemaError(f"tool {name!r}: its schema is no object, got {type(schema).__name__}")
        try:
            self.tidy = _tidy(name, schema)
        except RecursionError as error:
            raise ToolSchemaError(f"tool {name!r}: its schema is nested too deeply: make it flatter") from error
        self.names = tuple(self.tidy["properties"])
        self._validator = _Validator(schema, registry=Registry())  # nothing is fetched

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments.

        Raises:
            ToolArgumentError: They don't fit.
        """
        arguments = dict(given)
        if problems := [_told(error) for error in self._validator.iter_errors(arguments)]:
            raise ToolArgumentError("; ".join(problems[:3]))
        return arguments

    def takes(self, name: str, value: Any) -> bool:
        """Return whether one argument may have a value."""
        return bool(self._validator.evolve(schema=self.tidy["properties"][name]).is_valid(value))


_PLAIN = frozenset(
    (
        *("type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required", "additionalProperties"),
        *("items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    )
)
"""Keywords that every grammar has; what others demand is checked when the call is there."""


_NAME = re.compile(r"[^\W\d][\w.$@-]{0,63}")
"""Names of arguments; the model reads them."""


def _without_booleans(tidy: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of an object whose arguments are schemas: ``true`` is anything, ``false`` is not there."""
    properties = {name: {} if node is True else node for name, node in tidy["properties"].items() if node is not False}
    return {**tidy, "properties": properties}


_FORMS = frozenset({"date", "time", "date-time", "email", "uuid", "ipv4", "ipv6"})
"""Forms of texts that are written as they are everywhere; what others mean by an address differs."""


def _without_forms(node: Any) -> Any:
    """Return a schema without the forms of texts that are not :data:`_FORMS`."""
    if isinstance(node, list):
        return [_without_forms(item) for item in node]
    if not isinstance(node, dict):
        return node
    loose = isinstance(node.get("format"), str) and node["format"] not in _FORMS
    return {key: _without_forms(value) for key, value in node.items() if not (loose and key == "format")}


def _plainer(node: Any) -> Any:
    """Return a schema with the keywords of :data:`_PLAIN` only."""
    if isinstance(node, list):
        return [_plainer(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _plainer(value) for key, value in node.items() if key in _PLAIN and key != "properties"}
    kept |= {key: node[key] for key in ("enum", "const", "description", "default") if key in node}
    if "properties" in node:
        kept["properties"] = {name: _plainer(value) for name, value in node["properties"].items()}
    if kept.get("type") == "string" and not {"enum", "const", "maxLength"} & set(kept):
        kept["maxLength"] = MAX_STRING
    return kept


def _told(error: Any) -> str:
    place = ".".join(map(str, error.absolute_path)) or "arguments"
    words = str(error.message)
    return f"{place}: {words if len(words) <= MAX_REASON else words[:MAX_REASON] + '…'}"


def _tidy(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in terms that a grammar has.

    Raises:
        ToolSchemaError: It is none, is not that of an object, or can't be generated under a grammar.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ToolSchemaError(f"tool {name!r}: its schema is no JSON schema: {error.message}") from error
    if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), Mapping):
        raise ToolSchemaError(f"tool {name!r}: its arguments must be an object, got {schema.get('type')}")
    if odd := [argument for argument in schema.get("properties", {}) if not _NAME.fullmatch(argument)]:
        raise ToolSchemaError(f"tool {name!r}: {odd[0][:80]!r} is no name of an argument")
    tidy = _without_booleans(tidy_schema(_without_forms({"type": "object", **schema})))
    if unexpressed(tidy):
        tidy = _plainer(tidy)
    if problem := unexpressed(tidy):
        raise ToolSchemaError(f"tool {name!r} can't be generated under a grammar: {problem}")
    return tidy
