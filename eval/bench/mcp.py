"""The memory over MCP: how long it takes, whether several servers lose anything, whether attacks end it.

    python -m eval.bench.mcp --json

Each part uses real processes: ``hippo mcp`` over stdio or HTTP, and clients of the official SDK. With ``fastmcp``
installed its client lists and calls every tool, too.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from eval.bench.report import tell
from memory import Memory


def command(folder: Path, *options: str) -> list[str]:
    """Return the command line of a server."""
    return [sys.executable, "-m", "agent", "mcp", "--memory", str(folder), *options]


def over_stdio(folder: Path) -> Client:
    """Return a client with a server of its own."""
    program, *arguments = command(folder)
    return Client(StdioServerParameters(command=program, args=arguments, env=dict(os.environ)))


async def times(folder: Path, runs: int) -> dict[str, float]:
    """Measure the greeting, the first recall, and a recall over MCP beside the same recall in this process."""
    texts = [f"on day {day} Ada saw a {color} bird at the {place}" for day in range(20)
             for color in ("red", "blue") for place in ("lake", "mill", "gate")]  # fmt: skip
    greetings, first, over, within = [], 0.0, [], []
    with Memory.open(folder) as memory:
        for text in texts:
            memory.episodic.write(text, origin="bench")
        memory.embedder.embed(["warm"])
        for run in range(3):
            began = time.perf_counter()
            async with over_stdio(folder) as client:
                greetings.append(time.perf_counter() - began)
                began = time.perf_counter()
                await client.call_tool("recall", {"cue": "Ada and the lake"})
                first = time.perf_counter() - began
                for number in range(runs if run == 2 else 0):
                    cue = f"which bird was at the lake on day {number}?"
                    began = time.perf_counter()
                    result = await client.call_tool("recall", {"cue": cue})
                    over.append(time.perf_counter() - began)
                    began = time.perf_counter()
                    hits = memory.episodic.answers(cue)
                    within.append(time.perf_counter() - began)
                    found = (result.structured_content or {})["traces"]
                    assert [one["id"] for one in found] == [hit.trace.id for hit in hits]
    return {
        "greeting_s": statistics.median(greetings),
        "first_recall_s": first,
        "recall_ms": 1e3 * statistics.median(over),
        "recall_in_process_ms": 1e3 * statistics.median(within),
        "recall_p95_ms": 1e3 * statistics.quantiles(over, n=20)[-1],
    }


async def written_at_once(folder: Path, servers: int, writes: int) -> dict[str, Any]:
    """Let clients with a server each write many things at once into one memory."""

    async def work(number: int) -> int:
        async with over_stdio(folder) as client:
            texts = [f"client {number} wrote note {note}" for note in range(writes)]
            results = await asyncio.gather(*(client.call_tool("remember", {"text": text}) for text in texts))
            return sum(not result.is_error for result in results)

    began = time.perf_counter()
    acknowledged = sum(await asyncio.gather(*map(work, range(servers))))
    seconds = time.perf_counter() - began
    missed = 0
    with Memory.open(folder) as memory:
        kept = len(memory.episodic)
        sound = memory.verify().ok
    async with over_stdio(folder) as client:
        for number in range(servers):
            for note in range(0, writes, max(1, writes // 25)):
                text = f"client {number} wrote note {note}"
                found = (await client.call_tool("recall", {"cue": text, "k": 1})).structured_content or {}
                missed += [one["text"] for one in found.get("traces", [])] != [text]
    return {
        "asked": servers * writes, "acknowledged": acknowledged, "kept": kept, "not_found": missed,
        "sound": sound, "writes_per_s": acknowledged / seconds,
    }  # fmt: skip


async def killed(folder: Path, writes: int) -> dict[str, Any]:
    """Kill a server while a client writes, and count what it acknowledged and what is there."""
    process = await asyncio.create_subprocess_exec(
        *command(folder, "--http", "0"), stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    address = (await process.stderr.readline()).decode().split()[-1]
    acknowledged: list[str] = []

    async def write(client: Client, note: int) -> None:
        text = f"note {note} before the end"
        if not (await client.call_tool("remember", {"text": text})).is_error:
            acknowledged.append(text)
            if len(acknowledged) == writes // 3:
                process.send_signal(signal.SIGKILL)

    try:
        async with asyncio.timeout(60), Client(address) as client:
            await asyncio.gather(*(write(client, note) for note in range(writes)))
    except BaseException as error:  # the connection breaks off
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    await process.wait()
    with Memory.open(folder) as memory:
        rows = memory.store.db.execute("SELECT key FROM traces").fetchall()
        lost = {*acknowledged} - {row[0] for row in rows}
        return {"acknowledged": len(acknowledged), "kept": len(rows), "lost": len(lost), "sound": memory.verify().ok}


def attacked(folder: Path, connections: int) -> dict[str, Any]:
    """Open many connections that say next to nothing, send what must be refused, and ask as a client should."""
    token = "a-token-of-the-bench"  # noqa: S105
    process = subprocess.Popen(command(folder, "--http", "0", "--token", token), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = process.stderr.readline().split()[-1]
    host, port = address.removeprefix("http://").removesuffix("/mcp").split(":")
    slow: list[socket.socket] = []
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    try:
        for _ in range(connections):
            one = socket.create_connection((host, int(port)), timeout=10)
            one.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
            slow.append(one)
        began = time.perf_counter()
        beside = httpx.post(address, headers=headers, json=hello, timeout=20).status_code
        seconds = time.perf_counter() - began
        refused = {
            "wrong_token": httpx.post(address, headers=headers | {"Authorization": "Bearer x"}, json=hello).status_code,
            "foreign_origin": httpx.post(
                address, headers=headers | {"Origin": "https://evil.example"}, json=hello
            ).status_code,
            "rebinding_host": httpx.post(address, headers=headers | {"Host": "evil.example"}, json=hello).status_code,
            "ten_megabytes": httpx.post(address, headers=headers, content=b" " * 10_000_000, timeout=20).status_code,
        }
        for one in slow:
            one.close()
        after = httpx.post(address, headers=headers, json=hello, timeout=20).status_code
        alive = process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=10)
    return {
        "slow_connections": len(slow), "answer_beside_them": beside, "seconds_beside_them": seconds, **refused,
        "answer_after": after, "alive": alive,
    }  # fmt: skip


async def by_fastmcp(folder: Path) -> dict[str, Any]:
    """List and call every tool with the client of another project."""
    if find_spec("fastmcp") is None:
        return {"fastmcp": "not installed"}
    other: Any = import_module("fastmcp")
    transports: Any = import_module("fastmcp.client.transports")
    program, *arguments = command(folder)
    calls: Sequence[tuple[str, dict[str, Any]]] = (
        ("remember", {"text": "the key is under the mat"}),
        ("recall", {"cue": "where is the key?"}),
        ("tell", {"head": "Ida", "relation": "lives in", "tail": "Oslo"}),
        ("ask", {"question": "Ida"}),
        ("read", {"text": "Ada lives in Riga. She owns a boat.", "title": "Ada"}),
        ("sources", {}),
        ("inspect", {"row": "traces:1"}),
        ("forget", {"rows": ["traces:1"]}),
        ("undo", {}),
        ("plan", {"goal": "the key"}),
    )
    failed = []
    async with other.Client(transports.StdioTransport(command=program, args=arguments, env=dict(os.environ))) as client:
        listed = sorted(tool.name for tool in await client.list_tools())
        for name, given in calls:
            result = await client.call_tool(name, given, raise_on_error=False)
            if result.is_error and name != "plan":  # there is no map
                failed.append(name)
    return {"fastmcp_tools": len(listed), "fastmcp_called": len(calls), "fastmcp_failed": failed}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="recalls that are timed")
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--writes", type=int, default=500, help="writes of each client, at once")
    parser.add_argument("--connections", type=int, default=1000, help="connections that send nothing more")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    asked = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        figures: dict[str, Any] = asyncio.run(times(folder / "times", asked.runs))
        figures["at_once"] = asyncio.run(written_at_once(folder / "shared", asked.servers, asked.writes))
        figures["killed"] = asyncio.run(killed(folder / "killed", asked.writes))
        figures["attacked"] = attacked(folder / "attacked", asked.connections)
        figures |= asyncio.run(by_fastmcp(folder / "other"))
    tell({key: json.dumps(value) if isinstance(value, dict) else value for key, value in figures.items()}, asked.json)


if __name__ == "__main__":
    main()
