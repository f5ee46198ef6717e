"""Everyday sentences: floors on the half that was kept aside; figures are in docs/results/reports.md."""

from typing import Any

import pytest

from eval.bench.everyday import cases, measure


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return measure("heldout")


@pytest.fixture(scope="module")
def others(figures: dict[str, Any]) -> list[dict[str, Any]]:
    return [measure(half) for half in ("plain_heldout", "messages_heldout")]


def test_the_halves_are_large_and_alike() -> None:
    kinds = [sorted(case["kind"] for case in cases(half)) for half in ("dev", "heldout")]
    assert len(kinds[0]) == 150
    assert kinds[0] == kinds[1]


@pytest.mark.slow
def test_little_that_is_true_is_retired(figures: dict[str, Any], others: list[dict[str, Any]]) -> None:
    retired = sum(one["false_retirements"] * one["holds"] for one in (figures, *others))
    assert retired <= 0.015 * sum(one["holds"] for one in (figures, *others))  # 8 of 721; the aim is 0.005
    assert figures["false_retirements"] <= 0.03  # 4 of 151
    assert figures["current_right"] >= 0.6
