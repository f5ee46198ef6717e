"""Printing of a benchmark's figures."""

import json
from collections.abc import Mapping


def tell(figures: Mapping[str, object], as_json: bool) -> None:
    """Print figures a line each, and with ``as_json`` once more as one JSON object on the last line."""
    for name, value in figures.items():
        print(f"{name:<24} {value:.4g}" if isinstance(value, float) else f"{name:<24} {value}")
    if as_json:
        print(json.dumps(figures))
