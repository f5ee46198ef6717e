"""Growth of cost with the length of an episode and the size of the memory, compared with full history in the prompt.

::

    python -m eval.bench.growth --json > growth.json
    hippo eval report RUN... --growth growth.json

A model plays one long episode in a water maze that restarts whenever the platform is found. With memories its window
stays at 1,024 tokens; without, the full history stays in the prompt until the model's 8,192 tokens are used up. A third
way computes the whole history anew at every step, as agents without a cache do; its cost is computed, not measured.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agent import Agent, AgentConfig
from agent.hub import catalog
from agent.logs.events import Decided, Event
from agent.models.local import LocalModel, LocalModelConfig
from envs import make
from eval.bench.report import tell
from eval.cost import Shape
from eval.probes.stories import ADJECTIVES, NAMES, THINGS
from memory import HashingEmbedder, Memory, Provenance
from memory.episodic import Event as Happened
from memory.relational import Tuple
from tools import MemoryTools, Toolbox, ToolCall

MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 700, 1000)
MODEL = "smollm2-135m"
FULL = 8192
BULK = 50_000


class Endless(gym.Wrapper[str, Any, str, Any]):
    """A world that begins again when it ends, without a word."""

    def step(self, action: Any) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """One step; at an end the next visit to the same world begins."""
        text, _, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            text, info = self.env.reset(seed=0)
        return text, 0.0, False, False, info


def played(memory: Memory | None, seq_len: int, steps: int, adapter: str | None) -> Iterator[Event]:
    """Events of one long episode; ends when the window would be cut, if there is no memory."""
    model = LocalModel(LocalModelConfig(name=MODEL, adapter=adapter, seq_len=seq_len))
    tools = ["find", "plan_route", "explore", "where_is"] if memory else None
    agent = Agent(model, memory, tools, config=AgentConfig(max_calls=steps, max_repeats=0))
    env = Endless(make("hippo/WaterMaze-v0", max_steps=100_000))
    events = agent.run(env, seed=0)
    for event in events:
        if isinstance(event, Decided) and event.dropped_messages and memory is None:
            events.close()
            return
        yield event


def steps_of(way: str, events: Iterator[Event], shape: Shape) -> Iterator[dict[str, Any]]:
    """Cost of single decisions, averaged over a tenth of the steps around each mark."""
    decisions: list[dict[str, float]] = []
    context = 0
    for event in events:
        if isinstance(event, Decided):
            context = 0 if event.dropped_messages else context
            new = event.prefill_tokens + event.decode_tokens + event.forced_tokens
            flops = shape.flops(new, context)
            context += new
            decisions.append(
                {
                    "context": context,
                    "kv_bytes": shape.kv_bytes(context),
                    "seconds": event.seconds,
                    "flops": flops,
                    "anew": shape.flops(context, 0),
                }
            )
    for mark in [
        *(m for m in MARKS if m <= len(decisions)),
        *([len(decisions)] if len(decisions) not in MARKS else []),
    ]:
        around = decisions[max(0, mark - 1 - mark // 20) : mark + mark // 20]
        means = {key: float(np.mean([decision[key] for decision in around])) for key in around[0]}
        yield {"way": way, "step": mark, "of": len(decisions)} | means


def by_length(steps: int, adapter: str | None) -> list[dict[str, Any]]:
    """Cost of a step with memories and with everything in the prompt."""
    shape = Shape.of(catalog.fetch(MODEL))
    with Memory.open(None, HashingEmbedder()) as memory:
        rows = [*steps_of("memories, window of 1,024", played(memory, 1024, steps, adapter), shape)]
    rows += steps_of("full history", played(None, FULL, steps, adapter), shape)
    unmeasured = {"way": "full history, no cache kept", "seconds": None, "kv_bytes": None, "context": None}
    anew = [row | unmeasured | {"flops": row["anew"]} for row in rows if row["way"] == "full history"]
    return rows + anew


def event(number: int) -> Happened:
    """A short event, no two alike."""
    things = [*THINGS]
    thing = f"{ADJECTIVES[number % len(ADJECTIVES)]} {things[number // 7 % len(things)]}"
    return Happened(f"{NAMES[number % len(NAMES)]} put the {thing} into box {number}.")


def by_size(sizes: Sequence[int], asked: int = 50) -> list[dict[str, Any]]:
    """Time of a look-up and tokens that it puts into the prompt, by how much is remembered."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(catalog.fetch(MODEL))

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    rows: list[dict[str, Any]] = []
    for size in sizes:
        events = [event(number) for number in range(size)]
        rng = np.random.default_rng(0)
        picked = [events[int(i)] for i in rng.integers(size, size=asked)]
        each = float(np.mean([count(sample.key) for sample in picked]))
        with Memory.open(None, HashingEmbedder()) as memory:
            for begin in range(0, size, BULK):
                memory.episodic.write_many(events[begin : begin + BULK])
            memory.episodic.recall("warm")  # the index is built by the first one
            cues = [sample.key[:60] for sample in picked]
            rows.append({"way": "recall", "items": size} | _timed(memory, "recall", "cue", cues, count))
        with Memory.open(None, HashingEmbedder()) as memory:
            origin = Provenance("bench", time=1.0)
            facts = [
                Tuple(
                    f"person {i % (size // 4 or 1)}",
                    ("lives_in", "works_at", "likes", "knows")[i * 4 // size],
                    f"thing {i}",
                    origin,
                )
                for i in range(size)
            ]
            for begin in range(0, size, BULK):
                memory.relational.upsert(facts[begin : begin + BULK])
            names = [f"person {int(i)}" for i in rng.integers(size // 4 or 1, size=asked)]
            rows.append({"way": "ask_graph", "items": size} | _timed(memory, "ask_graph", "entity", names, count))
        rows.append({"way": "all of it in the prompt", "items": size, "ms": None, "tokens": size * each})
        print(*rows[-3:-1], flush=True)
    return rows


def _timed(memory: Memory, name: str, argument: str, cues: Sequence[str], count: Any) -> dict[str, float]:
    toolbox = Toolbox(MemoryTools(memory).select([name]))
    taken, tokens = [], []
    for number, cue in enumerate([cues[0], *cues]):
        began = time.perf_counter()
        result = toolbox.dispatch(ToolCall(name=name, arguments={argument: cue}))
        if number:  # the first one warms up
            taken.append(1e3 * (time.perf_counter() - began))
            tokens.append(count(result.text))
        assert result.status == "ok", result.text
    return {"ms": float(np.median(taken)), "tokens": float(np.mean(tokens))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--adapter", default="hippo-135m")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    asked = parser.parse_args(arguments)
    about = (
        f"SmolLM2-135M with {asked.adapter or 'no adapter'}, one water maze played on and on; what a prompt would hold "
        "beyond 8,192 tokens was not run. Sizes: told events and facts, look-ups through the tools, medians of 50."
    )
    steps = by_length(asked.steps, asked.adapter) if asked.steps else []
    tell({"about": about, "steps": steps, "sizes": by_size(asked.sizes) if asked.sizes else []}, asked.json)


if __name__ == "__main__":
    main()
