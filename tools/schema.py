"""From a typed signature to a pydantic model and a JSON schema that a grammar can express."""

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from memory.clean import clean_text
from tools.context import ToolContext
from tools.errors import ToolSchemaError

MAX_STRING = 120
"""Longest string argument, in characters, where the signature sets no other limit."""

MAX_PARTS = 5_000
"""Most parts of a tool's schema, references written out."""

_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose value has names of the writer's own."""

_NOISE = frozenset({"title", "uniqueItems"})
_WORDS = ("description", "default")
"""Keywords that say something to who reads the schema, and forbid nothing."""

_FORMATS = frozenset({"email", "hostname", "ipv4", "ipv6", "uuid"})
"""Formats that the grammar knows as strictly as pydantic; a path or bytes is any text."""

_LOOSE = frozenset({"path", "binary", "password"})
"""Formats of which pydantic takes any text."""

_DAY = r"(19|20)\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
_HOUR = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_PATTERNS = {
    "date": f"^{_DAY}$",
    "time": f"^{_HOUR}$",
    "date-time": f"^{_DAY}T{_HOUR}Z$",
    "duration": r"^(P\d{1,4}D|PT\d{1,6}[HMS])$",
    "uri": r"^https?://[a-z0-9]{1,30}(\.[a-z]{2,10}){1,3}(/[A-Za-z0-9._~-]{1,40}){0,4}$",
}
"""Patterns of the formats of which the grammar allows more than pydantic takes, such as 31 February."""


class _Schema(GenerateJsonSchema):
    """JSON schema in which a decimal number is a number, not also any text."""

    def decimal_schema(self, schema: Any) -> dict[str, Any]:
        return self.float_schema(schema)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a function.

    Attributes:
        model: Pydantic model of those that a caller gives; its fields have the names as aliases.
        injected: Name of the parameter that gets the :class:`~tools.context.ToolContext`; empty if none does.
    """

    model: type[BaseModel]
    injected: str


def parameters_of(
    function: Callable[..., Any], name: str, described: Mapping[str, str] = MappingProxyType({})
) -> Parameters:
    """Read the parameters of ``function``, ``self`` left out.

    Args:
        function: The function.
        name: Name of the tool, for errors.
        described: Descriptions of parameters; one in the type hint goes before.

    Raises:
        ToolSchemaError: A parameter without a type hint, a ``*args`` or ``**kwargs``, or a type
            that JSON can't carry.
    """
    bound: Mapping[str, Any] = {}
    whole = function
    while isinstance(function, functools.partial):
        bound = {**function.keywords, **bound}
        function = function.func
    try:
        hints = get_type_hints(
            function if inspect.isroutine(function) else type(function).__call__, include_extras=True
        )
    except Exception as error:
        raise ToolSchemaError(f"tool {name!r}: can't resolve its type hints: {error}") from error
    fields: dict[str, Any] = {}
    injected = ""
    try:
        parameters = [*inspect.signature(whole).parameters.values()]
    except (TypeError, ValueError) as error:
        raise ToolSchemaError(f"tool {name!r} has no signature to make a schema of: {error}") from error
    for number, parameter in enumerate(parameters):
        if (parameter.name == "self" and parameter.name not in hints) or parameter.name in bound:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ToolSchemaError(f"tool {name!r}: parameter {parameter} can't be given by name; use a plain one")
        if parameter.name not in hints:
            raise ToolSchemaError(f"tool {name!r}: parameter {parameter.name!r} needs a type hint")
        if _is_context(hints[parameter.name]):
            if injected:
                raise ToolSchemaError(
                    f"tool {name!r}: {injected} and {parameter.name} are both the context: one is enough"
                )
            injected = parameter.name
            continue
        if (key := _key_type(hints[parameter.name])) is not None:
            raise ToolSchemaError(
                f"tool {name!r}: parameter {parameter.name!r} is a dict with keys of type {key}; JSON's keys are texts:"
                " use dict[str, ...]"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        words = described.get(parameter.name, "") if _described(hints[parameter.name]) is None else ""
        about: dict[str, Any] = {"description": words} if words else {}
        fields[f"argument_{number}"] = (hints[parameter.name], Field(default, alias=parameter.name, **about))
    try:
        config = ConfigDict(extra="forbid", allow_inf_nan=False)
        model: type[BaseModel] = create_model(name, __config__=config, **fields)
        model.model_json_schema()
    except Exception as error:  # pydantic has an error type of its own for each reason
        reason = " ".join(str(error).split("\n")[:2])
        raise ToolSchemaError(f"tool {name!r}: JSON can't carry its parameters: {reason}") from error
    return Parameters(model, injected)


def _is_context(hint: Any) -> bool:
    """Return whether a type hint is that of the context, or of the context or nothing."""
    inner = get_args(hint)
    return hint is ToolContext or (ToolContext in inner and all(one in (ToolContext, type(None)) for one in inner))


def _described(hint: Any) -> str | None:
    """Return the description in a type hint, ``None`` if it has none."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note.description for note in notes if isinstance(note, FieldInfo) and note.description), None)


def _key_type(hint: Any) -> str | None:
    """Return the type of a dictionary's keys anywhere in a type hint, if it is not ``str``."""
    inner = get_args(hint)
    origin = get_origin(hint)
    keyed = isinstance(origin, type) and issubclass(origin, Mapping)
    if keyed and inner and inner[0] not in (str, Any):
        return getattr(inner[0], "__name__", str(inner[0]))
    return next((key for part in inner if (key := _key_type(part)) is not None), None)


