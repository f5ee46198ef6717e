"""From a typed signature to a pydantic model and a JSON schema."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticSchemaGenerationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema

from tools.errors import ToolSchemaError

MAX_STRING = 120
"""Longest string argument, in characters, where the signature sets no other limit."""

_NOISE = frozenset({"title", "default", "description"})


def parameters_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """Make the pydantic model of ``function``'s parameters, ``self`` left out.

    Raises:
        ToolSchemaError: A parameter without a type hint, a ``*args`` or ``**kwargs``, or a type
            that JSON can't carry.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ToolSchemaError(f"tool {name!r}: can't resolve its type hints: {error}") from error
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ToolSchemaError(f"tool {name!r}: parameter {parameter} can't be given by name; use a plain one")
        if parameter.name not in hints:
            raise ToolSchemaError(f"tool {name!r}: parameter {parameter.name!r} needs a type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, NameError) as error:
        raise ToolSchemaError(f"tool {name!r}: JSON can't carry its parameters: {error}") from error
    return model


def parameters_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's JSON schema: ``$ref``s inlined, objects closed, strings bounded.

    Raises:
        ToolSchemaError: A type that contains itself.
    """
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    tidy: dict[str, Any] = _inline(schema, definitions, ())
    tidy.setdefault("properties", {})
    tidy.setdefault("required", [])
    return tidy


def _inline(node: Any, definitions: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        name = str(reference).removeprefix("#/$defs/")
        if name in path:
            raise ToolSchemaError(f"type {name} contains itself: a tool's arguments must have bounded depth")
        return _inline(definitions[name], definitions, (*path, name))
    tidy = {key: _inline(value, definitions, path) for key, value in node.items() if key not in _NOISE}
    if "properties" in node:
        tidy["properties"] = {key: _inline(value, definitions, path) for key, value in node["properties"].items()}
    if node.get("type") == "object" and "additionalProperties" not in node:
        tidy["additionalProperties"] = False
    if node.get("type") == "string" and not {"enum", "const", "maxLength", "format"} & set(node):
        tidy["maxLength"] = MAX_STRING
    return tidy


def narrowed(schema: Mapping[str, Any], choices: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the schema with the named string properties limited to ``choices``."""
    properties = dict(schema["properties"])
    for name, values in choices.items():
        properties[name] = {"type": "string", "enum": values}
    return {**schema, "properties": properties}
