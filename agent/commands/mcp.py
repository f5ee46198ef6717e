"""``hippo mcp``: serve a memory to MCP hosts."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.console import Hosts, Origins, plain_errors
from agent.errors import ConfigError


def mcp(
    memory: Annotated[Path, typer.Option(help="Folder of the memory; made if it is missing.")],
    http: Annotated[
        str, typer.Option(help="Serve over streamable HTTP: a port, or host:port. By default over stdio.")
    ] = "",
    token: Annotated[
        str,
        typer.Option(help="Bearer token that HTTP clients must send; needed for other hosts.", envvar="HIPPO_TOKEN"),
    ] = "",
    host: Hosts = None,
    origin: Origins = None,
    source: Annotated[str, typer.Option(help="Who says what is written, where a client names nobody.")] = "mcp",
    embedder: Annotated[str, typer.Option(help="For a new memory: minilm or hashing.")] = "minilm",
) -> None:
    """Serve a memory to MCP hosts, over stdio or HTTP.

    Its tools: recall, remember, ask, tell, read, plan, forget, undo, sources, inspect.

    hippo mcp --memory ~/memory

    hippo mcp --memory ~/memory --http 8765
    """
    with plain_errors():
        if find_spec("mcp") is None:
            raise ConfigError("the MCP SDK is not installed: pip install mcp")
        from agent.serve.http import TokenGuard, address_of, check_token, hosts_of, serve
        from agent.serve.mcp_server import server_of
        from agent.serve.service import MemoryService

        address = address_of(http) if http else None
        if address is not None:
            check_token(address[0], token)
        if embedder not in ("minilm", "hashing"):
            raise ConfigError(f"--embedder is minilm or hashing, got {embedder!r}")
        service = MemoryService(memory.expanduser(), source, embedder)
        service.open_soon()
        try:
            server = server_of(service, _version())
            if address is None:
                server.run("stdio")
                return
            from mcp.server.transport_security import TransportSecuritySettings

            def ready(url: str) -> None:
                print(f"MCP at {url}/mcp", file=sys.stderr, flush=True)  # noqa: T201

            checks = TransportSecuritySettings(
                allowed_hosts=hosts_of(address[0], tuple(host or ())), allowed_origins=list(origin or ())
            )
            app = server.streamable_http_app(transport_security=checks, host=address[0])
            serve(TokenGuard(app, token) if token else app, *address, ready)
        finally:
            service.close()


def _version() -> str:
    from importlib.metadata import version

    return version("hippo-llm-memory")
