"""An agent behind OpenAI's chat API: ``/v1/chat/completions`` with streaming, ``/v1/models``, ``/health``."""

import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.errors import AgentError, ServerError
from agent.serve.chat import ChatService, Reply
from agent.serve.chat_request import ChatRequest, RequestError
from memory.clean import text_of

SESSION = "x-session-id"
"""Header that names a session; the field ``user`` of a request does so too."""

MOST_ANSWERED = 64
"""Requests that wait for the agent at most; more are told to come again."""


def app_of(service: ChatService, name: str) -> Starlette:
    """Return the ASGI application of an agent.

    Args:
        service: Answers the requests.
        name: Name of the model, as clients see it.
    """
    threads = anyio.CapacityLimiter(MOST_ANSWERED)

    async def complete(request: Request) -> Response:
        try:
            asked = ChatRequest.read(await request.json())
            service.check(asked)
        except RequestError as error:
            return _refused(400, str(error))
        except (ValueError, RecursionError, ClientDisconnect):
            return _refused(400, "the body is no JSON")
        if threads.available_tokens < 1:
            return _refused(503, "too many requests wait for the agent: come again", {"Retry-After": "2"})
        session = (request.headers.get(SESSION) or asked.user or "")[:200]
        if asked.stream:
            stream = _streamed(service, asked, session, name, threads)
            return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        try:
            reply = await anyio.to_thread.run_sync(service.answer, asked, session, limiter=threads)
        except Exception as error:  # the boundary: an agent's tools and model may raise anything
            return _refused(*_told(error))
        return JSONResponse(_body(reply, name))

    async def models(_: Request) -> Response:
        about = {"id": name, "object": "model", "created": 0, "owned_by": "hippo-llm-memory"}
        return JSONResponse({"object": "list", "data": [about]})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", health),
    ]
    return Starlette(routes=routes, exception_handlers={404: _no_such, 405: _no_such})


async def _no_such(request: Request, _: Exception) -> Response:
    return _refused(404, f"there is no {request.method} {request.url.path}: POST /v1/chat/completions, GET /v1/models")


def _refused(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": words, "type": kind, "code": None}}, status, headers)


def _told(error: Exception) -> tuple[int, str]:
    """Return status and words of an error."""
    if isinstance(error, RequestError):
        return 400, str(error)
    if isinstance(error, ServerError):
        return 502, str(error)
    return 500, text_of(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {text_of(error)}"


def _message(reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if reply.call is not None:
        arguments = json.dumps(reply.call.arguments, ensure_ascii=False)
        function = {"name": reply.call.name, "arguments": arguments}
        message["tool_calls"] = [{"id": reply.call_id, "type": "function", "function": function}]
    return message


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _body(reply: Reply, name: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [{"index": 0, "message": _message(reply), "finish_reason": reply.finish}],
        "usage": _usage(reply),
        "memory_calls": reply.memory_calls,
    }


async def _streamed(
    service: ChatService, asked: ChatRequest, session: str, name: str, threads: anyio.CapacityLimiter
) -> AsyncIterator[str]:
    """Yield the events of a streamed answer; while the agent works, comments say which tools it calls."""
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": "chat.completion.chunk", "created": int(time.time())}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _event(head | {"model": name, "choices": choices} | more)

    yield chunk({"role": "assistant", "content": ""})
    heard, hear = anyio.create_memory_object_stream[str](1000)
    done: list[Reply | Exception] = []

    def tell(called: str) -> None:
        anyio.from_thread.run_sync(heard.send_nowait, called)

    async def work() -> None:
        with heard:
            try:
                done.append(await anyio.to_thread.run_sync(service.answer, asked, session, tell, limiter=threads))
            except Exception as error:  # the boundary: an agent's tools and model may raise anything
                done.append(error)

    async with hear, anyio.create_task_group() as group:
        group.start_soon(work)
        async for called in hear:
            yield f": {called}\n\n"
    reply = done[0]
    if isinstance(reply, Exception):
        status, words = _told(reply)
        yield _event({"error": {"message": words, "type": "server_error", "code": status}})
        return
    message = _message(reply)
    if reply.call is not None:
        yield chunk({"tool_calls": [{"index": 0, **message["tool_calls"][0]}]})
    else:
        yield chunk({"content": reply.content})
    yield chunk({}, reply.finish, memory_calls=reply.memory_calls)
    if (asked.stream_options or {}).get("include_usage"):
        yield _event(head | {"model": name, "choices": [], "usage": _usage(reply)})
    yield "data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"  # in ASCII: clients split lines at signs of other scripts
