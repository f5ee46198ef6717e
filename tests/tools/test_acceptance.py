"""What ``@tool`` accepts can be called, and what it offers validates; what it can't take it refuses in one sentence."""

import asyncio
import datetime as dt
import enum
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest
from pydantic import BaseModel, Field, model_validator
from typing_extensions import TypedDict

from agent.testing import drawn_calls
from tools import Toolbox, ToolCall, ToolError, ToolResult, tool


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    y: Annotated[int, Field(ge=0, le=9)] = 0


class Pair(NamedTuple):
    one: int
    two: str


class Options(TypedDict, total=False):
    deep: bool


ACCEPTED: list[Any] = [
    str, int, float, bool, None, bytes, Path, Decimal, uuid.UUID, IPv4Address, Colour, Level, Point, Options,
    dt.date, dt.datetime, dt.time, dt.timedelta, set[str], frozenset[int], list[int], tuple[int, str], tuple[int, ...],
    dict[str, int], Mapping[str, str], Sequence[int], Literal["a", "b"], Literal[1, 2], str | None, int | str,
    list[Point], Point | None, Annotated[str, Field(min_length=2, max_length=5)], Annotated[int, Field(ge=3, le=7)],
    Annotated[float, Field(gt=0, lt=1)], Annotated[list[str], Field(max_length=2)], Colour | None,
    Annotated[str, Field(pattern="^[a-c]+$")], dict[str, list[int]], list[Literal["x", "y"]],
]  # fmt: skip


@pytest.mark.parametrize("kind", ACCEPTED, ids=str)
def test_what_is_accepted_is_offered_and_what_is_offered_validates(kind: Any) -> None:
    def take(value) -> str:  # type: ignore[no-untyped-def]
        """Take a value."""
        return f"took {type(value).__name__}"

    take.__annotations__["value"] = kind
    made = tool(take)
    for call in drawn_calls([made], 15):
        result = Toolbox([made]).dispatch(call)
        assert result.status == "ok", (call, result.text)


def tool_of(kind: Any, default: Any = ...) -> Callable[..., Any]:
    def take(value) -> str:  # type: ignore[no-untyped-def]
        """Take a value."""
        return str(value)

    take.__annotations__["value"] = kind
    if default is not ...:
        take.__defaults__ = (default,)
    return take


def generator() -> Iterator[int]:
    """Count."""
    yield 1


async def async_generator() -> typing.AsyncIterator[int]:
    """Count."""
    yield 1


class Recursive(BaseModel):
    inner: "list[Recursive]"


class OldDict(typing.TypedDict):
    deep: bool


REFUSED: list[tuple[Any, str]] = [
    (generator, "is a generator"),
    (async_generator, "is a generator"),
    (partial(generator), "is a generator"),
    (tool_of(Annotated[str, Field(pattern="^(?!x)a")]), "take.*value|JSON can't carry"),
    (tool_of(Annotated[str, Field(pattern="a(?=b)")]), "take.*value|JSON can't carry"),
    (tool_of(Annotated[str, Field(pattern="(")]), "JSON can't carry|grammar"),
    (tool_of(dict[int, str]), "keys of type int"),
    (tool_of(list[dict[Colour, str]]), "keys of type Colour"),
    (tool_of(object()), "can't resolve|JSON can't carry"),
    (tool_of(Callable[[], int]), "JSON can't carry"),
    (tool_of(Recursive), "contains itself"),
    (tool_of("Nowhere"), "can't resolve"),
    (tool_of("1 +"), "can't resolve"),
    (tool_of(np.ndarray), "JSON can't carry"),
    (tool_of(asyncio.Event), "JSON can't carry"),
    (lambda: 1, "identifier"),
    (3, "takes a function"),
    ("name", "takes a function"),
    (tool_of(typing.TypeVar("T", bound=Callable[..., int])), "JSON can't carry"),
    (tool_of(type), "JSON can't carry"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_what_can_not_be_called_is_refused_in_one_sentence(function: Any, message: str) -> None:
    with pytest.raises(ToolError, match=message) as error:
        tool(function)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": "5"},
        {"timeout": None},
        {"choices": ["a"]},
        {"choices": "a"},
        {"choices": {"value": ["a", "b"]}},
        {"when": True},
        {"when": "yes"},
        {"extractive": None},
        {"extractive": [["a"]]},
        {"extractive": "value"},
        {"choices": {"nothing": list}},
    ],
    ids=str,
)
def test_options_of_another_type_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        tool(**options)(tool_of(str))


@pytest.mark.parametrize("function", [max, int, dict, partial(generator, q=1), tool_of(list[str])])
def test_what_has_no_signature_is_refused(function: Any) -> None:
    with pytest.raises(ToolError):
        tool(choices={"value": lambda: ["a"]})(function)


def test_what_a_tool_writer_raises_is_named() -> None:
    class Strict(BaseModel):
        x: int

        @model_validator(mode="after")
        def check(self) -> "Strict":
            raise RuntimeError("boom")

    box = Toolbox([tool(tool_of(Strict))])
    assert "boom" in box.dispatch(ToolCall(name="take", arguments={"value": {"x": 1}})).text
    for options in (
        {"choices": {"value": lambda: 1 / 0}},
        {"when": lambda: 1 / 0},
        {"choices": {"value": lambda: None}},
    ):
        with pytest.raises(ToolError, match="take"):
            Toolbox([tool(**options)(tool_of(str))]).offer()  # type: ignore[call-overload]


