"""Requests to an OpenAI-compatible server: repeated after passing failures, and fitted to what the server takes."""

import json
import math
import random
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from agent.errors import ServerError
from agent.models.streams import assembled, lines_of
from memory.clean import MAX_ERROR, clean_data, clean_text

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Status codes after which the same request may succeed."""

_LONGEST_WAIT = 30.0
"""Seconds that are waited at most before a repetition, whatever the server asks for."""

_RESTART_PAUSE = 1.0
"""Seconds between two questions to a server that starts again."""

_OPTIONAL = (
    *("parallel_tool_calls", "seed", "tool_choice", "temperature", "max_tokens"),
    *("prompt_logprobs", "stream_options"),
)
"""Parameters of a request that servers may refuse; the request is repeated without the one that the refusal names."""


class Server:
    """A server; it remembers what the server does not take.

    Args:
        url: Base address, as ``http://127.0.0.1:8000/v1``.
        key: Bearer token.
        timeout: Seconds for one answer.
        retries: How often a request is repeated after a passing failure.
        backoff: Seconds before the first repetition; doubled each time.
        restart: Seconds to wait for a server that answered before, and now can't be reached or says that it starts.
    """

    def __init__(
        self, url: str, key: str | None, timeout: float, retries: int, backoff: float, restart: float = 0.0
    ) -> None:
        self.url = url.rstrip("/")
        self.retries = retries
        self.backoff = backoff
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._without: set[str] = set()
        self._restart = restart
        self._answered = False

    def lacks(self, what: str) -> bool:
        """Return whether the server refused a part of requests, such as ``response_format``."""
        return what in self._without

    def complete(self, request: Mapping[str, Any]) -> Any:
        """Send a request to ``/chat/completions`` and return the decoded body.

        Raises:
            ServerError: The server can't be reached, refuses the request, or answers with something that is no JSON.
        """
        failures = 0
        lost: float | None = None
        while True:
            away = False
            try:
                body, response = self._post(self._fitted(request))
                if response.status_code < 300:
                    self._answered = True
                    return body if body is not None else _decoded(response)
                away = response.status_code == 503
                problem = f"it answered {response.status_code}: {_said(response)}"
                if self._refused(response):
                    continue
                passing, wait = response.status_code in _PASSING, _asked_wait(response)
            except httpx.TimeoutException:
                problem, passing, wait = f"it gave no answer within {self._timeout:g} s", True, 0.0
            except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                problem, passing, wait = f"it can't be reached: {error}", isinstance(error, httpx.ConnectError), 0.0
                away = passing
            except httpx.HTTPError as error:  # a cut answer, a closed connection, too many redirects
                problem, passing, wait = f"its answer broke off: {error or type(error).__name__}", True, 0.0
            except ValueError as error:
                problem, passing, wait = str(error), True, 0.0
            lost = (time.monotonic() if lost is None else lost) if away and self._answered else None
            if lost is not None and time.monotonic() - lost < self._restart:
                time.sleep(min(max(wait, _RESTART_PAUSE), _LONGEST_WAIT))
                continue
            failures += 1
            if not passing or failures > self.retries:
                times = f" ({failures} tries)" if failures > 1 else ""
                raise ServerError(f"{self.url} gave no answer{times}: {problem}")
            pause = max(wait, self.backoff * 2 ** (failures - 1) * (0.75 + random.random() / 2))  # noqa: S311
            time.sleep(min(pause, _LONGEST_WAIT))

    def _post(self, request: Mapping[str, Any]) -> tuple[Any, httpx.Response]:
        """Send a request; return the body that a stream was put together to, else ``None``, and the response."""
        content = json.dumps(clean_data(request), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **self._headers}
        with (
            httpx.Client(timeout=self._timeout, follow_redirects=True) as client,
            client.stream("POST", f"{self.url}/chat/completions", content=content, headers=headers) as response,
        ):
            streamed = response.headers.get("content-type", "").startswith("text/event-stream")
            if response.status_code < 300 and streamed:
                return assembled(lines_of(response.iter_bytes())), response
            response.read()
            return None, response

    def _fitted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request without what the server does not take."""
        fitted = {key: value for key, value in request.items() if key not in self._without}
        if "max_tokens" in self._without:
            fitted["max_completion_tokens"] = request["max_tokens"]
        if "response_format" in self._without:
            fitted.pop("response_format", None)
        elif "json_schema" in self._without and "response_format" in fitted:  # llama-cpp-python's form
            schema = request["response_format"]["json_schema"]["schema"]
            fitted["response_format"] = {"type": "json_object", "schema": schema}
        messages = [dict(message) for message in request["messages"]]
        if "reasoning_content" in self._without:
            for message in messages:
                message.pop("reasoning_content", None)
        if "tool role" in self._without:
            messages = [_as_words(message) for message in messages]
        if "tools" in self._without:
            messages = _with_tools(messages, request["tools"])
            fitted.pop("tool_choice", None)
            fitted.pop("parallel_tool_calls", None)
        if "system role" in self._without:
            messages = _folded(messages)
        return fitted | {"messages": messages}

    def _refused(self, response: httpx.Response) -> bool:
        """Note what a refusal is about, and return whether the request should be sent again without it."""
        if response.status_code not in (400, 404, 422, 500, 501):
            return False
        said = _said(response).lower()
        refused = next((name for name in (*_OPTIONAL, "reasoning_content") if name in said), None)
        if refused is None and re.search(r"response_format|json_schema", said):
            refused = "json_schema" if "json_schema" not in self._without else "response_format"
        if refused is None and "system" in said and re.search(r"role|message|prompt|support", said):
            refused = "system role"
        if refused is None and re.search(r"alternat", said):
            refused = "system role" if "system role" not in self._without else "tool role"
        if refused is None and re.search(
            r"\btool\b.*\brole|role.*\btool\b|roles?\b.*(invalid|unknown|unsupported)", said
        ):
            refused = "tool role"
        if (
            refused is None
            and re.search(r"\btools?\b|function call", said)
            and re.search(r"support|enable|allow|unknown", said)
        ):
            refused = "tools"
        if refused is None or refused in self._without:
            return False
        self._without.add(refused)
        return True


