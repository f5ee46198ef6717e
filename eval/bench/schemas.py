"""Schema routing: how often must a fact be told until it is found, and how much noise is found with it?

::

    python -m eval.bench.schemas --json

A graph knows people, towns, games and dishes: who visits, plays and likes what. For each new person there is one true
statement and one that was read wrongly (a tail of the wrong kind, or head and tail swapped) about the same person and
relation. The statements are told repeatedly, in random order, until the true one is ranked first twice in a row.

- ``at once``: everything is believed at once (the default).
- ``extended``: everything must be told three times.
- ``routed``: what fits the schemas learnt from the known facts is believed at once, the rest must be told three times.
- ``declared``: as ``routed``, with frames declared by hand (which kind of thing is visited, played or liked).
"""

import argparse
from collections.abc import Sequence

from eval.bench.report import tell
from eval.probes.schemas import measure


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="streams of twenty new people each")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tell(measure(options.seeds), options.json)


if __name__ == "__main__":
    main()