def test_a_result_of_no_known_status_is_a_failure() -> None:
    def give() -> ToolResult:
        """Give a result."""
        return ToolResult("great", "x")  # type: ignore[arg-type]

    result = Toolbox([tool(give)]).dispatch(ToolCall(name="give"))
    assert (result.status, "no known status" in result.text) == ("failed", True)


def test_the_older_typed_dict_is_taken_or_refused_in_words() -> None:
    try:
        box = Toolbox([tool(tool_of(OldDict))])
    except ToolError as error:
        assert "typing_extensions.TypedDict" in str(error)
    else:
        assert box.dispatch(ToolCall(name="take", arguments={"value": {"deep": True}})).status == "ok"


async def fetch(number: int) -> str:
    """Fetch a number, after a moment."""
    await asyncio.sleep(0)
    return f"got {number}"


def later(number: int) -> Any:
    """Return what is still to be awaited."""
    return fetch.function(number) if hasattr(fetch, "function") else fetch(number)


class Service:
    """An object with an async method, and one that is called itself."""

    @tool
    async def ping(self) -> str:
        """Ping."""
        return "pong"

    def __call__(self, word: str) -> str:
        """Echo a word."""
        return word


def test_async_functions_run() -> None:
    box = Toolbox([tool(fetch), tool(later), Service().ping, tool(partial(fetch, number=4), name="four")])
    answers = [box.dispatch(ToolCall(name=n, arguments={"number": 3})).text for n in ("fetch", "later")]
    assert answers == ["got 3", "got 3"]
    assert box.dispatch(ToolCall(name="ping")).text == "pong"
    assert box.dispatch(ToolCall(name="four")).text == "got 4"
    assert "number" not in box["four"].schema["properties"], "what is bound is no argument"


def test_a_slow_coroutine_is_given_up() -> None:
    @tool(timeout=0.05)
    async def sleep() -> str:
        """Sleep."""
        await asyncio.sleep(5)
        return "never"

    assert "longer than" in Toolbox([sleep]).dispatch(ToolCall(name="sleep")).text


def test_objects_that_are_called_and_names_that_pydantic_uses() -> None:
    def odd(_x: int, model_config: str, copy: bool = False, schema: str = "s", json: int = 1) -> str:
        """Take odd names."""
        return f"{_x} {model_config} {copy} {schema} {json}"

    box = Toolbox([tool(odd), tool(Service())])
    assert list(box["odd"].schema["properties"]) == ["_x", "model_config", "copy", "schema", "json"]
    assert box.dispatch(ToolCall(name="odd", arguments={"_x": 1, "model_config": "m"})).text == "1 m False s 1"
    assert box.dispatch(ToolCall(name="service", arguments={"word": "hello"})).text == "hello"
    assert "_x" in box.dispatch(ToolCall(name="odd", arguments={"model_config": "m"})).text


@pytest.mark.parametrize(
    ("kind", "choices", "offered"),
    [
        (str, ["a", "b" * 250], ["a"]),
        (Annotated[str, Field(max_length=300)], ["a", "b" * 250], ["a", "b" * 250]),
        (int, [1, 2], [1, 2]),
        (int, [1, "2", "two"], [1, "2"]),
        (float, [0.5, float("1.5")], [0.5, 1.5]),
        (Level, [Level.LOW, 2], [1, 2]),
        (Colour, [Colour.RED, "blue", "green"], ["red", "blue"]),
        (Literal["x", "y"], ["x", "z"], ["x"]),
        (Annotated[int, Field(ge=3)], [1, 3, 4], [3, 4]),
        (Annotated[str, Field(pattern="^a")], ["ab", "ba"], ["ab"]),
        (str, ["", "x", None, ["y"]], ["x"]),
        (str, ["\ud83d", "x"], ["\ufffd", "x"]),
        (bool, [True], [True]),
    ],
    ids=str,
)
def test_choices_that_are_offered_validate(kind: Any, choices: list[Any], offered: list[Any]) -> None:
    made = tool(choices={"value": lambda: choices})(tool_of(kind))
    box = Toolbox([made])
    (spec,) = box.offer()
    assert spec.parameters["properties"]["value"]["enum"] == offered
    for value in offered:
        assert box.dispatch(ToolCall(name="take", arguments={"value": value})).status == "ok"


class Rude:
    """A thing that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class RudeError(Exception):
    """An error that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def raising() -> None:
    """Raise what can't be shown."""
    raise RudeError


@pytest.mark.parametrize(
    "value", ["\ud83d", "a\udc00b", Rude(), [Rude()], {"x": "\ud800"}, b"\xff", object()], ids=lambda _value: "bad"
)
def test_a_bad_result_ends_nothing(value: Any) -> None:
    def give() -> Any:
        """Give something."""
        return value

    text = Toolbox([tool(give)]).dispatch(ToolCall(name="give")).text
    assert text.encode()


def test_an_error_that_can_not_be_shown_is_named() -> None:
    result = Toolbox([tool(raising)]).dispatch(ToolCall(name="raising"))
    assert result.status == "failed"
    assert "RudeError" in result.text