def _decoded(response: httpx.Response) -> Any:
    try:
        body = response.json()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its answer is no JSON: {_excerpt(response.text)}") from error
    problem = body.get("error") if isinstance(body, dict) and "choices" not in body else None
    if problem:
        raise ValueError(f"it answered: {_message(problem)}")
    return body


def _said(response: httpx.Response) -> str:
    """Return the server's own words of an error."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return _excerpt(re.sub(r"<[^>]*>", " ", response.text)) or response.reason_phrase
    for key in ("error", "detail", "message", "msg"):
        if isinstance(body, dict) and body.get(key):
            return _message(body[key])
    return _excerpt(json.dumps(body, ensure_ascii=False))


def _message(problem: Any) -> str:
    if isinstance(problem, dict):
        problem = problem.get("message") or problem.get("msg") or problem.get("detail") or problem
    return _excerpt(problem if isinstance(problem, str) else json.dumps(problem, ensure_ascii=False))


def _excerpt(text: str) -> str:
    words = " ".join(clean_text(text).split())
    return words if len(words) <= MAX_ERROR else f"{words[:MAX_ERROR]}…"


def _asked_wait(response: httpx.Response) -> float:
    try:
        wait = float(response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
    return wait if math.isfinite(wait) and wait > 0 else 0.0


def _folded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages with the system message in front of the first user message."""
    if not messages or messages[0]["role"] != "system":
        return messages
    system, *rest = messages
    first = next((message for message in rest if message["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": system["content"]}, *rest]
    first["content"] = f"{system['content']}\n\n{first['content']}"
    return rest


def _with_tools(messages: list[dict[str, Any]], tools: Any) -> list[dict[str, Any]]:
    """Return messages of roles without tools, the first of which lists the tools and says how to call one."""
    listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    how = f'Tools:\n{listed}\nAnswer with one call only, as JSON: {{"name": "...", "arguments": {{...}}}}'
    plain = [_as_words(message) for message in messages]
    return [{**plain[0], "content": f"{plain[0]['content']}\n\n{how}"}, *plain[1:]]


def _as_words(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the roles user and assistant alone: calls and results as words."""
    if message["role"] == "tool":
        return {"role": "user", "content": message["content"]}
    if calls := message.get("tool_calls"):
        functions = (call["function"] for call in calls)
        words = (f'{{"name":{json.dumps(f["name"])},"arguments":{f["arguments"]}}}' for f in functions)
        return {"role": "assistant", "content": "\n".join(words)}
    return message
