"""Signatures, drawn at random, as tools: schema, descriptions, defaults, and values that the grammar allows."""

import json
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from agent.testing import drawn_call
from tools import Tool, Toolbox, ToolContext, ToolResult, tool
from tools.details import fitted


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Spot(BaseModel):
    """A place on the map."""

    row: int = Field(ge=0, le=9, description="Counted from the top")
    name: str = Field("home", max_length=12)


WORDS = st.text("abc xyzäé", min_size=1, max_size=30).map(lambda words: " ".join(words.split())).filter(bool)
SIMPLE = st.sampled_from(
    [
        int,
        float,
        bool,
        str,
        date,
        Color,
        Spot,
        Literal["north", "south"],
        Literal[1, 2],
        Annotated[int, Field(ge=1, le=5)],
    ]
)
NESTED = st.one_of(
    SIMPLE,
    SIMPLE.map(lambda kind: list[kind]),  # type: ignore[valid-type]
    SIMPLE.map(lambda kind: Annotated[list[kind], Field(max_length=3)]),  # type: ignore[valid-type]
    SIMPLE.map(lambda kind: Optional[kind]),  # noqa: UP045
    SIMPLE.map(lambda kind: dict[str, kind]),  # type: ignore[valid-type]
    st.tuples(SIMPLE, SIMPLE).map(lambda kinds: Union[kinds]),  # noqa: UP007
)


@st.composite
def signatures(draw: Any) -> tuple[Callable[..., Any], dict[str, str], dict[str, Any]]:
    """Draw a function, the descriptions of its parameters, and their defaults."""
    names = draw(
        st.lists(st.sampled_from(["city", "class_", "default", "items", "type", "count", "naïve"]), unique=True)
    )
    described, defaults, hints = {}, {}, {}
    for name in names:
        hint = draw(NESTED)
        if draw(st.booleans()):
            described[name] = draw(WORDS)
            hint = Annotated[hint, Field(description=described[name])]
        hints[name] = hint
        if draw(st.booleans()):
            defaults[name] = None
            hints[name] = Optional[hint]  # noqa: UP045
    given = [name for name in names if name not in defaults] + [name for name in names if name in defaults]
    listed = ", ".join(f"{name}: hints[{name!r}]" + (" = None" if name in defaults else "") for name in given)
    scope: dict[str, Any] = {"hints": hints}
    exec(f"def made({listed}):\n    '''Do it.'''\n    return ({''.join(name + ', ' for name in given)})", scope)
    return scope["made"], described, defaults


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(signatures(), st.integers(0, 999))
def test_drawn_signatures(drawn: tuple[Callable[..., Any], dict[str, str], dict[str, Any]], seed: int) -> None:
    function, described, defaults = drawn
    made = tool(function)
    Draft202012Validator.check_schema(made.schema)
    properties = made.spec().openai()["function"]["parameters"]["properties"]
    for name, words in described.items():
        assert words in json.dumps(properties[name], ensure_ascii=False)
    for name in defaults:
        assert properties[name]["default"] is None
    assert set(made.schema["required"]) == set(properties) - set(defaults)
    spec = made.offer()
    assert spec is not None
    call = drawn_call(spec, seed)
    assert isinstance(made.validate(call.arguments), dict), (call, made.validate(call.arguments))
    assert Draft202012Validator(made.schema).is_valid(call.arguments)
    assert Toolbox([made]).dispatch(call).status == "ok"


def test_docstrings_describe_parameters() -> None:
    @tool
    def post(to: str, note: Annotated[str, Field(description="What it says")] = "hello", at: Spot | None = None) -> str:
        """Send a letter.

        Args:
            to: Who gets it,
                by name.
            note: Is not taken, the hint says it.
            at: Where.
        """
        return to

    arguments = post.schema["properties"]
    assert arguments["to"]["description"] == "Who gets it, by name."
    assert arguments["note"]["description"] == "What it says"
    assert (
        post.spec().line()
        == 'post(to, note="hello", at?): Send a letter. to: Who gets it, by name.; note: What it says; at: Where.'
    )
    inner = arguments["at"]["anyOf"][0]["properties"]
    assert inner["row"]["description"] == "Counted from the top"


def test_descriptions_are_cut_to_the_room_there_is() -> None:
    def made(number: int) -> Tool:
        def act(city: Annotated[str, Field(description="Where it is. " + "More words. " * 20)], at: Spot) -> None:
            """Act."""

        return tool(name=f"act_{number}")(act)

    specs = [made(number).spec() for number in range(10)]
    for most in (0, 100, 500, 5000):
        cut = fitted(specs, most)
        told = [node.get("description", "") for spec in cut for node in spec.parameters["properties"].values()]
        assert sum(map(len, told)) <= most
        assert [spec.line().split(")")[0] for spec in cut] == [f"act_{n}(city, at" for n in range(10)]
    assert fitted(specs, 500)[0].parameters["properties"]["city"]["description"] == "Where it is"
    assert "Counted" not in json.dumps([spec.openai() for spec in fitted(specs, 5000)])
    assert "Counted" in json.dumps(specs[0].openai())


def test_the_moment_is_injected_and_not_in_the_schema() -> None:
    @tool
    def look(at: str, now: ToolContext) -> str:
        """Look."""
        now.progress(0.5, "looking")
        return f"{at} in step {now.step}"

    assert list(look.schema["properties"]) == ["at"]
    box = Toolbox([look])
    told: list[tuple[float, str]] = []
    box.context = ToolContext(step=3)
    box.report = lambda _name, done, words: told.append((done, words))
    from tools import ToolCall

    assert box.dispatch(ToolCall(name="look", arguments={"at": "door"})).text == "door in step 3"
    assert told == [(0.5, "looking")]
    assert box.dispatch(ToolCall(name="look", arguments={"at": "door", "now": {}})).status == "invalid"
    assert look("door") == "door in step None"
    assert look("door", now=ToolContext(step=1)) == "door in step 1"


@pytest.mark.parametrize("hint", ["ToolContext", "ToolContext | None", "Optional[ToolContext]"])
def test_the_moment_may_be_optional(hint: str) -> None:
    scope: dict[str, Any] = {"ToolContext": ToolContext, "Optional": Optional}
    exec(f"def look(now: {hint} = None) -> str:\n    '''Look.'''\n    return type(now).__name__", scope)
    made = tool(scope["look"])
    assert made.schema["properties"] == {}
    from tools import ToolCall

    assert Toolbox([made]).dispatch(ToolCall(name="look")) == ToolResult.ok("ToolContext")
