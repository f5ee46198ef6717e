"""One-shot place memory: how many steps does the second visit to a water maze take?

A script without a model explores a maze until it stands on the hidden platform. Then it visits the maze a
second time, from another start with another heading. It sees the text wrapper's view and queries the map.
Some landmarks look alike, and one stands elsewhere at each visit. In the arm ``without memory`` the map is
emptied between the visits. Steps are divided by the fewest possible.

    python -m eval.bench.maze --json
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.water_maze import WaterMaze
from eval.bench.report import tell
from eval.plots import histogram
from eval.statistics import bootstrap_ci, paired_difference, wilson_ci
from memory import HashingEmbedder, Memory, Provenance
from memory.spatial import View

SIZES = ((11, 5), (16, 8), (22, 12))
"""Sides of the arenas, and landmarks in each."""

FIRST_MAZE = 1_000_000
GOAL = "goal"


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit took.

    Attributes:
        steps: Actions taken.
        optimal: Fewest possible.
        solved: Whether the platform was reached.
        explored: Actions taken before the goal was planned for.
        beliefs: Confidence at each step at which the map was not certain yet, and whether the best
            hypothesis was right.
        joins: For each time that the map was joined with an older one, whether that was right.
    """

    steps: int
    optimal: int
    solved: bool
    explored: int
    beliefs: tuple[tuple[float, bool], ...] = ()
    joins: tuple[bool, ...] = ()

    @property
    def ratio(self) -> float:
        """Steps over optimal."""
        return self.steps / self.optimal


def visit(memory: Memory, env: WaterMaze, seed: int) -> Visit:
    """One visit by script: to the goal if the map has one, else where most is unknown."""
    spatial = memory.spatial
    text, info = env.reset(seed=seed)
    optimal, origin = env.optimal_steps(), Provenance("maze", f"visit {seed}")
    spatial.enter(str(info["world"]))
    seen = spatial.observe(text, View.parse(info["view"]), None, origin=origin)
    steps = explored = 0
    beliefs, joins = [], []
    route: list[str] = []
    aim: object = None
    while True:
        walk = spatial.walk
        assert walk is not None
        known = GOAL in spatial.goals()
        now = (known, walk.grid.name, walk.belief and walk.belief.move, spatial.joins)
        if now != aim or not route or (route[0] == "forward" and not _free(walk.view)):
            aim, route = now, list((spatial.plan(GOAL) if known else spatial.explore()).actions)
        at = [position for position, place in walk.terrain.places.items() if place.label == GOAL]
        if at and walk.belief is not None and not walk.localized:
            beliefs.append((walk.belief.confidence, _is_platform(env, walk.pose, at[0])))
        if at and seen.relocalized:
            joins.append(_is_platform(env, walk.pose, at[0]))
        action = route.pop(0)
        text, reward, over, truncated, info = env.step(env.named_actions[action][0])
        steps, explored = steps + 1, explored + (not known)
        before = spatial.place
        seen = spatial.observe(text, View.parse(info["view"]), action, origin=origin)
        if over or truncated:
            if over:
                spatial.mark(GOAL, origin)
            return Visit(steps, optimal, over, explored, tuple(beliefs), tuple(joins))
        if seen.place != before:
            spatial.missed(GOAL, origin)
        assert float(reward) == 0.0


def _free(view: View | None) -> bool:
    return view is not None and view.ahead_passable


def _is_platform(env: WaterMaze, pose: Any, believed: tuple[int, int]) -> bool:
    """Whether a position on the walker's map is the platform's in the world; judged, never told to the walker."""
    ax, ay = int(env.agent_pos[0]), int(env.agent_pos[1])
    turns = (int(env.agent_dir) - pose.heading) % 4
    dx, dy = believed[0] - pose.x, believed[1] - pose.y
    for _ in range(turns):
        dx, dy = -dy, dx
    return (ax + dx, ay + dy) == env.platform


