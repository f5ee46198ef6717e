"""Note down the words of the missions that an adapter was trained on.

    python -m training.missions agent/adapter_weights/hippo-135m

The worlds are those that the adapter's card names, with seeds of the train split.
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from agent.hub import adapters
from agent.hub.missions import FILE, words_of
from agent.logs.files import atomic_write
from agent.text_env import mission_in
from envs import make, seeds_of


def trained_words(env_ids: Sequence[str], worlds: int) -> set[str]:
    """Return the words of the missions of train worlds.

    Args:
        env_ids: Ids of environments.
        worlds: How many of each.
    """
    words: set[str] = set()
    for name in env_ids:
        with closing(make(name)) as env:
            for seed in range(seeds_of("train").start, seeds_of("train").start + worlds):
                _, info = env.reset(seed=seed)
                words |= words_of(mission_in(env, info))
    return words


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``missions.json`` beside the weights of an adapter."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("adapter", type=Path, help="folder of the adapter")
    parser.add_argument("--worlds", type=int, default=3000, help="worlds of each environment")
    options = parser.parse_args(arguments)
    ids = [source[4:] for source in adapters.card(options.adapter)["sources"] if source.startswith("env:")]
    with atomic_write(options.adapter / FILE) as file:
        json.dump({"envs": ids, "worlds": options.worlds, "words": sorted(trained_words(ids, options.worlds))}, file)
    print(options.adapter / FILE)  # noqa: T201


if __name__ == "__main__":
    main()
