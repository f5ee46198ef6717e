"""Decisions per second when many environments play in lock-step on one model.

Every size plays the same seeds of the water maze without a memory::

    python -m eval.bench.batch --sizes 1 8 --steps 20 --json
    python -m eval.bench.batch --sizes 1 32 256 --steps 40 --nf4 --json     # on a GPU
"""

import argparse
import json
import time
from typing import Any

import torch

from agent import Agent, AgentConfig, End
from agent.logs.events import Decided
from agent.models.local import LocalModel, LocalModelConfig
from envs import make

ENV = "hippo/WaterMaze-v0"


def measure(model: LocalModel, size: int, steps: int) -> dict[str, Any]:
    """Play ``size`` environments for ``steps`` decisions each."""
    agent = Agent(model, config=AgentConfig(max_calls=steps, max_repeats=0))
    environments = [make(ENV, maze_seed=seed, max_steps=100_000) for seed in range(size)]
    if model.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    episodes = agent.run_batch(environments, list(range(size)))
    seconds = time.perf_counter() - began
    ends = [events[-1] for events in episodes]
    decided = [event for events in episodes for event in events if isinstance(event, Decided)]
    assert all(isinstance(end, End) for end in ends)
    return {
        "size": size,
        "decisions": len(decided),
        "seconds": seconds,
        "decisions_per_s": len(decided) / seconds,
        "ms_per_lockstep": 1e3 * seconds / steps,
        "malformed": sum(end.invalid_calls for end in ends if isinstance(end, End)),
        "turnovers": sum(event.dropped_messages > 0 for event in decided),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if model.device.startswith("cuda") else None,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="catalogue name or folder")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--steps", type=int, default=20, help="decisions of each environment")
    parser.add_argument("--nf4", action="store_true", help="load the weights in NF4")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args()
    model = LocalModel(LocalModelConfig(name=options.model, load_in_4bit=options.nf4))
    measure(model, 1, 2)
    rows = [measure(model, size, options.steps) for size in options.sizes]
    device = torch.cuda.get_device_name() if model.device.startswith("cuda") else f"CPU, {torch.get_num_threads()} threads"
    for row in rows:
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    if options.json:
        print(json.dumps({"model": options.model, "device": device, "nf4": options.nf4, "rows": rows}))


if __name__ == "__main__":
    main()
