import pytest

from eval.bench.extraction import golden, score
from memory.relational import RuleExtractor


@pytest.fixture(scope="module")
def rules() -> RuleExtractor:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return RuleExtractor()


def test_the_golden_set_is_large_and_its_halves_are_alike() -> None:
    sentences = golden()
    assert len(sentences) >= 200
    assert len({s.text for s in sentences}) == len(sentences)
    assert [s.construction for s in sentences[::2]] == [s.construction for s in sentences[1::2]]
    assert {"passive", "apposition", "relative", "conjunction", "negation", "date", "quantity"} <= {
        s.construction for s in sentences
    }


def test_rules_on_the_half_that_was_not_used_while_writing_them(rules: RuleExtractor) -> None:
    figures = score(golden()[1::2], rules)
    assert figures["precision"] >= 0.90
    assert figures["recall"] >= 0.75
