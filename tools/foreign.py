"""Tools that come as JSON schemas: from an MCP server, a catalogue, another program."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel
from referencing import Registry

from memory.clean import clean_text, text_of
from tools.errors import ToolArgumentError, ToolSchemaError
from tools.schema import MAX_STRING, tidy_schema, unexpressed
from tools.tool import DEFAULT_TIMEOUT, Tool, check_options
from tools.types import ToolResult

MAX_DESCRIPTION = 200
"""Longest description of a tool of others, in characters: a small model reads all of them at every step."""


@dataclass(frozen=True)
class SchemaTool(Tool):
    """A tool whose arguments are checked against a JSON schema; :func:`from_schema` makes one.

    Attributes:
        original: Its name where it comes from, which may have dots and dashes.
        validator: Checks arguments against the schema as it was given.
    """

    original: str = ""
    validator: Draft202012Validator = field(default_factory=lambda: Draft202012Validator({}), repr=False, compare=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with arguments by name, checked against the schema.

        Raises:
            ToolArgumentError: They don't fit, or some are given without a name.
        """
        if args:
            raise ToolArgumentError(f"{self.name} takes its arguments by name")
        checked = self.validate(kwargs)
        if isinstance(checked, ToolResult):
            raise ToolArgumentError(checked.text)
        return self.function(**checked)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any] | ToolResult:
        """Return the arguments, or an ``invalid`` result that says what was expected."""
        given = dict(arguments)
        try:
            problems = [_told(error) for error in self.validator.iter_errors(given)]
        except Exception as error:  # the boundary: a schema of others may refer to what is not there
            return ToolResult.invalid(f"{self.name}: its arguments can't be checked: {text_of(error)}")
        if problems:
            return ToolResult.invalid(f"{self.signature()} expected; {'; '.join(problems[:3])}")
        return given


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

MAX_NAME = 64


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
    kept |= {key: node[key] for key in ("enum", "const") if key in node}
    if "properties" in node:
        kept["properties"] = {name: _plainer(value) for name, value in node["properties"].items()}
    if kept.get("type") == "string" and not {"enum", "const", "maxLength"} & set(kept):
        kept["maxLength"] = MAX_STRING
    return kept


def _told(error: Any) -> str:
    place = ".".join(map(str, error.absolute_path)) or "arguments"
    words = str(error.message)
    return f"{place}: {words if len(words) <= MAX_DESCRIPTION else words[:MAX_DESCRIPTION] + '…'}"


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


def from_schema(
    name: str,
    description: str,
    schema: Mapping[str, Any],
    call: Callable[[dict[str, Any]], Any],
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> SchemaTool:
    """Make a tool of a JSON schema.

    Args:
        name: Its name; what the model writes has an underscore for every sign that is no letter or digit.
        description: What it does; the model reads the first line, at most :data:`MAX_DESCRIPTION` characters.
        schema: JSON schema (2020-12) of its arguments, an object.
        call: Runs it with the arguments; gives a :class:`~tools.ToolResult`, or anything else to be told as text.
        timeout: Seconds before a call counts as failed.

    Raises:
        ToolSchemaError: The schema is none, is not that of an object, or can't be generated under a grammar.
    """
    check_options(None, timeout, None, ())
    if not isinstance(schema, Mapping):
        raise ToolSchemaError(f"tool {name!r}: its schema is no object, got {type(schema).__name__}")
    plain = re.sub(r"\W+", "_", clean_text(name), flags=re.ASCII).strip("_")
    plain = f"tool_{plain}" if not plain or plain[0].isdigit() else plain
    if len(plain) > MAX_NAME:
        raise ToolSchemaError(f"tool {plain[:MAX_NAME]!r}…: its name has more than {MAX_NAME} characters")
    try:
        tidy = _tidy(name, schema)
    except RecursionError as error:
        raise ToolSchemaError(f"tool {name!r}: its schema is nested too deeply: make it flatter") from error
    lines = clean_text(description).strip().splitlines() or [plain]
    first = lines[0].strip().rstrip(".")

    def function(**arguments: Any) -> Any:
        return call(arguments)

    return SchemaTool(
        plain,
        first if len(first) <= MAX_DESCRIPTION else f"{first[:MAX_DESCRIPTION]}…",
        function,
        BaseModel,
        tidy,
        timeout=timeout,
        original=name,
        validator=Draft202012Validator(schema, registry=Registry()),  # nothing is fetched
    )
