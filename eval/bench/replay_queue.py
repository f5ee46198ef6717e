"""The effect of the replay scheduler: the same streams of events, with it, without single parts, and uniformly.

A stream of events comes in six parts, each followed by four batches. A quarter of the events are near repeats of
another one (the same on another day), and each has a score as from the write gate. Measured for every stream:

- ``high_first``: share of the tenth with the highest scores that was replayed when the stream ends;
- ``old``: share of the batches after the last part that was replayed before;
- ``alike``: share of a batch that has another member within cosine 0.95.

    python -m eval.bench.replay_queue --streams 20
"""

import argparse
from collections.abc import Sequence

from eval.bench.report import tell
from eval.probes.replay_queue import measure


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20, help="of 480 events each")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tell(measure(options.streams), options.json)


if __name__ == "__main__":
    main()
