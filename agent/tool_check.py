"""Checks of a tool before a model gets it: schema, descriptions, examples, length in the prompt."""

import doctest
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from tokenizers import Tokenizer

from agent.errors import AgentError, CatalogError
from agent.hub import catalog
from agent.testing import drawn_call
from tools import Tool, ToolError, ToolResult

DRAWN = 50
"""Calls that are drawn under the grammar and checked; they are not made."""

LONG = 120
"""From this many tokens on, a tool is said to be long: the default window has 1,024 for everything."""

MODEL = "smollm2-135m"
"""The model whose tokens are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        what: What it is: schema, calls, description, arguments, examples, length.
        level: ``ok``; ``note`` for what could be better; ``wrong`` for what will not work.
        words: What was found.
    """

    what: str
    level: Literal["ok", "note", "wrong"]
    words: str


def check(tool: Tool) -> Iterator[Finding]:
    """Yield what is right and what is wrong with a tool. Of the tool itself only the docstring's examples are run."""
    yield _schema(tool)
    yield _calls(tool)
    yield _described(tool)
    yield _examples(tool)
    yield _length(tool)


def _schema(tool: Tool) -> Finding:
    try:
        Draft202012Validator.check_schema(tool.schema)
    except SchemaError as error:
        return Finding("schema", "wrong", error.message)
    return Finding("schema", "ok", f"JSON Schema 2020-12, {len(tool.schema['properties'])} arguments")


def _calls(tool: Tool) -> Finding:
    try:
        spec = tool.offer()
        if spec is None:
            return Finding("calls", "note", "it is not offered now (when= or choices=), so no calls were drawn")
        for seed in range(DRAWN):
            call = drawn_call(spec, seed)
            if isinstance(refused := tool.validate(call.arguments), ToolResult):
                return Finding("calls", "wrong", f"a call that the grammar allows is refused: {refused.text}")
    except (ToolError, AgentError) as error:
        return Finding("calls", "wrong", str(error))
    return Finding("calls", "ok", f"{DRAWN} calls drawn under the grammar are valid (they were not made)")


def _described(tool: Tool) -> Finding:
    bare = [name for name, node in tool.schema["properties"].items() if "description" not in node]
    if not tool.trusted:
        return Finding("description", "note", f"untrusted, as somebody else wrote it: {tool.description}")
    if bare:
        words = f"no description of {', '.join(bare)}: Field(description=...), or a line in the docstring"
        return Finding("arguments", "note", words)
    return Finding("arguments", "ok", "all described" if tool.schema["properties"] else "none")


def _examples(tool: Tool) -> Finding:
    function: Any = tool.function
    while hasattr(function, "func"):
        function = function.func
    module = sys.modules.get(getattr(function, "__module__", ""))
    scope = dict(vars(module)) if module else {}
    parser = doctest.DocTestParser()
    try:
        found = parser.get_doctest(getattr(function, "__doc__", "") or "", scope, tool.name, None, None)
    except ValueError as error:
        return Finding("examples", "wrong", str(error))
    if not found.examples:
        return Finding("examples", "note", "none in the docstring (>>> ...): nothing was run")
    told = io.StringIO()
    with redirect_stdout(io.StringIO()):
        result = doctest.DocTestRunner(verbose=False).run(found, out=told.write)
    if result.failed:
        return Finding("examples", "wrong", f"{result.failed} of {result.attempted} fail:\n{told.getvalue().rstrip()}")
    return Finding("examples", "ok", f"{result.attempted} run")


def _length(tool: Tool) -> Finding:
    count, exact = length(tool)
    guessed = "" if exact else f" (a guess: `hippo models fetch {MODEL}` to count)"
    words = f"{count} tokens in the prompt{guessed}"
    return Finding("length", "note" if count > LONG else "ok", words)


def length(tool: Tool) -> tuple[int, bool]:
    """Return how many tokens a tool's line in the prompt has, and whether they were counted or guessed."""
    line = tool.spec().line()
    tokenizer = _tokenizer()
    return (len(tokenizer.encode(line).ids), True) if tokenizer else (len(line) // 4 + 1, False)


@cache
def _tokenizer() -> Tokenizer | None:
    try:
        file = catalog.resolve(MODEL) / "tokenizer.json"
    except CatalogError:
        return None
    return Tokenizer.from_file(str(file)) if file.is_file() else None
