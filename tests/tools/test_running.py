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
        stream.write('{"key": "1 [\\"\\", \\"send\\", {\\"text\\": \\"four\\"}]"}\n{"key": "torn')
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


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "half \ud83d", "line\nline"])
def test_a_journal_holds_any_text(text: str, tmp_path: Path) -> None:
    sent: list[str] = []
    for _ in range(2):
        box = mailbox(sent)
        box.journal = Journal(tmp_path / "effects.jsonl", "World-v0 3")
        assert box.dispatch(ToolCall(name="send", arguments={"text": text})).status == "ok"
    assert len(sent) == 1
    other = mailbox(sent)
    other.journal = Journal(tmp_path / "effects.jsonl", "World-v0 4")  # another episode: its calls are its own
    other.dispatch(ToolCall(name="send", arguments={"text": text}))
    assert len(sent) == 2


def test_without_a_journal_nothing_with_effects_is_called(tmp_path: Path) -> None:
    sent: list[str] = []
    box = mailbox(sent)
    (tmp_path / "file").write_text("")
    box.journal = Journal(tmp_path / "file" / "effects.jsonl")
    result = box.dispatch(ToolCall(name="send", arguments={"text": "one"}))
    assert (result.status, sent) == ("failed", [])
    assert "was not called" in result.text


def test_files_of_the_same_name_run_their_own_code(tmp_path: Path) -> None:
    boxes = []
    for name in ("a", "b"):
        file = tmp_path / name / "twin.py"
        file.parent.mkdir()
        code = 'from tools import tool\n@tool(process=True)\ndef who() -> str:\n    "Say who."\n    return "NAME"\n'
        file.write_text(code.replace("NAME", name))
        boxes.append(Toolbox(load(str(file))))
    assert [box.dispatch(ToolCall(name="who")).text for box in boxes] == ["a", "b"]


def test_what_a_tool_started_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "starter.py"
    mark = tmp_path / "alive"
    lines = (
        *("import subprocess, time", "from tools import tool", "@tool(process=True, timeout=1.5)"),
        *("def begin() -> str:", '    "Begin."', f'    subprocess.Popen(["sh", "-c", "sleep 3; touch {mark}"])'),
        *("    time.sleep(60)", '    return ""'),
    )
    file.write_text("\n".join(lines) + "\n")
    assert "given up" in Toolbox(load(str(file))).dispatch(ToolCall(name="begin")).text
    time.sleep(2.5)
    assert not mark.exists()


def test_two_moments_are_refused() -> None:
    def look(one: ToolContext, two: ToolContext) -> str:
        """Look."""
        return f"{one}{two}"

    with pytest.raises(ToolSchemaError, match="one and two are both the context"):
        tool(look)


def test_only_the_call_under_way_tells_its_progress() -> None:
    told: list[tuple[str, str]] = []

    @tool(timeout=0.1)
    def slow(now: ToolContext) -> str:
        """Take long."""
        time.sleep(0.3)
        now.progress(1.0, "of slow")
        return ""

    @tool
    def other(now: ToolContext) -> str:
        """Wait."""
        time.sleep(0.5)
        now.progress(0.5, "of other")
        return ""

    box = Toolbox([slow, other])
    box.report = lambda name, _done, words: told.append((name, words))
    assert box.dispatch(ToolCall(name="slow")).status == "failed"
    assert box.dispatch(ToolCall(name="other")).status == "ok"
    assert told == [("other", "of other")]
