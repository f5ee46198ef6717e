"""What servers do wrong: each ends in a solved episode, or in one honest sentence and an exit code that is not 0."""

import json
import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from agent import Agent
from agent.logs.events import Decided, End, Returned
from agent.models.endpoint import EndpointConfig, EndpointModel
from tests.agent.corridor import Corridor
from tests.agent.models.misbehaving import Reply, completion, serving

gym.register("tests/Corridor-v0", Corridor, disable_env_checker=True)

Hippo = Callable[..., tuple[int, str, str]]


def call(arguments: Any = "{}", name: str = "ahead") -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}],
    }


def words(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


TWICE = {**call(), "tool_calls": call()["tool_calls"] * 2}
RIGHT = call()

SOLVED: dict[str, tuple[list[Reply], tuple[str, str]]] = {
    "right": ([RIGHT], ("", "")),
    "no arguments": ([call("")], ("", "")),
    "null arguments": ([call(None)], ("", "")),
    "arguments as an object": ([call({})], ("", "")),
    "arguments encoded twice": ([call('"{}"')], ("", "")),
    "name with a prefix": ([call(name="functions.ahead")], ("", "")),
    "two calls": ([TWICE], ("", "")),
    "twelve calls": ([{**call(), "tool_calls": call()["tool_calls"] * 12}], ("", "")),
    "the older function_call": (
        [{"role": "assistant", "function_call": {"name": "ahead", "arguments": "{}"}}],
        ("", ""),
    ),
    "one call not in a list": ([{**call(), "tool_calls": call()["tool_calls"][0]}], ("", "")),
    "JSON in words": ([words('{"name": "ahead", "arguments": {}}')], ("", "")),
    "JSON in a fence": ([words('Sure!\n```json\n{"name": "ahead", "arguments": {}}\n```')], ("", "")),
    "JSON in a tag": ([words('<tool_call>\n{"name": "ahead", "arguments": {}}\n</tool_call>')], ("", "")),
    "a tag that is not closed": ([words('<tool_call>{"name": "ahead", "arguments": {}}')], ("", "")),
    "after a thought": (
        [words('<think>{"name": "back"} or ahead?</think>\n{"name": "ahead", "arguments": {}}')],
        ("", ""),
    ),
    "a function tag": ([words("<function=ahead></function>")], ("", "")),
    "Mistral's mark": ([words('[TOOL_CALLS][{"name": "ahead", "arguments": {}}]')], ("", "")),
    "Llama's parameters": ([words('<|python_tag|>{"name": "ahead", "parameters": {}}')], ("", "")),
    "a call in Python": ([words("ahead()")], ("", "")),
    "words in parts": ([words([{"type": "text", "text": '{"name": "ahead", "arguments": {}}'}])], ("", "")),
    "no usage": ([{"choices": completion(RIGHT)["choices"]}], ("", "")),
    "a lone surrogate": ([words("\ud83d"), RIGHT], ("", "")),
    "only words at first": ([words("I would go ahead."), RIGHT], ("", "")),
    "an unknown tool at first": ([call(name="fly"), RIGHT], ("", "")),
    "broken arguments at first": ([call("{broken"), RIGHT], ("", "")),
    "a second call that is broken": (
        [{**call(), "tool_calls": [*call()["tool_calls"], *call("{broken")["tool_calls"]]}, RIGHT],
        ("", ""),
    ),
    "brackets without end at first": ([call("[" * 50_000), RIGHT], ("", "")),
    "nothing at first": ([words(None), RIGHT], ("", "")),
    "429 at first": ([(429, {"error": {"message": "slow down"}}, ("Retry-After", "0")), RIGHT], ("", "")),
    "500 at first": ([(500, b"oops"), RIGHT], ("", "")),
    "502 at first": ([(502, b"<html>Bad Gateway</html>"), RIGHT], ("", "")),
    "503 twice": ([(503, {}), (503, {}), RIGHT], ("", "")),
    "a cut answer at first": (["cut", RIGHT], ("", "")),
    "a late answer at first": (["late", RIGHT], ("", "")),
    "a closed connection at first": (["hang up", "reset", RIGHT], ("", "")),
    "no JSON at first": ([b"<html>loading</html>", RIGHT], ("", "")),
    "an error under status 200 at first": ([b'{"error": {"message": "overloaded"}}', RIGHT], ("", "")),
    "no parallel_tool_calls": ([RIGHT], ("parallel_tool_calls", "Unknown parameter: 'parallel_tool_calls'")),
    "no tool_choice": ([RIGHT], ("tool_choice", "tool_choice 'required' is not supported")),
    "no seed": ([RIGHT], ('"seed"', "Unrecognized request argument supplied: seed")),
    "max_completion_tokens": (
        [RIGHT],
        ('"max_tokens"', "Unsupported parameter: 'max_tokens', use max_completion_tokens"),
    ),
    "no system role": ([RIGHT], ('"role": "system"', "System role not supported by the chat template")),
    "roles must alternate": ([RIGHT], ('"role": "system"', "Conversation roles must alternate user/assistant")),
    "no tool role": ([RIGHT], ('"role": "tool"', "Unexpected role 'tool' in messages")),
    "no tools at all": ([words('{"name": "ahead", "arguments": {}}')], ('"tools"', "m does not support tools")),
}

REFUSED: dict[str, tuple[list[Reply], str]] = {
    "401": ([(401, {"error": {"message": "Incorrect API key provided"}})], "Incorrect API key provided"),
    "403 in HTML": ([(403, b"<html><h1>Forbidden</h1></html>")], "Forbidden"),
    "404": ([(404, {"error": {"message": "The model `m` does not exist"}})], "does not exist"),
    "422": ([(422, {"detail": [{"loc": ["body"], "msg": "field required"}]})], "field required"),
    "429 for ever": ([(429, {"error": "quota exceeded"})], "quota exceeded"),
    "503 for ever": ([(503, b"")], "503"),
    "HTML for ever": ([b"<html>Welcome to nginx!</html>"], "Welcome to nginx"),
    "an empty body": ([b""], "no JSON"),
    "a list": ([b"[1, 2]"], "no completion"),
    "no choices": ([b'{"choices": []}'], "no completion"),
    "a null message": ([b'{"choices": [{"message": null}]}'], "no completion"),
    "an error under status 200": ([b'{"error": {"message": "CUDA out of memory"}}'], "CUDA out of memory"),
    "always late": (["late"], "within 0.5 s"),
    "always cut": (["cut"], "broke off"),
    "always closed": (["hang up"], "broke off"),
}


def settings(url: str, tmp_path: Path, **more: object) -> list[str]:
    chosen = {
        "env": "gym:tests/Corridor-v0", "model": "endpoint", "model.url": url, "model.name": "m", "model.backoff": 0,
        "model.timeout": 0.5, "model.retries": 2,
        "model.calls": "tools", "memory": "none", "episodes": 1, "runs": tmp_path, "name": "served",
        **more,
    }  # fmt: skip
    return [f"{key}={value}" for key, value in chosen.items()]


@pytest.mark.parametrize("case", SOLVED)
def test_what_servers_do_is_read_or_repeated(case: str, cli: Hippo, tmp_path: Path) -> None:
    replies, refuses = SOLVED[case]
    with serving(*replies, refuses=refuses) as server:
        code, out, err = cli("run", *settings(server.url, tmp_path), "-q")
    assert code == 0, err
    assert "solved 1 of 1" in " ".join(out.split())
    assert "Traceback" not in err


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_helped_is_told_in_the_servers_words(case: str, cli: Hippo, tmp_path: Path) -> None:
    replies, says = REFUSED[case]
    with serving(*replies) as server:
        code, _, err = cli("run", *settings(server.url, tmp_path), "-q")
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert says in err


MALFORMED: dict[str, Reply] = {
    "words": words("I would go ahead."),
    "nothing": words(None),
    "an empty list of calls": {"role": "assistant", "content": "", "tool_calls": []},
    "half a call": words('{"name": "ahead", "argum'),
    "a call without a name": words('{"arguments": {}}'),
    "broken arguments": call("{broken"),
    "arguments that are a list": call("[1, 2]"),
    "arguments that are a number": call("7"),
    "arguments that nobody asked for": call('{"speed": "fast"}'),
    "an unknown tool": call(name="fly"),
    "a tool of another harness": call('{"command": "rm -rf /"}', name="bash"),
    "a call that is a list": words('["ahead", {}]'),
    "brackets without end": call("[" * 50_000),
    "a call of 100 kB": call('{"x": "' + "y" * 100_000 + '"}'),
}


@pytest.mark.parametrize("calls", ["tools", "auto"])
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_answer_becomes_an_invalid_result(case: str, calls: str, tmp_path: Path) -> None:
    """Nothing is repaired or guessed: the model is told what was expected, and its next answer counts."""
    twice = [MALFORMED[case]] * (2 if calls == "auto" else 1)  # one that keeps to no schema is asked again
    with serving(*twice, RIGHT) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0, calls=calls))  # type: ignore[arg-type]
        events = list(Agent(model).run(Corridor(), seed=0))
    statuses = [event.status for event in events if isinstance(event, Returned)]
    assert statuses in (["invalid"], ["invalid"] * len(twice))
    assert isinstance(events[-1], End)
    assert events[-1].success


