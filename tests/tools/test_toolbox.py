import time
from pathlib import Path

import pytest

from tools import Toolbox, ToolCall, ToolResult, ToolSchemaError, UnknownToolError, tool
from tools.actions import action_tools, answer_action
from tools.plugins import load


@tool
def double(x: int) -> int:
    """Double a number."""
    return 2 * x


@tool(timeout=0.05)
def hang() -> None:
    """Take for ever."""
    time.sleep(0.5)


@tool
def crash() -> None:
    """Raise."""
    raise KeyError("no such thing")


@tool
def refuse() -> ToolResult:
    """Say no."""
    return ToolResult.failed("the door is locked")


@pytest.fixture
def toolbox() -> Toolbox:
    return Toolbox([double, hang, crash, refuse, *action_tools({"forward": (2, "step")})])


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def test_results_are_typed(toolbox: Toolbox) -> None:
    assert toolbox.dispatch(call("double", x=4)) == ToolResult("ok", "8")
    assert toolbox.dispatch(call("refuse")) == ToolResult("failed", "the door is locked")
    assert toolbox.dispatch(call("crash")) == ToolResult("failed", "crash raised KeyError: 'no such thing'")
    assert toolbox.dispatch(call("forward")) == ToolResult.act(2)


def test_bad_calls_say_what_was_expected(toolbox: Toolbox) -> None:
    assert toolbox.dispatch(call("dubble", x=1)) == ToolResult.invalid("unknown tool 'dubble': did you mean double?")
    result = toolbox.dispatch(call("double", x="four", y=1))
    assert result.status == "invalid"
    assert result.text.startswith("double(x: integer) expected; x: input should be a valid integer")
    assert "y: extra inputs are not permitted" in result.text


def test_a_hanging_tool_is_given_up(toolbox: Toolbox) -> None:
    began = time.perf_counter()
    result = toolbox.dispatch(call("hang"))
    assert time.perf_counter() - began < 0.4
    assert result == ToolResult.failed("hang took longer than 0.05 s and was given up")
    assert toolbox.dispatch(call("double", x=1)).text == "2"


def test_offers_leave_out_what_is_hidden(toolbox: Toolbox) -> None:
    assert [spec.name for spec in toolbox.offer({"forward", "hang"})] == ["double", "crash", "refuse"]
    assert [spec.name for spec in toolbox.specs()] == toolbox.names


def test_names_are_unique_and_items_are_tools(toolbox: Toolbox) -> None:
    with pytest.raises(ToolSchemaError, match="two tools called 'double'"):
        toolbox.add(double)
    with pytest.raises(ToolSchemaError, match="expected a tool"):
        Toolbox([len])  # type: ignore[list-item]
    with pytest.raises(UnknownToolError, match="did you mean double"):
        toolbox["doubl"]


def test_answers_carry_the_words() -> None:
    box = Toolbox([answer_action(limit=5)])
    assert box.dispatch(call("answer", text="Ada")) == ToolResult.act("Ada")
    assert box.dispatch(call("answer", text="too long")).status == "invalid"


@pytest.mark.parametrize("text", ["", "forward", '{"name":"f"', '{"arguments":{}}', '{"name":"f","x":1}', "[]", "null"])
def test_nonsense_is_no_call(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        ToolCall.parse(text)


def test_a_call_reads_back() -> None:
    made = call("recall", cue='a "quoted" word, ünïcode')
    assert ToolCall.parse(made.text()) == made
    assert ToolCall.parse('{"name":"f"}') == call("f")


def test_plugins_come_from_files_and_modules(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        'from tools import tool\n\n@tool\ndef hello(name: str) -> str:\n    """Greet."""\n    return name\n'
    )
    assert [t.name for t in load(str(file))] == ["hello"]
    assert [t.name for t in load(f"{file}:hello")] == ["hello"]
    with pytest.raises(UnknownToolError, match="did you mean hello"):
        load(f"{file}:hallo")
    with pytest.raises(UnknownToolError, match="no file"):
        load(str(tmp_path / "other.py"))
    with pytest.raises(UnknownToolError, match="no module"):
        load("no_such_module")
    with pytest.raises(ToolSchemaError, match="holds no tool"):
        load("json")


@pytest.mark.parametrize(
    ("result", "message"),
    [(ToolResult("ok", 42), "text is int"), (ToolResult.ok("x", {1, 2}), "JSON can't carry")],  # type: ignore[arg-type]
)
def test_results_that_cant_be_logged_fail(result: ToolResult, message: str) -> None:
    @tool
    def odd() -> ToolResult:
        """Give something odd."""
        return result

    got = Toolbox([odd]).dispatch(call("odd"))
    assert got.status == "failed"
    assert message in got.text


def test_exit_in_a_tool_is_a_failure() -> None:
    @tool
    def leave() -> None:
        """Exit."""
        raise SystemExit(3)

    assert Toolbox([leave]).dispatch(call("leave")) == ToolResult.failed("leave raised SystemExit: 3")


def test_plugins_hide_no_module_and_their_errors_are_told(tmp_path: Path) -> None:
    file = tmp_path / "random.py"
    file.write_text('from tools import tool\n\n@tool\ndef roll() -> int:\n    """Roll."""\n    return 4\n')
    assert load(str(file))[0].name == "roll"
    import random

    assert hasattr(random, "Random")
    file.write_text("1 / 0")
    with pytest.raises(ToolSchemaError, match="ZeroDivisionError"):
        load(str(file))


def test_inherited_tools_are_offered() -> None:
    from tools import MemoryTools
    from tools.toolbox import tools_of

    class Mine(MemoryTools):
        @tool
        def shout(self) -> str:
            """Shout."""
            return "hey"

    from memory import HashingEmbedder, Memory

    with Memory.open(None, HashingEmbedder()) as memory:
        assert [t.name for t in tools_of(Mine(memory))][-1] == "shout"
        assert "recall" in [t.name for t in Mine(memory).select()]


def test_choices_that_would_be_refused_are_not_offered() -> None:
    @tool(choices={"word": lambda: ["short", "x" * 200, ""]})
    def pick(word: str) -> str:
        """Pick."""
        return word

    offered = pick.offer()
    assert offered is not None
    assert offered.parameters["properties"]["word"]["enum"] == ["short"]
