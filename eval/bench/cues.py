"""Recall@1 from partial cues for every way to rank, with intervals.

::

    python -m eval.bench.cues --cues 2000 --distractors 10000 --json --plot docs/img/cues.png

Stories of one seed (validation) are used to choose the weight of shared words and to train the completion
network; the results are for stories of another seed (test). All ways answer the same cues.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from eval.plots import bars
from eval.probes.cues import measure, table
from memory import HashingEmbedder, MiniLMEmbedder


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cues", type=int, default=2000, help="cues of each kind")
    parser.add_argument("--distractors", type=int, default=10_000, help="stories beside those that cues are made of")
    parser.add_argument("--embedder", choices=("minilm", "hashing"), default="minilm")
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    embedder = MiniLMEmbedder(cache_size=100_000) if options.embedder == "minilm" else HashingEmbedder()
    figures = measure(options.cues, options.distractors, embedder)
    print(table(figures))
    for name in (
        "ceiling_half_of_the_words",
        "lexical_weight",
        "validation_by_weight",
        "validation_by_winners",
        "completion_card",
    ):
        print(f"{name}: {figures[name]}")
    if options.plot:
        bars(
            options.plot,
            {n: {k: (v["mean"], *v["ci95"]) for k, v in kinds.items()} for n, kinds in figures["recall@1"].items()},
            title=f"Recall@1 among {figures['traces']:,} traces",
            ylabel="recall@1, 95 % interval",
        )
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
