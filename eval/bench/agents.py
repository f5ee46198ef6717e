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
from functools import cache
from pathlib import Path
from typing import Any

from agent import adapters
from agent.manifest import MANIFEST, counted, read, totals
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
    first: int
    worlds: int
    split: str
    adapter: str

    @property
    def name(self) -> str:
        """Of its run: another adapter, split or share of the worlds is another run."""
        made = f"-{self.adapter}" if self.adapter else ""
        return f"{self.split}-{self.arm}{made}-{self.env}-{self.first}-{self.worlds}"


def jobs(asked: argparse.Namespace) -> Iterator[Job]:
    """The worlds of every arm and environment, in shards."""
    used = {"adapter": asked.adapter, "no_memory": asked.without}
    digests = {arm: _digest(used[arm]) for arm in asked.arms if arm in used}
    for env in sorted(asked.envs, key=lambda env: -VISITS[env] * BUDGETS[env]):
        for arm in asked.arms:
            worlds = -(-asked.episodes // COUNTED[env])
            size = max(1, -(-worlds // asked.shards))
            for shard in range(asked.shards):
                count = min(size, worlds - shard * size)
                if count > 0:
                    first = -(-asked.first // VISITS[env]) * VISITS[env] + shard * size * VISITS[env]
                    yield Job(arm, env, first, count, asked.split, digests.get(arm, ""))


def command(job: Job, asked: argparse.Namespace) -> list[str]:
    """Of one process."""
    words = [word.format(adapter=asked.adapter, without=asked.without) for word in ARMS[job.arm]]
    if job.arm in ("adapter", "untrained", "no_memory", "untrained_no_memory"):
        words.append(f"model.name={asked.model}")
    return [
        sys.executable, "-m", "agent", "collect", f"env={job.env}", *words, f"split={asked.split}",
        f"seed={job.first}", f"episodes={job.worlds * VISITS[job.env]}",
        f"batch={job.worlds}", f"agent.max_calls={BUDGETS[job.env]}", f"runs={asked.runs}", f"name={job.name}",
        *(["workers=1"] if job.arm in ("random", "expert") else []), *asked.set,
    ]  # fmt: skip


def play(asked: argparse.Namespace) -> list[Job]:
    """Let processes play, so many at once; those that failed."""
    asked.runs.mkdir(parents=True, exist_ok=True)
    waiting, running = deque(jobs(asked)), list[tuple[subprocess.Popen[bytes], Job]]()
    started, failed = 0, []
    while waiting or running:
        while waiting and len(running) < asked.processes:
            job = waiting.popleft()
            around = os.environ | {"OMP_NUM_THREADS": "1"}
            if asked.gpus:
                around["CUDA_VISIBLE_DEVICES"] = str(started % asked.gpus)
            started += 1
            with (asked.runs / f"{job.name}.log").open("wb") as log:
                running.append((subprocess.Popen(command(job, asked), env=around, stdout=log, stderr=log), job))
        time.sleep(0.2)
        for process, job in [pair for pair in running if pair[0].poll() is not None]:
            running.remove((process, job))
            if process.returncode:
                tail = (asked.runs / f"{job.name}.log").read_text()[-400:]
                print(f"{job.name} failed ({process.returncode}): {tail}", file=sys.stderr)
                failed.append(job)
    return failed


def rows_of(asked: argparse.Namespace, arm: str, env: str) -> list[dict[str, Any]]:
    """What was played of the worlds that were asked for, episode by episode.

    Raises:
        SystemExit: Some are missing, so that arms would not have the same worlds.
    """
    mine = [job for job in jobs(asked) if (job.arm, job.env) == (arm, env)]
    rows = []
    for job in mine:
        paths = sorted(asked.runs.glob(f"*/{job.name}/{MANIFEST}"))
        rows += read(paths[-1]) if paths else []
    wanted = sum(job.worlds * VISITS[job.env] for job in mine)
    if len({row["seed"] for row in rows}) != wanted:
        raise SystemExit(f"error: {arm} in {env} played {len(rows)} of {wanted} episodes: run the command again")
    return rows


@cache
def _digest(adapter: str) -> str:
    return adapters.digest(adapters.resolve(adapter))[:8]


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Success with its interval over episodes and over worlds, steps over the fewest, cost.

    Days and questions of one world share what was told there: the interval over worlds resamples them together.
    """
    found = totals(rows)
    said = counted(rows)
    worlds: dict[str, list[float]] = {}
    for row in said:
        worlds.setdefault(row["world"], []).append(float(row["success"]))
    shares = [sum(world) / len(world) for world in worlds.values()]
    ratios = [row["steps"] / row["optimal_steps"] for row in rows if row["success"] and row["optimal_steps"]]
    interval = bootstrap_ci(ratios) if len(ratios) > 1 else None
    calls = sum(row["model_calls"] for row in rows)
    return {
        **found, "counted": len(said), "worlds": len(worlds),
        "worlds_ci95": bootstrap_ci(shares) if len(shares) > 1 else None, "steps_over_optimal_ci95": interval,
        "model_calls": calls,
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
    if play(asked):
        raise SystemExit("error: not all was played, see above; the same command goes on with what is missing")
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
