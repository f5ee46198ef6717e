"""Model servers of others: does the agent play with them as with its own model, and through a restart of theirs?

    python -m eval.bench.servers --worlds 2 \
        --server transformers runs/merged 'transformers serve runs/merged --port {port} --device cpu' \
        --server llama.cpp hippo 'python -m llama_cpp.server --model hippo.gguf --model_alias hippo --port {port}'

Each server, given by a name, the name of its model and a command, is started, plays the same worlds as the shipped
adapter in this process, and is killed and started again in the middle of one more episode.
"""

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agent import Agent
from agent.logs.events import Decided, End, Event
from agent.models.base import Model
from agent.models.endpoint import EndpointConfig, EndpointModel
from agent.models.local import LocalModel
from envs import make, seeds_of
from eval.bench.report import tell
from memory import HashingEmbedder, Memory

ENV = "BabyAI-GoToLocal-v0"
KILL_AFTER = 3
"""Decisions of an episode after which its server is killed."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def started(command: str, port: int, seconds: float = 300.0) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it listens, and kill it in the end.

    Raises:
        RuntimeError: It ended, or does not listen in time.
    """
    process = subprocess.Popen(
        shlex.split(command.replace("{port}", str(port))),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + seconds
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"it does not listen: {command}")
            time.sleep(0.3)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # servers have workers
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def played(model: Model, seed: int) -> Iterator[Event]:
    """Play one world with a new memory."""
    with Memory.open(None, HashingEmbedder()) as memory:
        env = make(ENV)
        try:
            yield from Agent(model, memory).run(env, seed=seed)
        finally:
            env.close()


def _summary(events: list[Event]) -> dict[str, Any]:
    end = events[-1]
    assert isinstance(end, End)
    decided = [event for event in events if isinstance(event, Decided)]
    return {
        "ending": end.ending,
        "steps": end.steps,
        "invalid": end.invalid_calls,
        "calls": [event.text for event in decided],
        "surprise": sum(event.surprise is not None for event in decided),
        "seconds": round(sum(event.seconds for event in decided) / max(len(decided), 1), 3),
    }


def _same(one: list[str], other: list[str]) -> str:
    """Return how many calls are the same from the first on, of how many."""
    pairs = zip(one, other, strict=False)
    same = next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    return f"{same} of {len(other)}"


def measure(name: str, command: str, model_name: str, local: list[dict[str, Any]], first: int) -> dict[str, Any]:
    """Play the worlds with a server, and one through its restart."""
    port = free_port()
    model = EndpointModel(EndpointConfig(name=model_name, url=f"http://127.0.0.1:{port}/v1", seq_len=1024, timeout=300))
    with started(command, port):
        rows = [_summary(list(played(model, first + number))) for number in range(len(local))]
        episode = played(model, first + len(local))
        events: list[Event] = []
        for event in episode:
            events.append(event)
            if sum(isinstance(one, Decided) for one in events) == KILL_AFTER:
                break
    began = time.perf_counter()
    with started(command, port):  # the episode waits, not knowing of it
        events += episode
    restarted = _summary(events)
    return {
        "server": name,
        "calls_by": model.calls,
        "endings": [row["ending"] for row in rows],
        "equal_calls": [_same(row["calls"], own["calls"]) for row, own in zip(rows, local, strict=True)],
        "invalid": sum(row["invalid"] for row in rows),
        "surprise_measured": sum(row["surprise"] for row in rows),
        "seconds_a_decision": [row["seconds"] for row in rows],
        "after_restart": f"{restarted['ending']}, {restarted['steps']} steps, {time.perf_counter() - began:.0f} s",
        "note": model.note,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--server", action="append", required=True, nargs=3, help="name, name of the model, command")
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--first", type=int, default=seeds_of("validation").start, help="seed of the first world")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    own = LocalModel()
    local = [_summary(list(played(own, options.first + number))) for number in range(options.worlds)]
    figures: dict[str, Any] = {"local_seconds_a_decision": [row["seconds"] for row in local]}
    for server in options.server:
        name, model_name, command = server
        figures[name] = measure(name, command, model_name, local, options.first)
        print(json.dumps(figures[name]), flush=True)
    tell(figures, options.json)


if __name__ == "__main__":
    main()
