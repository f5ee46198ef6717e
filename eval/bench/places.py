"""A long walk: does the map grow no larger than the world, and does observing stay fast?

Two rings of 10,000 places are observed a million times each, into a memory on disk; every observation is
durable when the call returns. The ring of texts has milestones whose descriptions change
from visit to visit (weather, passers-by); the walker goes onwards, sometimes back, and sometimes stays in
place. The ring of cells is a corridor seen through a 7 x 7 window. A third world is a procedure whose steps
differ only in a number, walked ten times. Afterwards the places of the world are compared with those of the
map: a place is lost if it shares a map place with another, and doubled if it has several map places.

    python -m eval.bench.places --json
"""

import argparse
import random
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.report import tell
from memory import HashingEmbedder, Memory, Provenance
from memory.spatial import FORWARD, RIGHT, Cell, Pose, View

LAPS_AN_EPISODE = 10
WEATHER = ("It rains.", "The sun shines.", "Fog hangs low.", "It is getting dark.", "A cold wind blows.")
PASSERS = ("A cart passes.", "Two monks greet you.", "Nobody is here.", "A dog barks.", "")
TREES = ("oak", "lime", "elm", "birch", "ash", "yew", "pine", "larch", "maple", "alder")

Observation = tuple[int, str, View | None, str]
"""Number of the true place, text, view and the action that led there."""


def texts(places: int, count: int, seed: int = 0) -> Iterator[Observation]:
    """A walk along a ring of milestones."""
    rng = random.Random(seed)
    at = 0
    yield at, _milestone(at, rng), None, ""
    for _ in range(count - 1):
        action, move = ("onwards", 1) if rng.random() < 0.97 else ("back", -1)
        if rng.random() >= 0.01:  # now and then one gets nowhere
            at = (at + move) % places
        yield at, _milestone(at, rng), None, action


def _milestone(number: int, rng: random.Random) -> str:
    tree, other = TREES[number % 10], TREES[number // 10 % 10]
    words = [f"You stand at milestone {number} between the {tree} and the {other} by the road.", rng.choice(WEATHER)]
    return " ".join([*words, rng.choice(PASSERS)]).strip()


def steps(places: int, count: int) -> Iterator[Observation]:
    """A procedure whose steps differ in a number only, begun again after the last."""
    for index in range(count):
        at = index % places
        yield at, f"Step {at} of the manual: open the valve, wait, and close it again.", None, "next" if index else ""


def cells(places: int, count: int) -> Iterator[Observation]:
    """A walk around a square ring, one cell wide, between walls; turning is an observation too."""
    side = places // 4
    floor = {(x, 0) for x in range(side)} | {(side, y) for y in range(side)}
    floor |= {(x + 1, side) for x in range(side)} | {(0, y + 1) for y in range(side)}
    number = {at: index for index, at in enumerate(sorted(floor))}
    pose, action = Pose(0, 0, 0), ""
    for _ in range(count):
        yield number[pose.x, pose.y], "", _window(pose, floor), action
        action = FORWARD if pose.at(1, 0) in floor else RIGHT
        pose = pose.advanced() if action == FORWARD else pose.turned(1)


def _window(pose: Pose, floor: set[tuple[int, int]]) -> View:
    """What one sees: the corridor up to six cells ahead, and the walls along it."""
    seen = []
    for forward in range(7):
        for right in (-1, 0, 1):
            at = pose.at(forward, right)
            if (forward, right) != (0, 0):
                free = at in floor
                seen.append(Cell(forward, right, "" if free else "wall", free))
        if pose.at(forward, 0) not in floor:
            break
    return View(tuple(seen))


def walk(world: Iterator[Observation], places: int, folder: Path) -> dict[str, Any]:
    """Observe it all; returns the figures."""
    milliseconds: list[float] = []
    ids: dict[int, set[int]] = defaultdict(set)
    memory_kib = []
    with Memory.open(folder, HashingEmbedder(32)) as memory:
        spatial = memory.spatial
        spatial.enter("ring")
        began = time.perf_counter()
        for count, (true, text, view, action) in enumerate(world):
            origin = Provenance("walk", f"episode {count // (LAPS_AN_EPISODE * places)}")
            start = time.perf_counter()
            seen = spatial.observe(text, view, action or None, origin=origin)
            milliseconds.append(1e3 * (time.perf_counter() - start))
            ids[true].add(seen.place)
            if (count + 1) % (10 * places) == 0:
                memory_kib.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                print(f"{count + 1}: p50 {np.median(milliseconds[-places:]):.3f} ms", flush=True)
        taken = time.perf_counter() - began
        rows = int(memory.store.db.execute("SELECT count(*) FROM places WHERE passable").fetchone()[0])
        origins = int(memory.store.db.execute("SELECT count(*) FROM provenance").fetchone()[0])
    owners: dict[int, set[int]] = defaultdict(set)
    for true, place_ids in ids.items():
        for place in place_ids:
            owners[place].add(true)
    lost = sum(all(len(owners[place]) > 1 for place in place_ids) for place_ids in ids.values())
    doubled = sum(len(place_ids) > 1 for place_ids in ids.values())
    return {
        "observations": len(milliseconds),
        "true_places": len(ids),
        "places": rows,
        "lost": lost / len(ids),
        "doubled": doubled / len(ids),
        "observe_ms_p50": float(np.median(milliseconds)),
        "observe_ms_p99": float(np.quantile(milliseconds, 0.99)),
        "seconds": taken,
        "main_memory_mib": [round(kib / 1024, 1) for kib in memory_kib],
        "disk_mib": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20,
        "origins": origins,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=10_000, help="of each ring; a multiple of 4")
    parser.add_argument("--observations", type=int, default=1_000_000, help="of each ring")
    parser.add_argument("--rings", nargs="*", choices=("texts", "steps", "cells"), default=["texts", "steps", "cells"])
    parser.add_argument("--folder", type=Path, help="where the memories are written; a temporary folder by default")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    worlds = {"texts": texts, "steps": steps, "cells": cells}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in options.rings:
            count = 10 * options.places if name == "steps" else options.observations
            world = worlds[name](options.places, count)
            figures[name] = walk(world, options.places, Path(folder) / name)
    tell(figures, options.json)


if __name__ == "__main__":
    main()
