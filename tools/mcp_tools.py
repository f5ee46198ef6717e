"""The tools of MCP servers, local programs or addresses, as tools of the agent."""

import os
import shlex
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from memory.clean import clean_text, text_of
from tools.errors import ToolSchemaError
from tools.policy import CallPolicy
from tools.tool import Tool
from tools.types import ToolResult

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from mcp import Client

TIMEOUT = 30.0
"""Seconds for a call of a tool, and for a server to answer when it is started."""

MOST_TOOLS = 256
"""Most tools of one server: a small model reads all of them."""

TOKEN = "HIPPO_MCP_TOKEN_"  # noqa: S105
"""Environment variable with a bearer token, for the address of a name: ``HIPPO_MCP_TOKEN_NOTES``."""


@contextmanager
def mcp_tools(servers: Sequence[str], timeout: float = TIMEOUT) -> Iterator[list[Tool]]:
    """Connect to MCP servers, and give their tools; local programs end with this context.

    A tool that can't be taken is left out, with a warning that says why. Descriptions are those of the servers, as far
    as a line goes: they are read by the model, so name only servers that you trust.

    Args:
        servers: Each an address such as ``http://127.0.0.1:8765/mcp``, or a command line such as
            ``python my_server.py --fast``; with ``NAME=`` before it, its tools are called ``NAME_...``, and an address
            gets the token in the environment variable ``HIPPO_MCP_TOKEN_NAME``.
        timeout: Seconds for one call, and for the start.

    Raises:
        ToolSchemaError: A server can't be reached, or the MCP SDK is missing.
    """
    if not servers:
        yield []
        return
    if find_spec("mcp") is None:
        raise ToolSchemaError("mcp= needs the MCP SDK: pip install mcp")
    from anyio.from_thread import start_blocking_portal

    stack = ExitStack()
    try:
        portal = stack.enter_context(start_blocking_portal())
        found: dict[str, Tool] = {}
        for words in servers:
            prefix, place = _parts(words)
            for tool in _connected(stack, portal, place, prefix, timeout):
                if tool.name in found:
                    _left_out(place, f"there is a tool {tool.name!r} already; put NAME= before the server")
                else:
                    found[tool.name] = tool
        yield list(found.values())
    finally:
        stack.close()  # not a with: the connections would wrap what the caller raises


def _parts(words: str) -> tuple[str, str]:
    """Return the prefix and the place that words name."""
    name, equals, place = words.strip().partition("=")
    return (name, place) if equals and name.isidentifier() else ("", words.strip())


def _connected(stack: ExitStack, portal: "BlockingPortal", place: str, prefix: str, timeout: float) -> list[Tool]:
    try:
        client = stack.enter_context(portal.wrap_async_context_manager(_client(place, prefix, timeout)))
        listed = portal.call(_listed, client)
    except Exception as error:  # the boundary: a server may fail in any way
        raise ToolSchemaError(f"the MCP server {place!r} can't be used: {_reason(error)}") from error
    connection = _Connection(portal, client, timeout)
    tools: list[Tool] = []
    for one in listed:
        try:
            tool = Tool.from_schema(
                f"{prefix}_{one.name}" if prefix else one.name,
                one.description or one.title or one.name,
                one.input_schema,
                connection.caller(one.name),
                policy=CallPolicy(timeout, side_effects=not _harmless(one)),
                trusted=False,
            )
        except Exception as error:  # the boundary: a schema of others may be anything
            _left_out(place, text_of(error))
            continue
        tools.append(replace(tool, original=one.name))
    return tools


def _harmless(tool: Any) -> bool:
    """Return whether a server says that a tool only reads, or that a second call changes nothing more."""
    about = tool.annotations
    return bool(about and (about.read_only_hint or about.idempotent_hint))


def _left_out(place: str, why: str) -> None:
    warnings.warn(f"the MCP server {place!r}: {why}; the tool is left out", stacklevel=5)


def _client(place: str, prefix: str, timeout: float) -> "Client":
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    if place.startswith(("http://", "https://")):
        token = os.environ.get(f"{TOKEN}{prefix.upper()}") if prefix else None
        return Client(_with_token(place, token) if token else place, read_timeout_seconds=timeout)
    program, *arguments = shlex.split(place) or [""]
    known = {key: value for key, value in os.environ.items() if key != "HIPPO_TOKEN" and not key.startswith(TOKEN)}
    parameters = StdioServerParameters(command=program, args=arguments, env=known)
    return Client(parameters, read_timeout_seconds=timeout)


def _with_token(place: str, token: str) -> Any:
    """Return a connection that sends a token."""
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    client = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    return streamable_http_client(place, http_client=client)


async def _listed(client: "Client") -> list[Any]:
    """Return all tools of a server, page by page.

    Raises:
        ToolSchemaError: There are too many.
    """
    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(MOST_TOOLS):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None and len(tools) <= MOST_TOOLS:
            return tools
        if len(tools) > MOST_TOOLS:
            break
    raise ToolSchemaError(f"it lists more than {MOST_TOOLS} tools, or no end of them")


class _Connection:
    """A connection to one server, for calls from any thread, one after another."""

    def __init__(self, portal: "BlockingPortal", client: "Client", timeout: float) -> None:
        self._portal = portal
        self._client = client
        self._timeout = timeout
        self._lock = threading.Lock()

    def caller(self, name: str) -> Any:
        """Return what calls one tool."""

        def call(arguments: dict[str, Any]) -> ToolResult:
            with self._lock:
                try:
                    result = self._portal.call(self._client.call_tool, name, arguments)
                except Exception as error:  # the boundary: a server may fail in any way
                    return ToolResult.failed(f"the MCP server failed: {_reason(error)}")
            return _result(result)

        return call


def _result(result: Any) -> ToolResult:
    """Return what a server gave: its texts, other content by kind, and the structured content as data."""
    parts = []
    for item in result.content:
        words = getattr(item, "text", None) or getattr(getattr(item, "resource", None), "text", None)
        parts.append(words if isinstance(words, str) else f"[{getattr(item, 'mime_type', None) or item.type}]")
    words = clean_text("\n".join(parts))
    if result.is_error:
        return ToolResult.failed(words or "the tool failed")
    return ToolResult.ok(words or "done", result.structured_content)


def _reason(error: BaseException) -> str:
    """Return the words of an error; of a group of errors, those of the first."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {text_of(error)}".rstrip(": ")
