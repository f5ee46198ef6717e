"""An environment's actions as tools."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, create_model

from tools.arguments import TypedArguments
from tools.names import ANSWER
from tools.schema import parameters_schema
from tools.tool import Tool
from tools.types import ToolResult

MAX_ANSWER = 200


def named_action(name: str, value: Any, description: str) -> Tool:
    """Return a tool without arguments that chooses one action; the loop does the step."""

    def choose() -> ToolResult:
        return ToolResult.act(value)

    return _tool(name, description, choose, {})


def answer_action(
    description: str = "give your answer and end the turn",
    limit: int = MAX_ANSWER,
    name: str = ANSWER,
    extractive: bool = False,
) -> Tool:
    """Return a tool such as ``answer(text)`` for environments whose actions are words.

    Args:
        description: What the model is told.
        limit: Longest answer in characters.
        name: Name of the tool.
        extractive: Whether an answer may use only words in the window.
    """

    def answer(text: str) -> ToolResult:
        return ToolResult.act(text)

    answer_tool = _tool(name, description, answer, {"text": (Annotated[str, Field(max_length=limit)], ...)})
    return replace(answer_tool, extractive=("text",)) if extractive else answer_tool


def action_tools(named: Mapping[str, tuple[Any, str]]) -> list[Tool]:
    """Return one tool for each named action.

    Args:
        named: Action names with the value to step the environment with, and a description.
    """
    try:
        return list(_action_tools(tuple((name, type(value), value, text) for name, (value, text) in named.items())))
    except TypeError:  # a value that can't be hashed, such as an array
        return [named_action(name, value, text) for name, (value, text) in named.items()]


@lru_cache(maxsize=64)
def _action_tools(named: tuple[tuple[str, type, Any, str], ...]) -> tuple[Tool, ...]:
    """Return the tools of these actions; they are cached, because every episode asks for the same ones."""
    return tuple(named_action(name, value, description) for name, _, value, description in named)


def _tool(name: str, description: str, function: Any, fields: dict[str, Any]) -> Tool:
    model = create_model(name, __config__={"extra": "forbid"}, **fields)
    return Tool(name, description, function, TypedArguments(model), parameters_schema(model))
