"""Measurements of our worlds: success of experts, effect of each memory, length of observations, and speed.

python -m eval.bench.worlds experts --json            # 500 worlds of the test split each
python -m eval.bench.worlds needs --worlds 950 --json # each memory removed in turn
python -m eval.bench.worlds tokens --json             # of observations, over every id
python -m eval.bench.worlds speed --json              # the text wrapper beside bare MiniGrid
python -m eval.bench.worlds collect --json            # 10,000 expert episodes; 1,000 of them played again
"""

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agent.config import load_collect
from agent.logs.log import read_events
from agent.logs.manifest import Row, by_kind, totals
from agent.logs.verify_log import verify_log
from agent.rollout.collect import Collection
from envs import known_ids, make
from envs.splits import seeds_of
from eval.bench.report import tell
from eval.statistics import bootstrap_ci

ENVS = ("babyai_mixed", "water_maze", "courier", "episodic_qa", "multi_hop_qa")
STORES = {"graph": {"tell", "ask_graph"}, "episodes": {"remember", "recall"}, "map": set[str]()}
"""The tools of each memory; the map is taken away by giving the world another name on each visit."""

SPED = (
    "BabyAI-GoToLocal-v0",
    "BabyAI-GoTo-v0",
    "MiniGrid-FourRooms-v0",
    "MiniGrid-DoorKey-8x8-v0",
    "BabyAI-BossLevel-v0",
)


class AnotherWorld(gym.Wrapper[str, Any, str, Any]):
    """Gives the world another name on each visit, so that the map of the last visit is not found again."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin a visit."""
        text, info = self.env.reset(seed=seed, options=options)
        return text, info | {"world": f"{info['world']}-{info['visit']}"}


def make_another(name: str, **settings: Any) -> gym.Env[Any, Any]:
    """Make an environment whose map does not last."""
    return AnotherWorld(make(name, **settings))


def play(env: str, worlds: int, without: str = "", split: str = "test", seed: int = 0) -> list[Row]:
    """Let the expert play worlds of a split, without one memory or with all."""
    with tempfile.TemporaryDirectory() as runs:
        config = load_collect([f"env={env}", f"runs={runs}", f"split={split}", f"seed={seed}", "episodes=1"])
        tools = [tool for tool in config.memory.tools if tool not in STORES.get(without, ())]
        making = make_another if without == "map" else make
        visits = Collection(config, seeds_of(split), making).visits
        config = config.model_copy(
            update={"episodes": worlds * visits, "memory": config.memory.model_copy(update={"tools": tools})}
        )
        collection = Collection(config, seeds_of(split), making)
        collection.run()
        return collection.rows


def experts(worlds: int) -> dict[str, Any]:
    """Success and steps over optimal of every expert."""
    by_env = {}
    for env in ENVS:
        began = time.perf_counter()
        rows = play(env, worlds, seed=200_000)
        figures = totals(rows)
        ratios = [row["steps"] / row["optimal_steps"] for row in rows if row["success"] and row["optimal_steps"]]
        seconds = time.perf_counter() - began
        failed = [row["seed"] for row in rows if not row["success"]]
        by_env[env] = figures | {
            "over_ci95": bootstrap_ci(ratios),
            "kinds": by_kind(rows),
            "failed": failed,
            "seconds": seconds,
        }
        print(
            f"{env:<14} {figures['success']:.4f} of {figures['episodes']}, {figures['steps_over_optimal']:.3f} x",
            flush=True,
        )
    return by_env


def needs(worlds: int) -> dict[str, Any]:
    """Success by kind of mission, with all memories and with each removed."""
    by_env: dict[str, Any] = {}
    for env, stores in (
        ("courier", ("", "graph", "episodes", "map")),
        ("episodic_qa", ("", "episodes")),
        ("multi_hop_qa", ("", "graph")),
        ("water_maze", ("", "map")),
    ):
        count = worlds if env == "courier" else min(worlds, 300)
        for without in stores:
            rows = play(env, count, without, seed=100_000)
            label = f"without {without}" if without else "all"
            by_env.setdefault(env, {})[label] = by_kind(rows)
            line = ", ".join(f"{kind} {figures['success']:.3f}" for kind, figures in by_kind(rows).items())
            print(f"{env} {label}: {line}", flush=True)
    return by_env


def _random_texts(name: str, episodes: int, steps: int) -> list[str]:
    texts = []
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = make(name)
        for seed in range(episodes):
            text, info = env.reset(seed=seed)
            texts.append(text)
            rng = np.random.default_rng(seed)
            named = env.get_wrapper_attr("named_actions")
            for _ in range(steps):
                action = named[str(rng.choice([a for a in info["available_actions"] if a in named] or list(named)))][0]
                text, _, terminated, truncated, info = env.step(action)
                texts.append(text)
                if terminated or truncated:
                    break
    return texts