def test_a_server_that_keeps_to_no_schema_is_asked_for_its_own_calls() -> None:
    with serving(words("Sure, ahead!"), RIGHT) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0))
        list(Agent(model).run(Corridor(), seed=0))
    kinds = ["tools" if "tools" in request else "schema" for request in server.requests]
    assert kinds == ["schema", "tools", "tools", "tools", "tools"]
    refuses = ("response_format", "response_format is not supported")
    with serving(RIGHT, refuses=refuses) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0))
        list(Agent(model).run(Corridor(), seed=0))
    kinds = ["tools" if "tools" in request else "schema" for request in server.requests]
    assert (kinds.count("schema"), kinds[-1], model.calls) == (3, "tools", "tools")


def test_a_mistake_under_a_schema_is_no_lack_of_schemas() -> None:
    """llama.cpp lets line feeds into texts: the first answer is no JSON, but it was written under the schema."""
    slip = words('{ "name": "ahead", "arguments": { "x": "a\nb" }')
    with serving(slip, words('{"name":"ahead","arguments":{}}')) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0))
        events = list(Agent(model).run(Corridor(), seed=0))
    assert [event.status for event in events if isinstance(event, Returned)] == ["invalid"]
    assert (model.calls, len(server.requests)) == ("schema", 5)


def test_one_bad_answer_does_not_turn_schemas_off() -> None:
    good = words('{"name": "ahead", "arguments": {}}')
    with serving(good, good, call(name="fly"), good) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0))
        list(Agent(model).run(Corridor(), seed=0))
    assert model.calls == "schema"
    assert all("response_format" in request for request in server.requests)


