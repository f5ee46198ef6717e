"""Success of a scripted policy in BabyAI, from text observations and the map, without a model or the full state.

The levels are rooms and mazes with the missions go to, pick up, open, unlock, put next to, and sequences. Each level
keeps its own limit of steps. BabyAI's bot, which sees the whole world, gives the reference where it succeeds. In some
worlds of BabyAI-Unlock-v0 the key lies behind the door that it opens; these are included, and also counted separately.

    python -m eval.bench.babyai --json
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from agent.episode_state import AgentConfig
from agent.logs.events import End, Event, Start
from agent.loop import Agent
from agent.models.scripted import ScriptedModel
from agent.policies.follower import MissionFollower
from envs import make
from eval.bench.report import tell
from eval.statistics import bootstrap_ci, wilson_ci
from memory import HashingEmbedder, Memory
from memory.episodic.gate import SHUT

LEVELS = {
    "go to, room": "BabyAI-GoToLocal-v0",
    "go to, maze": "BabyAI-GoTo-v0",
    "pick up, room": "BabyAI-PickupDist-v0",
    "pick up, maze": "BabyAI-Pickup-v0",
    "pick up, blocked": "BabyAI-UnblockPickup-v0",
    "open, room": "BabyAI-OpenDoorColor-v0",
    "open, maze": "BabyAI-Open-v0",
    "unlock, room": "BabyAI-UnlockLocal-v0",
    "unlock, distractors": "BabyAI-UnlockLocalDist-v0",
    "unlock, maze": "BabyAI-Unlock-v0",
    "put next, room": "BabyAI-PutNextLocal-v0",
    "put next, two rooms": "BabyAI-PutNextS7N4-v0",
    "sequence, small maze": "BabyAI-GoToSeqS5R2-v0",
    "sequence, maze": "BabyAI-GoToSeq-v0",
}
FIRST_SEED = 2_100_000
TOOLS = ["plan_route", "explore", "run_macro"]
BUDGET = AgentConfig(max_calls=1200, max_repeats=0)


def play(env: Any, seed: int, memory: Memory | None = None, macros: bool = False) -> list[Event]:
    """One episode by script, with a map of its own unless a memory is given."""
    episode_memory = memory or Memory.open(None, HashingEmbedder(32))
    try:
        agent = Agent(ScriptedModel(MissionFollower(macros)), episode_memory, TOOLS, gate=SHUT, config=BUDGET)
        return list(agent.run(env, seed=seed))
    finally:
        if memory is None:
            episode_memory.close()


def solvable(env: Any) -> bool:
    """Whether a key of the mission's colour can be reached without opening a locked door; judged before the episode."""
    world, color = env.unwrapped, env.get_wrapper_attr("mission").split()[-2]
    front = [tuple(map(int, world.agent_pos))]
    seen = set(front)
    while front:
        x, y = front.pop()
        for at in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            cell = world.grid.get(*at)
            barred = cell is not None and (cell.type == "wall" or (cell.type == "door" and cell.is_locked))
            if at not in seen and not barred:
                seen.add(at)
                front.append(at)
    cells = [world.grid.get(*at) for at in seen]
    return any(cell is not None and cell.type == "key" and cell.color == color for cell in cells)


def level(name: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Play one level."""
    env = make(name)
    ends: list[End] = []
    ratios: list[float] = []
    hopeless = []
    began = time.perf_counter()
    for seed in seeds:
        if name == "BabyAI-Unlock-v0":
            env.reset(seed=seed)
            hopeless.append(not solvable(env))
        events = play(env, seed)
        start, end = events[0], events[-1]
        assert isinstance(start, Start)
        assert isinstance(end, End)
        ends.append(end)
        if end.success and start.optimal_steps:
            ratios.append(end.steps / start.optimal_steps)
    solved = [end.success for end in ends]
    figures = {
        "level": name,
        "n": len(solved),
        "success": float(np.mean(solved)),
        "ci95": wilson_ci(sum(solved), len(solved)),
        "steps": float(np.mean([end.steps for end in ends if end.success])),
        "calls": float(np.mean([end.model_calls for end in ends if end.success])),
        "steps_over_bot": float(np.mean(ratios)),
        "steps_over_bot_ci95": bootstrap_ci(ratios),
        "failed": [seed for seed, ok in zip(seeds, solved, strict=True) if not ok],
        "seconds": time.perf_counter() - began,
    }
    if any(hopeless):
        kept = [ok for ok, never in zip(solved, hopeless, strict=True) if not never]
        figures |= {
            "unsolvable": sum(hopeless),
            "solvable_success": float(np.mean(kept)),
            "solvable_ci95": wilson_ci(sum(kept), len(kept)),
        }
    return figures


def measure(episodes: int, chosen: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every level in turn."""
    for title in chosen:
        yield title, level(LEVELS[title], range(FIRST_SEED, FIRST_SEED + episodes))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200, help="of each level")
    parser.add_argument("--levels", nargs="*", choices=list(LEVELS), default=list(LEVELS), metavar="LEVEL")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    for title, result in measure(options.episodes, options.levels):
        figures[title] = result
        extra = f", {result['solvable_success']:.3f} of the solvable" if "unsolvable" in result else ""
        print(f"{title:<22} {result['success']:.3f}{extra}, {result['steps']:.1f} steps", flush=True)
    tell({"levels": figures, "least_success": min(result["success"] for result in figures.values())}, options.json)


if __name__ == "__main__":
    main()
