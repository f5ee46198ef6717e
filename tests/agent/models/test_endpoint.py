"""A real HTTP server that speaks, or misspeaks, the OpenAI protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from agent import Chat, Message, ModelError, Turn
from agent.models.endpoint import EndpointConfig, EndpointModel, listed
from agent.models.local import LocalModel
from memory import HashingEmbedder, Memory
from tools import MemoryTools, Toolbox, ToolCall
from tools.actions import action_tools

BOX = Toolbox(action_tools({"ahead": (1, "step ahead")}))


class Server(HTTPServer):
    message: Any = None
    status = 200
    requests: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(json.loads(body))
        answer = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": self.server.message}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35},
        }  # fmt: skip
        data = json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.requests = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def calling(arguments: object, name: str = "ahead") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]}


def ask(server: Server, **config: Any) -> str:
    talk = Chat("go", BOX.specs(), seed=3)
    talk.add(Message("user", "You stand at a door."))
    call = ToolCall(name="ahead")
    talk.add(Message("assistant", call.text(), call))
    talk.add(Message("tool", "You stand at another door."))
    model = EndpointModel(
        EndpointConfig(
            url=f"http://127.0.0.1:{server.server_port}/v1", name="m", backoff=0, **{"calls": "tools"} | config
        )
    )
    return model.decide([Turn(talk, BOX.offer())])[0].text


@pytest.mark.parametrize("arguments", ["{}", {}, "", "  ", None, '"{}"'])
def test_a_tool_call_becomes_ours(server: Server, arguments: object) -> None:
    server.message = calling(arguments)
    assert ToolCall.parse(ask(server)) == ToolCall(name="ahead")


def test_the_request_is_what_servers_expect(server: Server) -> None:
    server.message = calling("{}")
    ask(server)
    sent = server.requests[0]
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][3]["tool_call_id"] == sent["messages"][2]["tool_calls"][0]["id"]
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert sent["tools"] == [spec.openai() for spec in BOX.specs()]
    assert (sent["tool_choice"], sent["seed"], sent["model"]) == ("required", 3, "m")


def test_calls_under_a_schema(server: Server) -> None:
    """Everything is in words that any chat template renders, and only an offered call passes the schema."""
    server.message = {"role": "assistant", "content": '{"name":"ahead","arguments":{}}'}
    assert ToolCall.parse(ask(server, calls="schema")) == ToolCall(name="ahead")
    sent = server.requests[0]
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "user"]
    assert sent["messages"][0]["content"].endswith(
        'Mission: go\nTools:\nahead(): step ahead\nAnswer with {"name":tool,"arguments":{...}}'
    )
    assert sent["messages"][2]["content"] == '{"name":"ahead","arguments":{}}'
    assert not {"tools", "tool_choice"} & set(sent)
    schema = sent["response_format"]["json_schema"]["schema"]
    assert [one["properties"]["name"] for one in schema["anyOf"]] == [{"const": "ahead"}]


@pytest.mark.model
def test_the_tools_are_listed_as_the_model_was_trained(model: LocalModel) -> None:
    tools = MemoryTools(Memory.open(None, HashingEmbedder())).select()
    chat = Chat("go", [tool.spec() for tool in tools])
    text = model.tokens.text(chat)
    assert f"{chat.system()['content']}\n{listed(chat.tools)}<" in text


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "I would go ahead."},
        calling("{broken"),
        calling("[1"),
    ],
)
def test_nonsense_stays_nonsense(server: Server, message: dict[str, Any]) -> None:
    server.message = message
    with pytest.raises(ValueError, match="expected"):
        ToolCall.parse(ask(server))


def test_a_failing_server_is_a_model_error(server: Server) -> None:
    server.status = 500
    server.message = calling("{}")
    with pytest.raises(ModelError, match="gave no answer"):
        ask(server)


def test_no_server_is_a_model_error() -> None:
    model = EndpointModel(EndpointConfig(url="http://127.0.0.1:9/v1", api_key=SecretStr("secret"), backoff=0))
    talk = Chat("go", BOX.specs())
    talk.add(Message("user", "You stand at a door."))
    with pytest.raises(ModelError, match="gave no answer"):
        model.decide([Turn(talk, BOX.offer())])
    assert "secret" not in str(model.describe())


def test_the_window_drops_the_oldest_steps(server: Server) -> None:
    server.message = calling("{}")
    talk = Chat("go", BOX.specs())
    talk.add(Message("user", "first " * 20))
    for index in range(12):
        talk.add(Message("assistant", ToolCall(name="ahead").text(), ToolCall(name="ahead")))
        talk.add(Message("tool", f"door {index} " * 10))
    model = EndpointModel(EndpointConfig(url=f"http://127.0.0.1:{server.server_port}/v1", seq_len=256, calls="tools"))
    decision = model.decide([Turn(talk, BOX.offer())])[0]
    assert decision.usage.dropped == talk.start > 0
    assert talk.visible()[0].role == "tool"
    assert talk.visible()[-1].content.startswith("door 11")


def test_tools_take_the_room_that_their_listing_has(server: Server) -> None:
    """Their JSON schemas are long, but are not in the prompt when calls are asked for under a schema."""
    server.message = {"role": "assistant", "content": '{"name":"ahead","arguments":{}}'}
    many = Toolbox(MemoryTools(Memory.open(None, HashingEmbedder())).select())
    talk = Chat("go", [*BOX.specs(), *many.specs()])
    assert len(str(talk.openai_tools())) > 1500
    talk.add(Message("user", "You stand at a door."))
    talk.add(Message("assistant", ToolCall(name="ahead").text(), ToolCall(name="ahead")))
    talk.add(Message("tool", "You stand at another door."))
    url = f"http://127.0.0.1:{server.server_port}/v1"
    EndpointModel(EndpointConfig(url=url, seq_len=384)).decide([Turn(talk, BOX.offer())])
    assert talk.start == 0


def test_the_key_is_written_nowhere() -> None:
    config = EndpointConfig(api_key=SecretStr("sesame"))
    assert "sesame" not in config.model_dump_json() + str(config)


def test_words_before_a_result_are_sent_as_servers_allow(server: Server) -> None:
    server.message = calling("{}")
    talk = Chat("go", BOX.specs())
    talk.add(Message("user", "You stand at a door."))
    talk.add(Message("assistant", "Let me think."))
    talk.add(Message("tool", "invalid: expected a call"))
    model = EndpointModel(EndpointConfig(url=f"http://127.0.0.1:{server.server_port}/v1", calls="tools"))
    model.decide([Turn(talk, BOX.offer())])
    assert [m["role"] for m in server.requests[0]["messages"]] == ["system", "user", "assistant", "user"]
