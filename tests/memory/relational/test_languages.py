"""Names and words of many languages: read, stored and asked; the sets in tests/memory/data were written by hand."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from memory import HashingEmbedder, Memory
from memory.relational import RuleExtractor, Tuple
from memory.relational.language.lemmas import verb_lemma
from memory.relational.names import fold, normalise, spelling, third_person

DATA = Path(__file__).parents[1] / "data"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def rules() -> RuleExtractor:
    from agent.hub import catalog

    catalog.fetch("spacy-en")
    return RuleExtractor()


def test_two_hundred_names_are_read_stored_and_found(rules: RuleExtractor) -> None:
    cases = rows("names.jsonl")
    missing = []
    with Memory.open(None, HashingEmbedder(32)) as memory:
        for found in rules.extract_many([case["sentence"] for case in cases]):
            memory.relational.upsert(found)
        for case in cases:
            wanted = {normalise(case["name"]), normalise(case["other"])}
            facts = memory.relational.ask(f"What is known of {case['name']}?", 20)
            if not any({f.head, f.tail} == wanted and re.search(case["relation"], f.relation) for f in facts):
                missing.append(case["name"])
        assert memory.relational.aliases.all() == []
    assert len(cases) == 200
    assert len(missing) <= 6, missing


@pytest.mark.parametrize("case", rows("confusable.jsonl"), ids=lambda case: case["id"])
def test_names_that_look_alike_stay_apart(case: dict[str, str]) -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        kg.upsert([Tuple(case["one"], "lives_in", "Rome", time=1.0)])
        kg.upsert([Tuple(case["two"], "lives_in", "Oslo", time=2.0)])
        assert [f.tail for f in kg.ask(case["one"])][:1] == ["rome"], "nothing is retired across two names"
        assert [f.tail for f in kg.ask(case["two"])][:1] == ["oslo"]
        assert kg.aliases.all() == []
        assert kg.resolve(least=0.0) == [], "nor when likeness is no condition"


ONE = {"s039", "s045", "s056"}
"""Marked as suggestions, but one name by the rules of their scripts: Turkish İ in lower case, Russian ё."""


@pytest.mark.parametrize("case", rows("same.jsonl"), ids=lambda case: case["id"])
def test_spellings_of_one_name_find_it_and_merge_only_where_they_are_it(case: dict[str, str]) -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        kg.upsert([Tuple(case["stored"], "lives_in", "Rome", time=1.0)])
        assert [f.tail for f in kg.ask(case["asked"])] == ["rome"]
        kg.upsert([Tuple(case["asked"], "lives_in", "Oslo", time=2.0)])
        one = case["kind"] == "identity" or case["id"] in ONE
        assert len(kg) == (1 if one else 2)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("Bo 🎉", "bo"),
        ("🔥 Ada", "ada"),
        ("🎉", "🎉"),
        ("İbrahim", "ibrahim"),
        ("C++", "c++"),
        ("The  Lamp", "lamp"),
        ("#1", "#1"),
    ],
)
def test_stored_names(name: str, stored: str) -> None:
    assert normalise(name) == stored


def test_marks_are_letters_and_accents_are_none() -> None:
    assert spelling("かき") != spelling("かぎ")
    assert spelling("бой") != spelling("бои")
    assert spelling("José") != spelling("Jose")
    assert spelling("ﾊﾝﾀﾞ") == spelling("ハンダ")
    assert fold("José Müller") == "jose muller"
    assert fold("कीड़ा") == "कीड़ा"
    assert fold("ไกล้") == "ไกล้"


def test_the_five_hundred_commonest_verbs() -> None:
    wrong = []
    with (DATA / "verbs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            forms = [row[form] for form in ("third", "past", "participle", "gerund")]
            wrong += [form for form in forms if verb_lemma(form) != row["base"]]
            wrong += [row["base"]] if third_person(row["base"]) != row["third"] else []
    assert wrong == []


@pytest.mark.parametrize("case", rows("scripts_words.jsonl"), ids=lambda case: f"{case['language']}-{case['index']}")
def test_a_word_finds_its_sentence_in_every_script(case: dict[str, Any]) -> None:
    with Memory.open(None, HashingEmbedder(32)) as memory:
        for text in case["texts"]:
            memory.episodic.write(text, origin="t")
        assert memory.episodic.recall(case["word"], 1)[0].trace.key == case["texts"][case["index"]]


def test_words_of_every_script_survive_an_export_an_undo_and_a_forgetting(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "m", HashingEmbedder(32)) as memory:
        for text, source in (
            ("我昨天买了苹果", "a"),
            ("เขากินข้าวเช้า", "b"),
            ("मैंने किताब पढ़ी", "c"),
            ("plain words", "d"),
        ):
            memory.episodic.write(text, origin=source)
        memory.forget(source="a")
        assert memory.episodic.recall("苹果", 1)[0].coverage == 0
        memory.undo()
        assert memory.episodic.recall("苹果", 1)[0].coverage == 1
        assert memory.verify().ok
        memory.export(tmp_path / "out.jsonl")
    with Memory.open(tmp_path / "n", HashingEmbedder(32)) as copy:
        copy.import_(tmp_path / "out.jsonl")
        for word in ("苹果", "ข้าว", "किताब"):
            assert copy.episodic.recall(word, 1)[0].coverage == 1
        assert copy.verify().ok


def test_a_question_whose_answer_is_not_there_finds_nothing() -> None:
    """The point of the threshold; figures with intervals are in docs/results/reports.md."""
    from memory import MiniLMEmbedder

    cases = rows("search_heldout.jsonl")
    with Memory.open(None, MiniLMEmbedder()) as memory:
        for case in cases:
            if case["kind"] == "passage":
                memory.episodic.write(case["passage"], origin="t")
        asked = [case for case in cases if case["kind"] == "question"]
        found = [bool(memory.episodic.answers(case["question"], 3)) for case in asked]
        for question in ("What is the capital of Mongolia?", "How does a laser work?", "Who won the 1966 world cup?"):
            assert memory.episodic.answers(question) == []
    kept = [was for was, case in zip(found, asked, strict=True) if case["answerable"]]
    given = [was for was, case in zip(found, asked, strict=True) if not case["answerable"]]
    assert sum(kept) / len(kept) >= 0.8
    assert sum(given) / len(given) <= 0.7