def parameters_schema(model: type[BaseModel], name: str = "") -> dict[str, Any]:
    """Return the model's JSON schema: ``$ref``s inlined, objects closed, strings bounded, in terms that a grammar has.

    Raises:
        ToolSchemaError: A type that contains itself, or that no grammar can express.
    """
    tidy = tidy_schema(model.model_json_schema(schema_generator=_Schema))
    for argument, node in tidy["properties"].items():
        if problem := unexpressed(node):
            raise ToolSchemaError(
                f"tool {name!r}: parameter {argument!r} can't be generated under a grammar: {problem}"
            )
    return tidy


def tidy_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with ``$ref``s inlined, objects closed, and strings bounded.

    Raises:
        ToolSchemaError: A type contains itself, or a reference leads nowhere.
    """
    bare = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema", "$id")}
    known = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    try:
        tidy: dict[str, Any] = _inline(bare, known, (), [0])
    except RecursionError as error:
        raise ToolSchemaError("the schema is nested too deeply: make it flatter") from error
    tidy.setdefault("properties", {})
    tidy.setdefault("required", [])
    return tidy


def unexpressed(schema: Mapping[str, Any]) -> str:
    """Return why no grammar can express a JSON schema; empty if one can."""
    from llguidance import LLMatcher

    if (form := _strict_form(schema)) is not None:
        return f"no grammar has the form {form!r}: take a str, and check it in the tool"
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema, default=float))
    return " ".join(str(LLMatcher.validate_grammar(grammar, None)).split())


def _strict_form(node: Any) -> str | None:
    """Return a form of texts, anywhere in a schema, of which a grammar would offer texts that pydantic refuses."""
    if isinstance(node, list):
        return next((form for item in node if (form := _strict_form(item)) is not None), None)
    if not isinstance(node, dict):
        return None
    form = node.get("format") or node.get("contentMediaType")
    if isinstance(form, str) and form not in _FORMATS:
        return form
    parts = (item for key, item in node.items() if key not in ("default", "enum", "const"))
    return next((form for item in parts if (form := _strict_form(item)) is not None), None)


def _inline(node: Any, definitions: Mapping[str, Any], path: tuple[str, ...], size: list[int]) -> Any:
    """Return a schema with its references written out.

    Args:
        node: The schema, or a part of it.
        definitions: What references may lead to.
        path: Names of the references that led here.
        size: How many parts there are so far; one number, which is counted up.

    Raises:
        ToolSchemaError: A type contains itself, a reference leads nowhere, or there is no end.
    """
    size[0] += 1
    if size[0] > MAX_PARTS:
        raise ToolSchemaError(f"the schema has more than {MAX_PARTS:,} parts, references written out: make it smaller")
    if isinstance(node, list):
        return [_inline(item, definitions, path, size) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = re.sub(r"^#/(\$defs|definitions)/", "", reference)
        if name not in definitions:
            raise ToolSchemaError(f"the schema refers to {reference!r}, which it does not hold")
        if name in path:
            raise ToolSchemaError(f"type {name} contains itself: a tool's arguments must have bounded depth")
        whole = _inline(definitions[name], definitions, (*path, name), size)
        return whole | _words_of(node) if isinstance(whole, dict) else whole
    tidy: dict[str, Any] = {}
    for key, value in node.items():
        if key in _NAMED and isinstance(value, dict):  # names of the writer's own stand here, not keywords
            tidy[key] = {name: _inline(part, definitions, path, size) for name, part in value.items()}
        elif key in ("enum", "const", "required"):
            tidy[key] = value
        elif key not in _NOISE and key not in _WORDS:
            tidy[key] = _inline(value, definitions, path, size)
    tidy |= _words_of(node)
    told = [part for part in tidy.get("anyOf", ()) if isinstance(part, dict) and "description" in part]
    if len(told) == 1 and "description" not in tidy:  # an optional argument is described like others
        tidy["description"] = told[0].pop("description")
    for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
        if isinstance(tidy.get(bound), Decimal):
            tidy[bound] = float(tidy[bound])
    if node.get("type") == "object" and "additionalProperties" not in node:
        tidy["additionalProperties"] = False
    form = node.get("format")
    if isinstance(form, str) and form in _PATTERNS:
        tidy["pattern"] = _PATTERNS[form]
        del tidy["format"]
    elif isinstance(form, str) and form in _LOOSE:
        del tidy["format"]
    if tidy.get("type") == "string" and not {"enum", "const", "maxLength", "format", "pattern"} & set(tidy):
        tidy["maxLength"] = MAX_STRING
    return tidy


def _words_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return description and default of a part of a schema, the description in one line of clean text."""
    words = {}
    if isinstance(node.get("description"), str):
        words["description"] = " ".join(clean_text(node["description"]).split())
    with suppress(ValueError, TypeError, RecursionError):  # a default that is no JSON is not told
        if "default" in node:
            words["default"] = json.loads(json.dumps(node["default"], allow_nan=False))
    return words


def narrowed(schema: Mapping[str, Any], choices: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Return the schema with the named properties limited to ``choices``."""
    properties = dict(schema["properties"])
    for name, values in choices.items():
        kind = {"type": "string"} if all(isinstance(value, str) for value in values) else {}
        properties[name] = {**kind, "enum": values, **_words_of(properties.get(name, {}))}
    return {**schema, "properties": properties}
