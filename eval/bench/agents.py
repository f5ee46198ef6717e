"""How well arms do in the worlds: an adapter, the same model untrained, without memory, chance, the script, the expert.

    python -m eval.bench.agents --adapter hippo-135m --episodes 200
    python -m eval.bench.agents --arms adapter random --envs courier --episodes 70 --split validation

Every arm plays the same seeds with the same budget of decisions. With GPUs, processes are dealt out to them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.manifest import MANIFEST, read, totals
from eval.statistics import bootstrap_ci

BUDGETS = {"babyai_mixed": 100, "water_maze": 300, "courier": 120, "episodic_qa": 40, "multi_hop_qa": 80}
"""Decisions in one episode; the expert's longest of 700 validation episodes took less."""

VISITS = {"babyai_mixed": 1, "water_maze": 2, "courier": 7, "episodic_qa": 6, "multi_hop_qa": 7}
"""Episodes in one world."""

COUNTED = {"babyai_mixed": 1, "water_maze": 1, "courier": 7, "episodic_qa": 5, "multi_hop_qa": 5}
"""Those that say something: who only listens succeeds, and a maze is known on the second visit."""

ARMS = {
    "adapter": ["policy=model", "model.adapter={adapter}"],
    "untrained": ["policy=model"],
    "no_memory": ["policy=model", "model.adapter={without}", "memory=none"],
    "untrained_no_memory": ["policy=model", "memory=none"],
    "random": ["policy=random"],
    "script": ["policy=model", "model=script"],
    "expert": ["policy=expert"],
}
FIRST = 300_000
"""First seed of the split that is played: development never looked at those beyond."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some worlds that one process plays."""

    arm: str
    env: str
    shard: int
    first: int
    worlds: int

    @property
    def name(self) -> str:
        """Of its run."""
        return f"{self.arm}-{self.env}-{self.shard}"


def jobs(asked: argparse.Namespace) -> Iterator[Job]:
    """The worlds of every arm and environment, in shards."""
    for env in sorted(asked.envs, key=lambda env: -VISITS[env] * BUDGETS[env]):
        for arm in asked.arms:
            worlds = -(-asked.episodes // COUNTED[env])
            size = max(1, -(-worlds // asked.shards))
            for shard in range(asked.shards):
                count = min(size, worlds - shard * size)
                if count > 0:
                    yield Job(arm, env, shard, asked.first + shard * size * VISITS[env], count)


def command(job: Job, asked: argparse.Namespace) -> list[str]:
    """Of one process."""
    words = [word.format(adapter=asked.adapter, without=asked.without) for word in ARMS[job.arm]]
    if job.arm in ("adapter", "untrained", "no_memory", "untrained_no_memory"):
        words.append(f"model.name={asked.model}")
    return [
        sys.executable, "-m", "agent", "collect", f"env={job.env}", *words, f"split={asked.split}",
        f"seed={-(-job.first // VISITS[job.env]) * VISITS[job.env]}", f"episodes={job.worlds * VISITS[job.env]}",
        f"batch={job.worlds}", f"agent.max_calls={BUDGETS[job.env]}", f"runs={asked.runs}", f"name={job.name}",
        *(["workers=1"] if job.arm in ("random", "expert") else []), *asked.set,
    ]  # fmt: skip


def play(asked: argparse.Namespace) -> None:
    """Let processes play, so many at once."""
    asked.runs.mkdir(parents=True, exist_ok=True)
    waiting, running = deque(jobs(asked)), list[tuple[subprocess.Popen[bytes], Job]]()
    started = 0
    while waiting or running:
        while waiting and len(running) < asked.processes:
            job = waiting.popleft()
            around = os.environ | {"OMP_NUM_THREADS": "1"}
            if asked.gpus:
                around["CUDA_VISIBLE_DEVICES"] = str(started % asked.gpus)
            started += 1
            log = (asked.runs / f"{job.name}.log").open("wb")
            running.append((subprocess.Popen(command(job, asked), env=around, stdout=log, stderr=log), job))
        time.sleep(0.2)
        for process, job in [pair for pair in running if pair[0].poll() is not None]:
            running.remove((process, job))
            if process.returncode:
                tail = (asked.runs / f"{job.name}.log").read_text()[-400:]
                print(f"{job.name} failed ({process.returncode}): {tail}", file=sys.stderr)


def rows_of(asked: argparse.Namespace, arm: str, env: str) -> list[dict[str, Any]]:
    """What was played, episode by episode."""
    found = [read(path) for path in sorted(asked.runs.glob(f"*/{arm}-{env}-*/{MANIFEST}"))]
    return [row for rows in found for row in rows]


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Success with its interval, steps over the fewest, cost."""
    found = totals(rows)
    ratios = [row["steps"] / row["optimal_steps"] for row in rows if row["success"] and row["optimal_steps"]]
    interval = bootstrap_ci(ratios) if len(ratios) > 1 else None
    calls = sum(row["model_calls"] for row in rows)
    return {
        **found, "steps_over_optimal_ci95": interval, "model_calls": calls,
        "invalid_calls": sum(row["invalid_calls"] for row in rows),
    }  # fmt: skip


def main() -> None:
    """Play and sum up; JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", default="hippo-135m")
    parser.add_argument("--without", default="hippo-135m-no-memory", help="adapter trained without memory tools")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=["adapter", "untrained", "random", "script"])
    parser.add_argument("--envs", nargs="*", choices=list(VISITS), default=list(VISITS))
    parser.add_argument("--episodes", type=int, default=200, help="that count, of each environment")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="test")
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--shards", type=int, default=1, help="processes for each arm and environment")
    parser.add_argument("--processes", type=int, default=1, help="at once")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/agents"))
    parser.add_argument("--set", nargs="*", default=[], help="more settings of hippo collect")
    asked = parser.parse_args()
    play(asked)
    result: dict[str, Any] = {}
    for arm in asked.arms:
        for env in asked.envs:
            rows = rows_of(asked, arm, env)
            if rows:
                kinds = sorted({row["kind"] for row in rows})
                by_kind = {kind: figures([row for row in rows if row["kind"] == kind]) for kind in kinds}
                result.setdefault(arm, {})[env] = {**figures(rows), "kinds": by_kind}
    print(json.dumps({"split": asked.split, "first": asked.first, "episodes": asked.episodes, "arms": result}))


if __name__ == "__main__":
    main()
