from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from tools import Tool, ToolSchemaError, tool


class Point(BaseModel):
    x: int
    y: int = 0


@tool
def measure(start: Point, end: Point, unit: Literal["cells", "steps"] = "cells") -> str:
    """Measure a distance.

    Not for the model.
    """
    return f"{abs(start.x - end.x)} {unit}"


def test_name_description_and_schema_come_from_the_signature() -> None:
    assert (measure.name, measure.description) == ("measure", "Measure a distance")
    point = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
        "required": ["x"],
        "additionalProperties": False,
    }
    unit = {"type": "string", "enum": ["cells", "steps"], "default": "cells"}
    assert measure.spec().openai() == {
        "type": "function",
        "function": {
            "name": "measure",
            "description": "Measure a distance",
            "parameters": {
                "type": "object",
                "properties": {"start": point, "end": point, "unit": unit},
                "required": ["start", "end"],
                "additionalProperties": False,
            },
        },
    }


def test_strings_are_bounded() -> None:
    @tool
    def say(text: str, short: Annotated[str, Field(max_length=5)], maybe: str | None = None) -> None:
        """Say."""

    properties = say.schema["properties"]
    assert properties["text"]["maxLength"] == 120
    assert properties["short"]["maxLength"] == 5
    assert properties["maybe"]["anyOf"][0]["maxLength"] == 120


def test_parameters_may_be_called_title_and_description() -> None:
    @tool
    def post(title: str, description: str) -> None:
        """Post."""

    assert list(post.schema["properties"]) == ["title", "description"]


def test_validated_arguments_keep_their_types() -> None:
    arguments = measure.validate({"start": {"x": 1}, "end": {"x": "4"}})
    assert isinstance(arguments, dict)
    assert measure(**arguments) == "3 cells"


def test_methods_bind_and_share_state() -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def _words(self) -> list[str]:
            return ["up"] * self.count

        @tool
        def add(self, by: int = 1) -> int:
            """Add."""
            self.count += by
            return self.count

        @tool(choices={"word": _words}, name="choose")
        def pick(self, word: str) -> str:
            """Pick."""
            return word

    counter, other = Counter(), Counter()
    assert isinstance(counter.add, Tool)
    assert counter.add(by=2) == 2
    assert other.count == 0
    assert other.pick.offer() is None
    offered = counter.pick.offer()
    assert offered is not None
    assert offered.name == "choose"
    assert offered.parameters["properties"]["word"] == {"type": "string", "enum": ["up"]}


def test_too_many_choices_leave_the_argument_free() -> None:
    @tool(choices={"word": lambda: [str(i) for i in range(1000)]})
    def pick(word: str) -> str:
        """Pick."""
        return word

    offered = pick.offer()
    assert offered is not None
    assert "enum" not in offered.parameters["properties"]["word"]


class Loop(BaseModel):
    inner: "Loop | None" = None


def no_docstring(x: int) -> None: ...


def no_hint(x) -> None:  # type: ignore[no-untyped-def]
    """Do."""


def star(*x: int) -> None:
    """Do."""


def recursive(x: Loop) -> None:
    """Do."""


def callback(x: Callable[[], int]) -> None:
    """Do."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_docstring, "needs a docstring"),
        (no_hint, "'x' needs a type hint"),
        (star, "can't be given by name"),
        (recursive, "contains itself"),
        (callback, "JSON can't carry"),
    ],
)
def test_functions_that_can_be_no_tool_say_why(function: object, message: str) -> None:
    with pytest.raises(ToolSchemaError, match=message):
        tool(function)  # type: ignore[call-overload]


def test_options_are_checked() -> None:
    with pytest.raises(ToolSchemaError, match="choices for"):
        tool(choices={"z": list})(measure.function)
    with pytest.raises(ToolSchemaError, match="timeout"):
        tool(timeout=0)(measure.function)
    with pytest.raises(ToolSchemaError, match="identifier"):
        tool(name="two words")(measure.function)


def test_an_extractive_argument_must_be_a_string() -> None:
    def name(who: str, age: int) -> str:
        """Name somebody."""
        return f"{who} {age}"

    made = tool(extractive=["who"])(name)
    offered = made.offer()
    assert offered is not None
    assert offered.extractive == ("who",)
    assert made.spec().openai() == offered.openai()  # the model reads the same tool
    chosen = tool(extractive=["who"], choices={"who": lambda: ["Ada", "Bo"]})(name).offer()
    assert chosen is not None
    assert chosen.extractive == ()  # there is a list to choose from
    with pytest.raises(ToolSchemaError, match=r"extractive \['age'\], but its string arguments are \['who'\]"):
        tool(extractive=["age"])(name)
    with pytest.raises(ToolSchemaError, match=r"expected a list: extractive=\['who'\]"):
        tool(extractive="who")(name)
