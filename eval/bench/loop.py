"""Seconds per step of the agent loop, compared with smolagents' tool-calling agent.

Both play the water maze with the same weights, tools, seeds and number of model calls, greedily,
in one process, in turn::

    python -m eval.bench.loop --steps 20 --long 200 --json

The untrained model does not solve the maze; only the time per step is measured. Then one long episode
shows whether steps at the end cost more than steps at the beginning. ``--peer-tokens 0`` leaves
smolagents out (``pip install 'hippo-llm-memory[bench]'`` installs it).
"""

import argparse
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent import Agent, AgentConfig, Chat, Decision, End, Turn
from agent.logs.events import Decided, Event
from agent.models.local import LocalModel, LocalModelConfig
from agent.prompts import template
from agent.text_env import action_tools_of
from envs import make
from eval.bench.report import tell
from memory import Memory, MiniLMEmbedder
from memory.embedding import Vectors
from tools import MemoryTools, Tool, Toolbox, ToolCall

ENV = "hippo/WaterMaze-v0"
SETTINGS = {"size": 11, "landmarks": 5, "maze_seed": 0, "max_steps": 100_000}


@dataclass
class TimedModel:
    """A model that notes when it was asked and when it answered."""

    model: LocalModel
    spans: list[tuple[float, float]] = field(default_factory=list)
    prompts_show_tools: bool = True

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer, and note the times."""
        began = time.perf_counter()
        decisions: list[Decision] = self.model.decide(turns)
        self.spans.append((began, time.perf_counter()))
        for turn in turns:
            shown = self.model.tokens.text(turn.chat) if len(self.spans) == 1 else ""
            missing = [spec.name for spec in turn.chat.tools if shown and f"{spec.name}(" not in shown]
            self.prompts_show_tools &= not missing
        return decisions

    def release(self, chat: Chat) -> None:
        """Forget a chat."""
        self.model.release(chat)

    def describe(self) -> dict[str, object]:
        """The model's description."""
        return self.model.describe()


