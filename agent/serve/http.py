"""Serving over HTTP: on this machine only, unless there is a token; other hosts and origins are refused."""

import hmac
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from agent.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")

MOST_CONNECTIONS = 4096
"""Open files that are asked for, one for each connection."""


MAX_BODY = 4 * 2**20
"""Longest body of a request, in bytes."""

BACKLOG = 2048
"""Connections that may wait to be accepted."""


class TokenGuard:
    """An ASGI application behind a bearer token.

    Args:
        app: The application.
        token: The token.
    """

    def __init__(self, app: Any, token: str) -> None:
        self.app = app
        self._expected = token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on if it has the token; else answer 401."""
        if scope["type"] == "http":
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            scheme, _, token = given.partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._expected):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"text/plain")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"a bearer token is needed\n"})
                return
        await self.app(scope, receive, send)


class WebGuard:
    """An ASGI application that answers for its own names and to pages that are allowed only, and no long requests.

    A web page that somebody opens can send requests to this machine; a page of another name that resolves to it
    (DNS rebinding) has that name in the header Host.

    Args:
        app: The application.
        hosts: Values of the header Host, as :func:`hosts_of` returns them.
        origins: Web pages that may connect, as ``https://app.example``.
    """

    def __init__(self, app: Any, hosts: Sequence[str], origins: Sequence[str] = ()) -> None:
        self.app = _for_pages(app, origins) if origins else app
        self._hosts = {host.removesuffix(":*").lower() for host in hosts}
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on if nothing is wrong with it; else answer 421, 403 or 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = re.sub(r":\d+$", "", headers.get(b"host", "")).lower()
        origin = headers.get(b"origin", "")
        if host not in self._hosts:
            await _refuse(send, 421, "this is no host of that name: start the server with --host NAME")
        elif origin and origin.lower() not in self._origins:
            await _refuse(send, 403, "pages of that origin may not connect: start the server with --origin URL")
        else:
            await self._limited(scope, receive, send, headers.get(b"content-length", "0"))

    async def _limited(self, scope: Any, receive: Any, send: Any, length: str) -> None:
        """Pass on a request whose body, as it comes, does not get longer than :data:`MAX_BODY`."""
        if length.isdecimal() and int(length) > MAX_BODY:
            await _refuse(send, 413, f"a request has at most {MAX_BODY:,} bytes")
            return
        came = 0
        refused = False

        async def counted() -> Any:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            return message if came <= MAX_BODY else {"type": "http.disconnect"}

        async def sending(message: Any) -> None:
            nonlocal refused
            if came <= MAX_BODY:
                await send(message)
            elif not refused:
                refused = True
                await _refuse(send, 413, f"a request has at most {MAX_BODY:,} bytes")

        await self.app(scope, counted, sending)


def _for_pages(app: Any, origins: Sequence[str]) -> Any:
    """Return an application that tells browsers that these pages may read its answers (CORS)."""
    from starlette.middleware.cors import CORSMiddleware

    pages = [origin.rstrip("/") for origin in origins]
    return CORSMiddleware(app, allow_origins=pages, allow_methods=["*"], allow_headers=["*"])


async def _refuse(send: Any, status: int, words: str) -> None:
    kind = "invalid_request_error"
    body = json.dumps({"error": {"message": words, "type": kind, "code": None}}).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def address_of(words: str) -> tuple[str, int]:
    """Return host and port of ``PORT``, ``HOST:PORT`` or ``[HOST]:PORT``; without a host it is 127.0.0.1.

    Raises:
        ConfigError: They are none.
    """
    host, _, port = words.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ConfigError(f"--http takes a port such as 8765, or host:port, got {words!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def check_token(host: str, token: str) -> None:
    """Refuse to serve to other machines without a token.

    Raises:
        ConfigError: The host can be reached from outside, and there is no token, or a short one.
    """
    if host not in LOOPBACK and not token:
        raise ConfigError(f"{host} can be reached from other machines: give --token, or set HIPPO_TOKEN")
    if token and (len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token):
        raise ConfigError("a token has at least 16 letters, digits or signs, no spaces")


def hosts_of(host: str, names: tuple[str, ...] = ()) -> list[str]:
    """Return the values of the header Host that are answered, with any port."""
    known = (*(LOOPBACK if host in LOOPBACK else (host,)), *names)
    bare = [f"[{name}]" if ":" in name else name for name in known]
    return [f"{name}:*" for name in bare] + bare


def serve(app: Any, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve an ASGI application until Ctrl-C.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        ready: Called with the address when connections are accepted.

    Raises:
        ConfigError: The address can't be listened on.
    """
    import asyncio
    import socket

    import uvicorn

    with suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    config = uvicorn.Config(
        app, log_level="warning", timeout_keep_alive=15, timeout_graceful_shutdown=3, backlog=BACKLOG
    )
    server = uvicorn.Server(config)
    with listener:
        ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
        asyncio.run(server.serve(sockets=[listener]))
