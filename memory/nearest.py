"""Suggestion of known names that are spelled like an unknown name."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], most: int = 3, least: float = 0.5) -> list[str]:
    """Return the known names that are spelled most like ``name``, best first.

    Args:
        name: What was asked for.
        known: The names that exist.
        most: Greatest number of names to return.
        least: Least likeness in [0, 1] (the ratio of Ratcliff and Obershelp, as in :mod:`difflib`).
    """
    return difflib.get_close_matches(name, list(known), n=most, cutoff=least)


def did_you_mean(name: str, known: Iterable[str], least: float = 0.5) -> str:
    """Return the hint that ends an error about an unknown name: the nearest names, or all of them."""
    names = list(known)
    near = nearest(name, names, least=least)
    return f"did you mean {', '.join(near)}?" if near else f"expected one of {', '.join(names)}"
