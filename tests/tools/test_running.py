"""How calls are run: in processes, again, and once only."""

import re
import time
from pathlib import Path

import pytest

from tools import CallPolicy, Tool, Toolbox, ToolCall, ToolContext, ToolResult, ToolSchemaError, tool
from tools.journal import Journal
from tools.plugins import load

PLUGIN = '''
import os, re, time
from tools import tool, ToolResult

@tool(process=True, timeout=1.0)
def match(pattern: str, text: str) -> bool:
    """Match."""
    return re.fullmatch(pattern, text) is not None

@tool(process=True, timeout=5.0)
def act(how: str) -> ToolResult:
    """Act."""
    if how == "raise":
        raise ValueError("no")
    if how == "die":
        os._exit(3)
    if how == "exit":
        raise SystemExit(1)
    return ToolResult.ok(f"{os.getpid()}", {"how": [how]})
'''


@pytest.fixture
def box(tmp_path: Path) -> Toolbox:
    file = tmp_path / "own_process.py"
    file.write_text(PLUGIN)
    return Toolbox(load(str(file)))


def test_a_call_that_holds_the_lock_of_python_is_killed(box: Toolbox) -> None:
    fine = ToolCall(name="match", arguments={"pattern": "a+", "text": "aaa"})
    assert box.dispatch(fine).text == "True"  # the process has started
    began = time.perf_counter()
    stuck = ToolCall(name="match", arguments={"pattern": "(a+)+b", "text": "a" * 60})
    assert box.dispatch(stuck) == ToolResult.failed("match took longer than 1 s and was given up")
    assert time.perf_counter() - began < 4
    assert box.dispatch(fine).text == "True"


def test_what_goes_wrong_in_a_process_is_told(box: Toolbox) -> None:
    def act(how: str) -> ToolResult:
        return box.dispatch(ToolCall(name="act", arguments={"how": how}))

    first = act("well")
    assert (first.status, first.data) == ("ok", {"how": ["well"]})
    assert act("well").text == first.text  # one process, kept
    assert act("raise").text == "act raised ValueError: no"
    assert act("exit").text == "act raised SystemExit: 1"
    assert act("well").text == first.text
    assert re.match("act has no process", act("die").text)
    assert act("well").text not in ("", first.text)


def test_what_can_not_run_in_a_process_is_refused() -> None:
    def inner(text: str) -> str:
        """Say."""
        return text

    with pytest.raises(ToolSchemaError, match="top of a module"):
        tool(process=True)(inner)
    with pytest.raises(ToolSchemaError, match="typed functions"):
        Tool.from_schema("x", "Do", {}, print, policy=CallPolicy(process=True))
    scope = {"ToolContext": ToolContext, "__name__": "somewhere"}
    exec("def look(now: ToolContext) -> str:\n    '''Look.'''\n    return ''", scope)
    with pytest.raises(ToolSchemaError, match="has no now"):
        tool(process=True)(scope["look"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retries": 2}, "needs idempotent=True"),
        ({"retries": -1, "idempotent": True}, "from 0 to 10"),
        ({"retries": True, "idempotent": True}, "from 0 to 10"),
        ({"timeout": 0}, "above 0"),
        ({"process": 1}, "True or False"),
        ({"side_effects": "yes"}, "True or False"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], words: str) -> None:
    with pytest.raises(ToolSchemaError, match=words):
        tool(**options)  # type: ignore[call-overload]


def test_only_an_idempotent_tool_is_tried_again() -> None:
    made: list[str] = []

    def flaky(text: str) -> str:
        """Say."""
        made.append(text)
        if len(made) % 3:
            raise ConnectionError("lost")
        return text

    call = ToolCall(name="flaky", arguments={"text": "hello"})
    again = Toolbox([tool(idempotent=True, retries=2)(flaky)])
    assert again.dispatch(call) == ToolResult.ok("hello")
    assert Toolbox([tool(flaky)]).dispatch(call).text == "flaky raised ConnectionError: lost"
    assert len(made) == 4


def mailbox(sent: list[str]) -> Toolbox:
    @tool(side_effects=True)
    def send(text: str) -> ToolResult:
        """Send a mail."""
        sent.append(text)
        if text == "break":
            raise KeyboardInterrupt
        return ToolResult.ok(f"sent {text}", {"number": len(sent)})

    return Toolbox([send])


def test_what_was_done_is_not_repeated_when_an_episode_is_played_again(tmp_path: Path) -> None:
    sent: list[str] = []
    file = tmp_path / "000000" / "effects.jsonl"

    def play(*texts: str) -> list[ToolResult]:
        box = mailbox(sent)
        box.journal = Journal(file)
        return [box.dispatch(ToolCall(name="send", arguments={"text": text})) for text in texts]

    first = play("one", "two", "one")
    assert sent == ["one", "two", "one"]
    assert play("two", "one", "one", "three")[:3] == [first[1], first[0], first[2]]
    assert sent == ["one", "two", "one", "three"]
    with file.open("a") as stream:
        stream.write('{"key": "1 [\\"send\\", {\\"text\\": \\"four\\"}]"}\n{"key": "torn')
    unsure = play("four", "five")
    assert (unsure[0].status, unsure[1].text) == ("failed", "sent five")
    assert "begun before an interruption" in unsure[0].text
    assert play("five")[0] == unsure[1]  # a torn line cost nothing
    assert sent == ["one", "two", "one", "three", "five"]


def test_a_macro_does_not_repeat_side_effects() -> None:
    sent: list[str] = []
    result = mailbox(sent).dispatch(ToolCall(name="send", arguments={"text": "one"}), repeats=True)
    assert (result.status, sent) == ("failed", [])
    assert "call it yourself" in result.text
