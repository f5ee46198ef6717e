"""Decisions per second when many environments play side by side on one model.

Every size plays the same seeds of the water maze, by default without a memory, as ``hippo collect`` plays them, logs
written::

    python -m eval.bench.batch --sizes 1 8 --steps 20 --json
    python -m eval.bench.batch --sizes 1 32 256 --steps 100 --json     # on a GPU; --nf4, --memory, --no-graphs

The rate is that of the middle four fifths of the decisions: processes that play start at different times.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from agent.config import LocalChoice, load_collect
from agent.logs.events import Decided, End
from agent.logs.log import read_events
from agent.models.engine import Computed, Engine, Masks, Pending, Row
from agent.models.local import LocalModel, LocalModelConfig
from agent.rollout.collect import Collection
from agent.threads import cpu_threads
from envs import make, seeds_of


@dataclass
class TimedEngine:
    """An engine whose passes are timed."""

    engine: Engine
    seconds: float = 0.0
    passes: int = 0
    rows: int = 0
    tokens: int = 0

    @property
    def name(self) -> str:
        """That of the engine."""
        return self.engine.name

    @property
    def vocab_size(self) -> int:
        """That of the engine."""
        return self.engine.vocab_size

    @property
    def device(self) -> str:
        """That of the engine."""
        return self.engine.device

    def reserve(self, slots: int) -> None:
        """Make room."""
        self.engine.reserve(slots)

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        """Begin to pass tokens through the model, and note the time until they are waited for and back."""
        began = time.perf_counter()
        pending = self.engine.begin(rows, masks)
        self.passes += 1
        self.rows += len(rows)
        self.tokens += sum(len(row.ids) for row in rows)

        def computed() -> list[Computed]:
            found = pending()
            self.seconds += time.perf_counter() - began
            return found

        return computed


def measure(model: LocalModel, size: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Play ``size`` worlds for ``steps`` decisions in each episode."""
    engine = TimedEngine(model.engine.engine if isinstance(model.engine, TimedEngine) else model.engine)
    model = LocalModel(model.config, engine=engine)
    with TemporaryDirectory() as folder:
        settings = [
            "env=hippo/WaterMaze-v0",
            "policy=model",
            f"memory.enabled={str(asked.memory).lower()}",
            f"batch={size}",
            f"workers={asked.workers or 'null'}",
            f"agent.max_calls={asked.steps}",
            "agent.max_repeats=0",
            f"runs={folder}",
            "split=train",
        ]
        config = load_collect(settings)
        config = config.model_copy(
            update={"episodes": 2 * size, "model": LocalChoice(**model.config.model_dump(exclude={"kind"}))}
        )
        config.env.kwargs["max_steps"] = 100_000
        on_gpu = model.device.startswith("cuda")
        began = time.perf_counter()
        collection = Collection(config, seeds_of("train"), make, model)
        collection.run()
        seconds = time.perf_counter() - began
        events = [event for log in Path(folder).rglob("events.jsonl") for event in read_events(log)]
    ends = [event for event in events if isinstance(event, End)]
    decided = [event for event in events if isinstance(event, Decided)]
    first, last = np.quantile([event.at for event in decided], (0.1, 0.9))
    return {
        "worlds": size,
        "decisions": len(decided),
        "decisions_per_s": 0.8 * len(decided) / (last - first),
        "seconds_with_start": seconds,
        "passes": engine.passes,
        "rows_a_pass": engine.rows / engine.passes,
        "tokens_a_pass": engine.tokens / engine.passes,
        "ms_a_pass": 1e3 * engine.seconds / engine.passes,
        "malformed": sum(end.invalid_calls for end in ends),
        "errors": sum(end.ending in ("model_error", "env_error") for end in ends),
        **(_of_gpu(engine.engine) if on_gpu else {}),
    }


def _of_gpu(engine: Any) -> dict[str, Any]:
    import torch  # not above: the processes that play read this file too, and do without

    graphs = engine.graphs
    return {
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "graphs": graphs.recorded if graphs else 0,
        "passes_without": graphs.computed if graphs else None,
    }


def _device(model: LocalModel) -> str:
    import torch

    return torch.cuda.get_device_name() if model.device.startswith("cuda") else "CPU"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="catalogue name or folder")
    parser.add_argument("--adapter", help="adapter, such as hippo-135m")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--steps", type=int, default=20, help="decisions of each episode; a world has two")
    parser.add_argument("--workers", type=int, help="processes that play; by default as hippo collect chooses them")
    parser.add_argument("--memory", action="store_true", help="play with all memories")
    parser.add_argument("--nf4", action="store_true", help="load the weights in NF4")
    parser.add_argument("--no-graphs", action="store_true", help="record no CUDA graphs")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    asked = parser.parse_args()
    model = LocalModel(LocalModelConfig(name=asked.model, load_in_4bit=asked.nf4, adapter=asked.adapter))
    if asked.no_graphs:
        vars(model.engine)["record"] = False
    rows = []
    for size in asked.sizes:
        warm = argparse.Namespace(**{**vars(asked), "steps": min(asked.steps, 30)})
        if model.device.startswith("cuda"):
            measure(model, size, warm)
        rows.append(measure(model, size, asked))
        print(
            "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()), flush=True
        )
    if asked.json:
        where = {"device": _device(model), "cores": os.cpu_count(), "threads": cpu_threads()}
        print(json.dumps({"model": asked.model, **where, "nf4": asked.nf4, "memory": asked.memory, "rows": rows}))


if __name__ == "__main__":
    main()