class TimedEmbedder(MiniLMEmbedder):
    """The sentence embedder, with its time summed."""

    seconds = 0.0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed, and note the time."""
        began = time.perf_counter()
        vectors = super().embed(texts)
        self.seconds += time.perf_counter() - began
        return vectors


@dataclass
class Played:
    """What one episode of ours came to."""

    events: list[Event]
    step_seconds: list[float]
    own_seconds: list[float]
    embed_seconds: float
    prompts_show_tools: bool

    def decided(self) -> list[Decided]:
        """The decisions."""
        return [event for event in self.events if isinstance(event, Decided)]


def play(model: LocalModel, steps: int, seed: int) -> Played:
    """Play ``steps`` decisions with all memories, the loop guard off."""
    embedder, timed = TimedEmbedder(), TimedModel(model)
    embedder.embed(["warm up"])
    embedder.seconds = 0.0
    embedded: list[float] = []
    with Memory.open(None, embedder) as memory:
        agent = Agent(timed, memory, config=AgentConfig(max_calls=steps, max_repeats=0))
        events = []
        for event in agent.run(make(ENV, **SETTINGS), seed=seed):
            events.append(event)
            if isinstance(event, Decided):
                embedded.append(embedder.seconds)
    ends = [end for _, end in timed.spans]
    gaps = [b[0] - a[1] for a, b in zip(timed.spans, timed.spans[1:], strict=False)]
    # The gate embeds the last observation after the answer, so its share lies in the same gap.
    shares = np.diff(embedded, prepend=0.0)[: len(gaps)]
    own = [gap - share for gap, share in zip(gaps, shares, strict=False)]
    steps_taken = [b - a for a, b in zip([timed.spans[0][0], *ends], ends, strict=False)]
    return Played(events, steps_taken, own, embedder.seconds, timed.prompts_show_tools)


def play_peer(path: Path, steps: int, seed: int, max_new_tokens: int) -> tuple[list[float], int]:
    """The same with smolagents; returns seconds per step and how many calls were well-formed."""
    from smolagents import Tool as PeerTool
    from smolagents import ToolCallingAgent, TransformersModel
    from smolagents.monitoring import LogLevel

    env = make(ENV, **SETTINGS)
    observation, info = env.reset(seed=seed)
    good = 0

    with Memory.open(None, MiniLMEmbedder()) as memory:
        memory.spatial.enter("peer")
        toolbox = Toolbox([*action_tools_of(env), *MemoryTools(memory).select()])

        def peer_tool(tool: Tool) -> Any:
            def forward(**arguments: str) -> str:
                nonlocal good
                good += 1
                result = toolbox.dispatch(ToolCall(name=tool.name, arguments=arguments))
                return result.text if result.action is None else str(env.step(result.action)[0])

            inputs = {name: {"type": "string", "description": name} for name in tool.schema["properties"]}
            tool_class = type(
                f"{tool.name.title()}Tool",
                (PeerTool,),
                {
                    "name": tool.name,
                    "description": tool.description,
                    "inputs": inputs,
                    "output_type": "string",
                    "forward": staticmethod(forward),
                    "skip_forward_signature_validation": True,
                },
            )
            return tool_class()

        model = TransformersModel(
            model_id=str(path), device_map="cpu", torch_dtype="bfloat16", max_new_tokens=max_new_tokens, do_sample=False
        )
        model.tokenizer.chat_template = template("chat/chatml.jinja")
        agent = ToolCallingAgent(
            tools=[peer_tool(toolbox[name]) for name in toolbox.names],
            model=model,
            max_steps=steps,
            verbosity_level=LogLevel.OFF,
        )
        seconds: list[float] = []
        began = time.perf_counter()
        for event in agent.run(f"{info['mission']}\n{observation}", stream=True, max_steps=steps):
            if type(event).__name__ == "ActionStep":
                now = time.perf_counter()
                seconds.append(now - began)
                began = now
                if len(seconds) == steps:
                    break
    return seconds, good


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean (10,000 resamples, seed 0)."""
    rng = np.random.default_rng(0)
    draws = rng.choice(np.asarray(ratios), (10_000, len(ratios))).mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def measure(steps: int, long: int, runs: int, peer_tokens: int) -> dict[str, Any]:
    """Run everything; returns the figures."""
    model = LocalModel(LocalModelConfig())
    play(model, 3, seed=99)
    own_runs: list[list[float]] = []
    peer_runs: list[list[float]] = []
    good = 0
    for seed in range(runs):
        own_runs.append(play(model, steps, seed).step_seconds)
        if peer_tokens:
            seconds, well_formed = play_peer(model.path, steps, seed, peer_tokens)
            peer_runs.append(seconds)
            good += well_formed
    late = play(model, long, seed=0)
    decided = late.decided()
    end = late.events[-1]
    assert isinstance(end, End)
    early, last = decided[10:30], decided[-20:]
    figures: dict[str, Any] = {
        "model": model.name,
        "env": ENV,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "steps": steps,
        "runs": runs,
        "seconds_per_step": statistics.mean(statistics.mean(run) for run in own_runs),
        "long_steps": len(decided),
        "seconds_at_20": statistics.mean(e.seconds for e in early),
        "seconds_at_end": statistics.mean(e.seconds for e in last),
        "late_over_early": statistics.mean(e.seconds for e in last) / statistics.mean(e.seconds for e in early),
        "own_ms_p50": 1e3 * statistics.median(late.own_seconds),
        "own_ms_p95": 1e3 * float(np.quantile(late.own_seconds, 0.95)),
        "embedder_ms_mean": 1e3 * late.embed_seconds / len(decided),
        "malformed": end.invalid_calls,
        "tools_in_prompt": late.prompts_show_tools,
        "prefill_tokens_median": statistics.median(e.prefill_tokens for e in decided),
        "turnovers": sum(e.dropped_messages > 0 for e in decided),
        "forced_share": end.forced_tokens / (end.forced_tokens + end.decode_tokens),
    }
    if peer_tokens:
        ratios = [statistics.mean(b) / statistics.mean(a) for a, b in zip(own_runs, peer_runs, strict=True)]
        figures |= {
            "peer_max_new_tokens": peer_tokens,
            "peer_seconds_per_step": statistics.mean(statistics.mean(run) for run in peer_runs),
            "peer_well_formed": good,
            "times_faster": statistics.mean(ratios),
            "times_faster_ci95": interval(ratios),
        }
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="model calls of each run beside the peer")
    parser.add_argument("--long", type=int, default=200, help="model calls of the long episode")
    parser.add_argument("--runs", type=int, default=3, help="paired seeds")
    parser.add_argument("--peer-tokens", type=int, default=96, help="longest answer of the peer; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args()
    figures = measure(options.steps, options.long, options.runs, options.peer_tokens)
    tell(figures, options.json)


if __name__ == "__main__":
    main()