def measure(mazes: int, twins: int, moved: int, progress: bool = True) -> dict[str, Any]:
    """Visit every maze twice with memory, and once more with an emptied one."""
    arms: dict[str, list[Visit]] = {"first": [], "second": [], "without": []}
    by_size: dict[str, Any] = {}
    began = time.perf_counter()
    for size, landmarks in SIZES:
        from_here = len(arms["second"])
        for number in range(mazes * (SIZES.index((size, landmarks)) + 1) // 3 - from_here):
            maze = FIRST_MAZE + from_here + number
            env = WaterMaze(size=size, landmarks=landmarks, maze_seed=maze, twins=twins, moved=moved)
            with Memory.open(None, HashingEmbedder(32)) as memory:
                arms["first"].append(visit(memory, env, 2 * maze))
                arms["second"].append(visit(memory, env, 2 * maze + 1))
            with Memory.open(None, HashingEmbedder(32)) as memory:
                arms["without"].append(visit(memory, env, 2 * maze + 1))
        second = [played.ratio for played in arms["second"][from_here:]]
        without = [played.ratio for played in arms["without"][from_here:]]
        by_size[f"{size}x{size}"] = {
            "n": len(second),
            "landmarks": landmarks,
            "second_visit_over_optimal": float(np.mean(second)),
            "ci95": bootstrap_ci(second),
            "without_memory_over_optimal": float(np.mean(without)),
            "worst": float(np.max(second)),
        }
        if progress:
            print(f"{size} x {size}: {np.mean(second):.3f} against {np.mean(without):.2f}", flush=True)
    ratios = {arm: [played.ratio for played in visits] for arm, visits in arms.items()}
    solved = sum(played.solved for played in arms["second"])
    return {
        "mazes": len(arms["second"]),
        "twins": twins,
        "moved": moved,
        "second_visit_over_optimal": float(np.mean(ratios["second"])),
        "ci95": bootstrap_ci(ratios["second"]),
        "success": solved / len(arms["second"]),
        "success_ci95": wilson_ci(solved, len(arms["second"])),
        "first_visit_over_optimal": float(np.mean(ratios["first"])),
        "without_memory_over_optimal": float(np.mean(ratios["without"])),
        "without_memory_ci95": bootstrap_ci(ratios["without"]),
        "without_memory_success": sum(played.solved for played in arms["without"]) / len(arms["without"]),
        "memory_saves": paired_difference(ratios["without"], ratios["second"]),
        "sizes": by_size,
        "confidence": _calibration([b for played in arms["second"] for b in played.beliefs]),
        "joins": sum(len(played.joins) for played in arms["second"]),
        "wrong_joins": sum(not right for played in arms["second"] for right in played.joins),
        "seconds": time.perf_counter() - began,
        "ratios": ratios,
    }


def _calibration(beliefs: Sequence[tuple[float, bool]]) -> list[dict[str, Any]]:
    """How often the best hypothesis was right, by its confidence."""
    bins = ((0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01))
    rows = []
    for low, high in bins:
        outcomes = [right for confidence, right in beliefs if low <= confidence < high]
        if outcomes:
            rows.append(
                {"confidence": [low, min(high, 1.0)], "n": len(outcomes), "right": sum(outcomes) / len(outcomes)}
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mazes", type=int, default=200, help="a third of each size")
    parser.add_argument("--twins", type=int, default=2, help="landmarks that look like another one")
    parser.add_argument("--moved", type=int, default=1, help="landmarks that stand elsewhere at each visit")
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    if options.mazes < 3:
        parser.error("--mazes must be at least 3, one of each size")
    figures = measure(options.mazes, options.twins, options.moved)
    ratios = figures.pop("ratios")
    if options.plot:
        named = {"second visit": ratios["second"], "the same, memory emptied": ratios["without"]}
        histogram(options.plot, named, "Water maze: steps over the fewest possible", "steps over optimal", "mazes")
    tell(figures, options.json)


if __name__ == "__main__":
    main()