def sse(*events: Any, end: bool = True) -> tuple[int, bytes, tuple[str, str]]:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + (["data: [DONE]\n\n"] if end else [])
    return (200, b": hello\n\n" + "".join(lines).encode(), ("Content-Type", "text/event-stream"))


SSE = ("Content-Type", "text/event-stream")


def delta(reason: str | None = None, **parts: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": parts, "finish_reason": reason}]}


def piece(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


STREAMED: dict[str, list[Reply]] = {
    "words": [
        sse(delta(role="assistant"), delta(content='{"name":"ahe'), delta("stop", content='ad","arguments":{}}'))
    ],
    "a call in pieces": [
        sse(
            delta(tool_calls=[piece(0, name="ahead", arguments="")]),
            delta("tool_calls", tool_calls=[piece(0, arguments="{}")]),
        )
    ],
    "two calls": [
        sse(
            delta(tool_calls=[piece(0, name="ahead", arguments="{"), piece(1, name="ahead", arguments="{}")]),
            delta("tool_calls", tool_calls=[piece(0, arguments="}")]),
        )
    ],
    "not streamed after all": [RIGHT],
    "broken off at first": [
        sse(delta(content="{"), end=False),
        sse(delta("stop", tool_calls=[piece(0, name="ahead")])),
    ],
    "no JSON at first": [(200, b"data: <html>\n\n", ("Content-Type", "text/event-stream")), RIGHT],
    "an error at first": [sse({"error": {"message": "overloaded"}}), RIGHT],
    "a delta that is no object at first": [sse({"choices": [{"delta": "ahead"}]}), RIGHT],
    "signs of other scripts that end lines": [
        (200, 'data: {"choices":[{"delta":{"reasoning":"a\u2028b\x85c"}}]}\r\n\r\n'.encode(), SSE),
        sse(delta("stop", tool_calls=[piece(0, name="ahead")])),
    ],
    "no end but a reason": [sse(delta("tool_calls", tool_calls=[piece(0, name="ahead", arguments="{}")]), end=False)],
}


@pytest.mark.parametrize("case", STREAMED)
def test_streams_are_put_together_and_broken_ones_repeated(case: str) -> None:
    with serving(*STREAMED[case]) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0, stream=True, calls="tools"))
        events = list(Agent(model).run(Corridor(), seed=0))
    end = events[-1]
    assert isinstance(end, End)
    assert (end.success, end.invalid_calls) == (True, 0), end
    assert server.requests[0]["stream"] is True


def test_surprise_comes_from_the_servers_probabilities() -> None:
    entries = [None] + [
        {"7": {"logprob": -0.5, "decoded_token": part}} for part in ("<s>", "You stand", " at door 0.", "</s>")
    ]
    with serving({**completion(RIGHT), "prompt_logprobs": entries}) as server:
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0, calls="tools"))
        events = list(Agent(model).run(Corridor(), seed=0))
    first = next(event for event in events if isinstance(event, Decided))
    assert first.surprise == pytest.approx(1 - math.exp(-0.5))
    assert server.requests[0]["prompt_logprobs"] == 0
    assert not model.note  # the others are not in this server's one answer, but it gives some


