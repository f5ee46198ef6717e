"""``hippo serve``: an agent with its memory and tools as an OpenAI-compatible chat endpoint."""

import os
import sys
from contextlib import ExitStack
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.console import Hosts, Origins, plain_errors
from agent.errors import ConfigError

TOOLS = "recall"
"""Tools of the memory that a chat offers by default; small models go astray among many."""


def serve(
    memory: Annotated[Path, typer.Option(help="Folder of the memory; made if it is missing.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings as key=value: model=hippo-135m plugins=my_tools.py memory.gate.tau=0.4", show_default=False
        ),
    ] = None,
    http: Annotated[str, typer.Option(help="A port, or host:port.")] = "8766",
    token: Annotated[
        str, typer.Option(help="Bearer token that clients must send; needed for other hosts.", envvar="HIPPO_TOKEN")
    ] = "",
    host: Hosts = None,
    origin: Origins = None,
    log: Annotated[Path | None, typer.Option(help="Folder for the logs of episodes; none are kept by default.")] = None,
) -> None:
    """Serve an agent, its memory and tools included, as an OpenAI-compatible chat endpoint.

    hippo serve --memory ~/memory model=hippo-135m

    hippo serve --memory ~/memory --http 0.0.0.0:8766 --host agent.example
    """
    with plain_errors():
        if find_spec("starlette") is None or find_spec("uvicorn") is None:
            raise ConfigError("serving needs starlette and uvicorn: pip install starlette uvicorn")
        from agent.serve.http import TokenGuard, WebGuard, address_of, check_token, hosts_of
        from agent.serve.http import serve as serve_app

        address = address_of(http)
        check_token(address[0], token)
        from agent.config import load
        from agent.loop import Agent
        from agent.policies.choice import make_model
        from agent.rollout.memories import gate_of, open_memory
        from agent.serve.chat import ChatService
        from agent.serve.chat_server import app_of
        from memory import Memory
        from memory.embedding import by_name
        from tools.mcp_tools import mcp_tools
        from tools.plugins import load_all

        config = load([f"memory.tools=[{TOOLS}]", *(overrides or [])])
        folder = memory.expanduser()
        with ExitStack() as stack:
            plugins = [*load_all(config.plugins), *stack.enter_context(mcp_tools(config.mcp))]
            gate = gate_of(config.memory)
            embedder = by_name(config.memory.embedder)
            with open_memory(config.memory, folder, embedder):
                pass  # what is wrong with it is said before a client comes
            model = make_model(config)

            def agent(opened: Memory, name: str) -> Agent:
                return Agent(model, opened, config.memory.tools, plugins, gate, config.agent, name)

            logs = log and log / f"{datetime.now().astimezone():%Y-%m-%d}" / f"serve-{datetime.now():%H%M%S}"
            service = ChatService(agent, lambda: open_memory(config.memory, folder, embedder), logs)

            def ready(url: str) -> None:
                print(f"chat at {url}/v1 (model {model.name})", file=sys.stderr, flush=True)  # noqa: T201

            app = app_of(service, model.name)
            known = TokenGuard(app, token) if token else app
            guarded = WebGuard(known, hosts_of(address[0], tuple(host or ())), origin or ())
            try:
                serve_app(guarded, *address, ready)
            finally:
                ended = service.close()
        if not ended:  # a model or a tool hangs, in a thread that can't be stopped; what was written is on disk
            sys.stderr.flush()
            os._exit(1)