def _lengths(texts: Sequence[str], count: Callable[[str], int]) -> dict[str, float]:
    sizes = np.array([count(text) for text in texts])
    median, high = np.quantile(sizes, (0.5, 0.95))
    return {"n": len(sizes), "median": float(median), "p95": float(high), "max": int(sizes.max())}


def tokens(episodes: int) -> dict[str, Any]:
    """Tokens of observations: of experts in our worlds, of chance in every MiniGrid and BabyAI id."""
    from transformers import AutoTokenizer

    from agent.hub import catalog

    tokenizer = AutoTokenizer.from_pretrained(catalog.fetch("smollm2-135m"))

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    lengths = {}
    for env in ENVS:
        with tempfile.TemporaryDirectory() as runs:
            collection = Collection(
                load_collect([f"env={env}", f"runs={runs}", "episodes=280"]), seeds_of("train"), make
            )
            collection.run()
            logs = collection.folder.rglob("events.jsonl")
            lengths[env] = _lengths([e.text for log in logs for e in read_events(log) if e.type == "observed"], count)
        print(env, lengths[env], flush=True)
    unable = []
    for name in known_ids():
        if not name.startswith("hippo/"):
            try:
                lengths[name] = _lengths(_random_texts(name, episodes, 60), count)
            except Exception as error:  # what is wrong with one id must not hide the others
                unable.append(f"{name}: {type(error).__name__}: {error}")
    grids = [lengths[name]["max"] for name in lengths if name not in ENVS]
    print(f"{len(grids)} ids of MiniGrid and BabyAI: longest {max(grids)} tokens; {len(unable)} can't be played")
    return {"envs": lengths, "longest": max(sizes["max"] for sizes in lengths.values()), "unable": unable}


def speed(seconds: float) -> dict[str, Any]:
    """Steps per second of the text wrapper beside the bare environment, in turns."""
    by_env: dict[str, dict[str, Any]] = {}
    for name in SPED:
        rates: dict[str, list[float]] = {"bare": [], "text": []}
        with contextlib.redirect_stdout(io.StringIO()):
            known_ids()
            worlds = {"bare": gym.make(name), "text": make(name)}
            for turn in range(10):
                for arm, env in worlds.items():
                    rates[arm].append(_rate(env, turn, seconds / 10))
        ratios = [text / bare for bare, text in zip(rates["bare"], rates["text"], strict=True)]
        by_env[name] = {
            "bare_per_s": float(np.median(rates["bare"])),
            "text_per_s": float(np.median(rates["text"])),
            "ratio": float(np.mean(ratios)),
            "ci95": bootstrap_ci(ratios),
        }
        print(f"{name:<26} {by_env[name]['ratio']:.2f}", flush=True)
    return {"envs": by_env, "least_ratio": min(row["ratio"] for row in by_env.values())}


def _rate(env: gym.Env[Any, Any], seed: int, seconds: float) -> float:
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    steps = spent = 0.0
    while spent < seconds:
        began = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(int(rng.integers(3)))
        spent += time.perf_counter() - began
        steps += 1
        if terminated or truncated:
            env.reset()
    return steps / spent


def collect(episodes: int, replays: int) -> dict[str, Any]:
    """Time of collecting expert episodes of the mixed level, and whether logs of every world play again."""
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        collection = Collection(
            load_collect(["env=babyai_mixed", f"runs={runs}", f"episodes={episodes}"]), seeds_of("train"), make
        )
        collection.run()
        seconds = time.perf_counter() - began
        figures = {"seconds": seconds, "episodes_per_s": episodes / seconds} | totals(collection.rows)
        print(f"{episodes} episodes in {seconds:.0f} s, {figures['success']:.4f} solved", flush=True)
        folders = [collection.folder]
        for env in ENVS[1:]:
            other = Collection(
                load_collect([f"env={env}", f"runs={runs}", f"episodes={replays // 5}"]), seeds_of("train"), make
            )
            other.run()
            folders.append(other.folder)
        logs = [log for folder in folders for log in sorted(folder.rglob("events.jsonl"))[: replays // 5]]
        done = [verify_log(log, make) for log in logs]
        matching = sum(verified.matches for verified in done)
        print(f"{matching} of {len(done)} logs play again as they were")
        differing = [verified.difference for verified in done if not verified.matches]
        return figures | {"replayed": len(done), "matching": matching, "differing": differing[:5]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("experts", "needs", "tokens", "speed", "collect"))
    parser.add_argument("--worlds", type=int, help="of each environment; 500, for needs 950 of the courier")
    parser.add_argument("--episodes", type=int, default=10_000, help="to collect")
    parser.add_argument("--replays", type=int, default=1_000, help="logs to play again")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "experts": lambda: experts(options.worlds or 500),
        "needs": lambda: needs(options.worlds or 950),
        "tokens": lambda: tokens(options.worlds or 4),
        "speed": lambda: speed(10.0),
        "collect": lambda: collect(options.episodes, options.replays),
    }
    tell(parts[options.part](), options.json)


if __name__ == "__main__":
    main()