def test_a_server_without_probabilities_is_not_asked_again() -> None:
    for refuses in (("", ""), ("prompt_logprobs", "Unknown parameter: prompt_logprobs")):
        with serving(RIGHT, refuses=refuses) as server:
            model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0, calls="tools"))
            events = list(Agent(model).run(Corridor(), seed=0))
        assert {event.surprise for event in events if isinstance(event, Decided)} == {None}
        assert sum("prompt_logprobs" in request for request in server.requests) == 1
        assert "surprise is not measured" in model.note


def test_a_server_that_starts_again_is_waited_for() -> None:
    with serving(RIGHT) as server:
        port = server.server_port
        model = EndpointModel(EndpointConfig(url=server.url, name="m", backoff=0, retries=0, calls="tools"))
        playing = Agent(model).run(Corridor(), seed=0)
        while not isinstance(next(playing), Decided):
            pass
    again: list[Any] = []

    def start() -> None:
        time.sleep(1.5)
        again.append(stack.enter_context(serving(RIGHT, port=port)))

    with ExitStack() as stack:
        thread = threading.Thread(target=start)
        thread.start()
        end = list(playing)[-1]
        thread.join()
    assert isinstance(end, End)
    assert end.success
    assert len(again[0].requests) == 3


def test_one_call_at_a_time_is_asked_for_and_several_are_made_in_order(cli: Hippo, tmp_path: Path) -> None:
    with serving(TWICE) as server:
        cli("run", *settings(server.url, tmp_path), "-q")
    assert server.requests[0]["parallel_tool_calls"] is False
    assert len(server.requests) == 2, "four steps, two calls in each answer"


def test_a_thought_is_sent_back(cli: Hippo, tmp_path: Path) -> None:
    with serving({**RIGHT, "reasoning_content": "the end is ahead"}) as server:
        cli("run", *settings(server.url, tmp_path), "-q")
    told = [message for message in server.requests[-1]["messages"] if message["role"] == "assistant"]
    assert [message["reasoning_content"] for message in told] == ["the end is ahead"] * 3


def test_the_system_message_goes_into_the_first_of_the_user(cli: Hippo, tmp_path: Path) -> None:
    with serving(RIGHT, refuses=('"role": "system"', "system role is not supported")) as server:
        cli("run", *settings(server.url, tmp_path), "-q")
    first, *rest = server.requests[-1]["messages"]
    assert first["role"] == "user"
    assert "reach the end" in first["content"]
    assert "You stand at door 0." in first["content"]
    assert "system" not in {message["role"] for message in rest}
    assert sum(1 for request in server.requests if request["messages"][0]["role"] == "system") == 1, "it is remembered"


def test_the_same_name_goes_on_where_the_server_was_lost(cli: Hippo, tmp_path: Path) -> None:
    with serving(*[RIGHT] * 6, (401, {"error": "key expired"})) as server:
        code, _, err = cli("run", *settings(server.url, tmp_path, episodes=3), "-q")
    assert (code, "key expired" in err) == (1, True)
    with serving(RIGHT) as server:
        code, out, err = cli("run", *settings(server.url, tmp_path, episodes=3), "-q")
    assert (code, "solved 2 of 2" in " ".join(out.split())) == (0, True), out + err
    assert len(server.requests) == 8, "the first episode is not played again"
    with serving(RIGHT) as server:
        assert cli("run", *settings(server.url, tmp_path, episodes=3), "-q")[0] == 2, "it is complete now"


def test_a_collection_ends_too_and_goes_on(cli: Hippo, tmp_path: Path) -> None:
    more = {"policy": "model", "batch": 1, "episodes": 2}
    with serving(*[RIGHT] * 5, (401, {"error": "key expired"})) as server:
        code, _, err = cli("collect", *settings(server.url, tmp_path, **more))
        assert (code, "key expired" in err) == (1, True)
        server.replies = [RIGHT]
        code, out, err = cli("collect", *settings(server.url, tmp_path, **more), "--json")
    assert (code, '"success": 1.0' in out or '"solved": 2' in out) == (0, True), out + err


def test_no_server_at_all(cli: Hippo, tmp_path: Path) -> None:
    code, _, err = cli("run", *settings("http://127.0.0.1:9/v1", tmp_path), "-q")
    assert (code, "can't be reached" in err) == (1, True)
    code, _, err = cli("run", *settings("nonsense", tmp_path, name="other"), "-q")
    assert (code, "can't be reached" in err) == (1, True)
