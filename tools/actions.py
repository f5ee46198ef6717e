"""An environment's actions as tools."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, create_model

from tools.schema import parameters_schema
from tools.tool import Tool
from tools.types import ToolResult

MAX_ANSWER = 200


def named_action(name: str, value: Any, description: str) -> Tool:
    """A tool without arguments that chooses one action; the loop does the step."""

    def choose() -> ToolResult:
        return ToolResult.act(value)

    return _tool(name, description, choose, {})


def answer_action(
    description: str = "give your answer and end the turn",
    limit: int = MAX_ANSWER,
    name: str = "answer",
    extractive: bool = False,
) -> Tool:
    """A tool such as ``answer(text)`` for environments whose actions are words.

    Args:
        description: What the model is told.
        limit: Longest answer in characters.
        name: Name of the tool.
        extractive: Whether an answer is made of words in view alone.
    """

    def answer(text: str) -> ToolResult:
        return ToolResult.act(text)

    made = _tool(name, description, answer, {"text": (Annotated[str, Field(max_length=limit)], ...)})
    return replace(made, extractive=("text",)) if extractive else made


def action_tools(named: Mapping[str, tuple[Any, str]]) -> list[Tool]:
    """One tool for each named action.

    Args:
        named: Action names with the value to step the environment with, and a description.
    """
    try:
        return list(_action_tools(tuple((name, type(value), value, said) for name, (value, said) in named.items())))
    except TypeError:  # a value that can't be hashed, such as an array
        return [named_action(name, value, said) for name, (value, said) in named.items()]


@lru_cache(maxsize=64)
def _action_tools(named: tuple[tuple[str, type, Any, str], ...]) -> tuple[Tool, ...]:
    """The same tools again for the same actions: every episode asks for them."""
    return tuple(named_action(name, value, said) for name, _, value, said in named)


def _tool(name: str, description: str, function: Any, fields: dict[str, Any]) -> Tool:
    model = create_model(name, __config__={"extra": "forbid"}, **fields)
    return Tool(name, description, function, model, parameters_schema(model))
