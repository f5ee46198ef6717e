from copy import copy

import pytest

from memory import InvalidItemError, Provenance
from memory.errors import EmbedderError
from memory.relational import RuleExtractor, TemplateExtractor


@pytest.fixture(scope="module")
def rules() -> RuleExtractor:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return RuleExtractor()


def facts(extractor: RuleExtractor | TemplateExtractor, text: str) -> set[str]:
    return {str(item.head) + f" {item.relation} " + item.tail for item in extractor.extract(text)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!...",
        "123 456.",
        "Ada does not live in Rome.",
        "If Ada lived in Rome, she would own a boat.",
        "¿Dónde vive Ada?",
        "艾达住在罗马。",
        "the the the the",
        "a" * 5000,
        "- - -\n\n* *",
        "\0\0",
    ],
)
def test_what_states_nothing_gives_nothing(rules: RuleExtractor, text: str) -> None:
    assert [t for t in rules.extract(text) if "rome" in (t.head, t.tail)] == []


def test_every_tuple_cites_its_sentence(rules: RuleExtractor) -> None:
    text = "Ada lives in Rome. She owns a lamp, and the lamp is in the attic."
    found = rules.extract(text, Provenance("diary", "monday", time=5.0, trust=0.5))
    assert {str(t.head) for t in found} == {"ada", "lamp"}
    for item in found:
        assert item.origin.text_span in text
        assert (item.origin.source, item.origin.doc_id, item.origin.time) == ("diary", "monday", 5.0)
        assert item.origin.trust == 0.5
        assert 0 < item.conf <= 1


def test_confidence_orders_and_cuts(rules: RuleExtractor) -> None:
    text = "Ada bought a lamp. She lives in Rome."
    by_tail = {t.tail: t.conf for t in rules.extract(text)}
    assert by_tail["lamp"] > by_tail["rome"], "a pronoun makes it less sure"
    strict = copy(rules)
    strict.conf_min = 0.9
    assert {t.tail for t in strict.extract(text)} == {"lamp"}


def test_a_pronoun_nobody_can_resolve_states_nothing(rules: RuleExtractor) -> None:
    assert facts(rules, "She owns the lamp.") == set()
    assert facts(rules, "It opens the chest.") == set()


@pytest.mark.slow
def test_a_long_text_is_read_in_bounded_time(rules: RuleExtractor) -> None:
    import time

    text = "Ada lives in Rome and Bo found the key. " * 1000  # 40 kB take a few seconds
    began = time.perf_counter()
    assert len(rules.extract(text)) == 2
    assert time.perf_counter() - began < 30
    with pytest.raises(InvalidItemError, match="at most 2,000,000"):
        rules.extract("a" * 2_000_001)
    with pytest.raises(InvalidItemError, match="must be a string"):
        rules.extract(None)  # type: ignore[arg-type]


def test_a_missing_parser_is_told(tmp_path: "object") -> None:
    with pytest.raises(EmbedderError, match="hippo models fetch spacy-en"):
        RuleExtractor(folder=tmp_path).extract("Ada lives in Rome.")  # type: ignore[arg-type]


def test_templates_read_sentences_of_a_known_form_only() -> None:
    templates = TemplateExtractor()
    assert facts(templates, "Ada moved to the red room. The grey key opens Bo's box. Hello there!") == {
        "ada lives_in red room",
        "grey key opens bo's box",
    }
    assert facts(templates, "Bo owns the lamp. Ada does not live in Rome. Tom no longer works at the mill.") == {
        "lamp owned_by bo"
    }
    own = TemplateExtractor([("{x} is the friend of {y}", ("{x}", "friend_of", "{y}"))])
    assert facts(own, "Ada is the friend of Bo.") == {"ada friend_of bo"}


@pytest.mark.parametrize("name", ["Bo", "Mo", "Al", "Ka", "Irene", "Yusuf", "Esra", "Ola", "Kit", "Xi"])
@pytest.mark.parametrize(("verb", "relation", "tail"), [("lives in", "lives_in", "Oslo"), ("likes", "likes", "tea")])
def test_short_and_rare_names_have_facts(rules: RuleExtractor, name: str, verb: str, relation: str, tail: str) -> None:
    found = [(fact.head, fact.relation, fact.tail) for fact in rules.extract(f"{name} {verb} {tail}.")]
    assert found == [(name.lower(), relation, tail.lower())]
