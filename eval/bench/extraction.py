"""Extraction of facts from sentences: precision and recall of every engine on hand-checked sentences.

::

    python -m eval.bench.extraction --json

The sentences are in eval/bench/data/golden_tuples.txt. A tuple is right if head, relation and tail are exactly those
of the file. The rules were developed on the even lines only; the figures are for the odd lines unless ``--half`` says
otherwise. The language model chooses its own names for relations, so results by head and tail alone are given as well.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.bench.report import tell
from eval.statistics import wilson_ci
from memory.relational import Extractor, RuleExtractor, TemplateExtractor

GOLDEN = Path(__file__).parent / "data" / "golden_tuples.txt"
Statement = tuple[str, str, str]


@dataclass(frozen=True)
class Sentence:
    """One line of the golden set."""

    construction: str
    text: str
    facts: frozenset[Statement]


def golden(path: Path = GOLDEN) -> list[Sentence]:
    """The golden set, in order.

    Raises:
        ValueError: A line is not ``construction | sentence | head ; relation ; tail | ...``.
    """
    sentences = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        construction, text, *facts = (part.strip() for part in line.split("|"))
        parts = [tuple(name.strip() for name in fact.split(";")) for fact in facts if fact]
        if any(len(part) != 3 for part in parts):
            raise ValueError(f"expected head ; relation ; tail, got {line!r}")
        sentences.append(Sentence(construction, text, frozenset((h, r, t) for h, r, t in parts)))
    return sentences


def score(sentences: Sequence[Sentence], extractor: Extractor) -> dict[str, Any]:
    """Precision, recall and time of one engine."""
    extractor.extract("Ada lives in Rome.")  # loads what it needs
    began = time.perf_counter()
    extracted = [
        {(t.head, t.relation, t.tail) for t in tuples} for tuples in extractor.extract_many([s.text for s in sentences])
    ]
    seconds = time.perf_counter() - began
    figures = _count(extracted, [s.facts for s in sentences], lambda fact: fact)
    ends = _count(extracted, [s.facts for s in sentences], lambda fact: frozenset((fact[0], fact[2])))
    return {**figures, "ends_only": ends, "ms_per_sentence": 1e3 * seconds / len(sentences)}


def _count(
    found: Sequence[set[Statement]], wanted: Sequence[frozenset[Statement]], key: Callable[[Statement], Any]
) -> dict[str, Any]:
    pairs = [({key(f) for f in facts}, {key(f) for f in want}) for facts, want in zip(found, wanted, strict=True)]
    right = sum(len(facts & want) for facts, want in pairs)
    told, there = sum(len(facts) for facts, _ in pairs), sum(len(want) for _, want in pairs)
    return {
        "precision": right / told if told else 0.0,
        "precision_ci95": wilson_ci(right, told) if told else (0.0, 1.0),
        "recall": right / there,
        "recall_ci95": wilson_ci(right, there),
        "told": told,
        "there": there,
    }


def measure(engines: Sequence[str], half: str) -> dict[str, Any]:
    """Score the engines; returns the figures."""
    sentences = golden()
    chosen = {"odd": sentences[1::2], "even": sentences[::2], "all": sentences}[half]
    figures: dict[str, Any] = {"half": half, "n": len(chosen)}
    for name in engines:
        extractor: Extractor
        if name == "lm":
            from agent.extraction import ModelExtractor

            extractor = ModelExtractor()
        else:
            extractor = TemplateExtractor() if name == "templates" else RuleExtractor()
        figures[name] = score(chosen, extractor)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["rules", "templates", "lm"])
    parser.add_argument("--half", choices=["odd", "even", "all"], default="odd")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tell(measure(options.engines, options.half), options.json)


if __name__ == "__main__":
    main()
