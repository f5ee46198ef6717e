"""An environment's actions as tools."""

from collections.abc import Mapping
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
    description: str = "give your answer and end the turn", limit: int = MAX_ANSWER, name: str = "answer"
) -> Tool:
    """A tool such as ``answer(text)`` for environments whose actions are words.

    Args:
        description: What the model is told.
        limit: Longest answer in characters.
        name: Name of the tool.
    """

    def answer(text: str) -> ToolResult:
        return ToolResult.act(text)

    return _tool(name, description, answer, {"text": (Annotated[str, Field(max_length=limit)], ...)})


def action_tools(named: Mapping[str, tuple[Any, str]]) -> list[Tool]:
    """One tool for each named action.

    Args:
        named: Action names with the value to step the environment with, and a description.
    """
    return [named_action(name, value, description) for name, (value, description) in named.items()]


def _tool(name: str, description: str, function: Any, fields: dict[str, Any]) -> Tool:
    model = create_model(name, __config__={"extra": "forbid"}, **fields)
    return Tool(name, description, function, model, parameters_schema(model))
