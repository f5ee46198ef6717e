"""Seconds a decision of our engines and of servers, on the same steps.

A trained model plays water mazes with all memories. At every step each engine and each server is asked in turn, for
the same turn of the same conversation; the episode goes on with what the first one said. A server is asked for a call
as JSON under our schema (``model.calls=schema``), and may keep what it likes of earlier prompts::

    hippo models prepare
    python -m eval.bench.peers --engines onnx torch --worlds 3 --steps 20 --json

Servers are started in other terminals, here llama.cpp's and vLLM's, with the exported model::

    python -m llama_cpp.server --model hippo.gguf --n_ctx 2048 --n_threads 2 --port 8123 --cache true
    vllm serve merged --served-model-name hippo --port 8222 --dtype float32 --enable-prefix-caching
    python -m eval.bench.peers --engines onnx --servers llama=http://127.0.0.1:8123/v1 vllm=http://127.0.0.1:8222/v1
"""

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from agent import Agent, AgentConfig, Chat, Decision, Turn
from agent.models.base import Model
from agent.models.endpoint import EndpointConfig, EndpointModel
from agent.models.local import LocalModel
from envs import make
from eval.statistics import bootstrap_ci
from memory import Memory, MiniLMEmbedder

ENV = "hippo/WaterMaze-v0"


class Side:
    """Models that are asked for the same turns; the first one's answers count."""

    name = "side by side"

    def __init__(self, models: dict[str, Model]) -> None:
        self.models = models
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.same: dict[str, int] = defaultdict(int)
        self.malformed: dict[str, int] = defaultdict(int)

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Ask every model, and return what the first one says."""
        said = {}
        for name, model in self.models.items():
            began = time.perf_counter()
            said[name] = model.decide(turns)
            self.seconds[name].append(time.perf_counter() - began)
        first = next(iter(said.values()))
        for name, decisions in said.items():
            self.same[name] += [d.text for d in decisions] == [d.text for d in first]
            self.malformed[name] += sum(not _is_call(d.text) for d in decisions)
        return first

    def release(self, chat: Chat) -> None:
        """Forget a chat."""
        for model in self.models.values():
            model.release(chat)

    def describe(self) -> dict[str, object]:
        """Return the names."""
        return {"name": self.name, "models": list(self.models)}


def _is_call(text: str) -> bool:
    try:
        return {"name", "arguments"} <= {*json.loads(text)}
    except (ValueError, TypeError):
        return False


def measure(models: dict[str, Model], worlds: int, steps: int) -> dict[str, Any]:
    """Play, and return the figures of each model."""
    side = Side(models)
    embedder = MiniLMEmbedder()
    for world in range(-1, worlds):  # the first is a warm-up
        if world == 0:
            side.seconds.clear()
            side.same.clear()
            side.malformed.clear()
        with Memory.open(None, embedder) as memory, closing(make(ENV, maze_seed=10_000 + max(world, 0))) as env:
            agent = Agent(side, memory, config=AgentConfig(max_calls=steps if world >= 0 else 3, max_repeats=0))
            for _ in agent.run(env, seed=max(world, 0)):
                pass
    first = next(iter(models))
    rows = {}
    for name, seconds in side.seconds.items():
        ratios = [a / b for a, b in zip(seconds, side.seconds[first], strict=True)]
        low, high = bootstrap_ci(ratios)
        rows[name] = {
            "steps": len(seconds),
            "mean_s": statistics.mean(seconds),
            "median_s": statistics.median(seconds),
            "times_as_long": statistics.mean(seconds) / statistics.mean(side.seconds[first]),
            "ratio_mean": statistics.mean(ratios),
            "ratio_ci95": [low, high],
            "same_call": side.same[name] / len(seconds),
            "malformed": side.malformed[name],
        }
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", default="hippo-135m")
    parser.add_argument("--engines", nargs="+", default=["onnx", "torch"], help="of model.backend=")
    parser.add_argument("--servers", nargs="*", default=[], help="name=url of servers of the same model")
    parser.add_argument("--served-name", default="hippo", help="name of the model on the servers")
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="decisions in each world")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    asked = parser.parse_args()
    models: dict[str, Model] = {name: LocalModel(adapter=asked.adapter, backend=name) for name in asked.engines}
    for server in asked.servers:
        name, _, url = server.partition("=")
        settings = EndpointConfig(name=asked.served_name, url=url, calls="schema", max_call_tokens=96, timeout=300.0)
        models[name] = EndpointModel(settings)
    rows = measure(models, asked.worlds, asked.steps)
    for name, row in rows.items():
        print(f"{name:12}", "  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    if asked.json:
        print(json.dumps({"cores": os.cpu_count(), "adapter": asked.adapter, "rows": rows}))


if __name__ == "__main__":
    main()
