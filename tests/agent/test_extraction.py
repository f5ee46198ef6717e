from typing import Literal

import pytest

from agent.extraction import JointExtractor, ModelExtractor
from agent.models.base import Decision, Turn
from agent.models.local import LocalModel, LocalModelConfig
from agent.models.scripted import ScriptedModel
from memory import Memory, Provenance
from memory.relational import RuleExtractor, Tuple
from memory.relational.endings import Ending
from tools import ToolCall


def scripted(*facts: tuple[str, str, str]) -> ModelExtractor:
    listed = [dict(zip(("is", "head", "relation", "tail"), ("now", *fact), strict=True)) for fact in facts]
    return ModelExtractor(ScriptedModel([ToolCall(name="state", arguments={"facts": listed})], cycle=True))


def test_statements_become_tuples_in_the_graphs_words() -> None:
    (found,) = scripted(("Bo", "owns", "the lamp")).extract("Bo owns the lamp.", "diary")
    assert (found.head, found.relation, found.tail) == ("lamp", "owned_by", "bo")
    assert (found.provenance.source, found.provenance.text_span) == ("diary", "Bo owns the lamp.")
    assert 0 < found.conf < 1


def test_a_fact_about_itself_and_an_answer_cut_short_say_nothing() -> None:
    assert scripted(("Bo", "is", "Bo")).extract("Bo is Bo.") == []

    class Cut(ScriptedModel):
        def decide(self, turns: "list[Turn]") -> list[Decision]:  # type: ignore[override]
            return [Decision('{"name":"state","argu', cut=True) for _ in turns]

    assert ModelExtractor(Cut([])).extract("Bo owns the lamp.") == []
    assert scripted().extract("") == []


def test_what_was_what_is_over_and_what_is_planned_holds_not(memory: Memory) -> None:
    facts = [
        {"is": "was", "head": "Ada", "relation": "lives_in", "tail": "Rome"},
        {"is": "over", "head": "Ada", "relation": "works_at", "tail": "Acme"},
        {"is": "will", "head": "Ada", "relation": "lives_in", "tail": "Bonn"},
        {"is": "now", "head": "Ada", "relation": "lives_in", "tail": "Oslo"},
    ]
    model = ScriptedModel([ToolCall(name="state", arguments={"facts": facts})], cycle=True)
    memory.relational.upsert([Tuple("Ada", "teaches_at", "Acme", provenance=Provenance("test", time=1.0))])
    text = "Ada left Acme and Rome, lives in Oslo, and wants to go to Bonn."
    memory.relational.upsert(ModelExtractor(model).extract(text, Provenance("test", time=9.0)))
    assert [fact.tail for fact in memory.relational.at(10.0, "ada", "lives_in")] == ["oslo"]
    assert [fact.tail for fact in memory.relational.history("ada", "lives_in")] == ["rome", "oslo"]
    assert memory.relational.at(10.0, "ada", "teaches_at") == []


def test_words_that_the_text_does_not_have_are_no_facts() -> None:
    assert scripted(("Bo", "owns", "the boat")).extract("Bo owns the lamp.") == []
    spoken = scripted(("Zed", "likes", "tea")).extract("I like tea.", Provenance("test", speaker="Zed"))
    assert [(fact.head, fact.relation, fact.tail) for fact in spoken] == [("zed", "likes", "tea")]


def test_both_read_and_the_rules_go_first() -> None:
    facts = [
        {"is": "now", "head": "Bo", "relation": "resides_near", "tail": "Oslo"},
        {"is": "now", "head": "tea", "relation": "drunk_by", "tail": "Ada"},
    ]
    reader = ModelExtractor(ScriptedModel([ToolCall(name="state", arguments={"facts": facts})], cycle=True))
    found = JointExtractor(RuleExtractor(), reader).extract(
        "Bo lives in Oslo. All that Ada has for breakfast, says Bo, is tea."
    )
    assert ("bo", "lives_in", "oslo") in [(fact.head, fact.relation, fact.tail) for fact in found]
    assert ("tea", "drunk_by", "ada") in [(fact.head, fact.relation, fact.tail) for fact in found]
    assert "resides_near" not in [fact.relation for fact in found]


def test_a_long_text_is_read_in_parts_of_three_sentences() -> None:
    seen: list[str] = []

    class Noting(ScriptedModel):
        def decide(self, turns: "list[Turn]") -> list[Decision]:  # type: ignore[override]
            seen.extend(turn.chat.messages[-1].content for turn in turns)
            return super().decide(turns)

    call = ToolCall(name="state", arguments={"facts": []})
    ModelExtractor(Noting([call], cycle=True)).extract("One is. Two is. Three is. Four is.")
    assert seen == ["One is. Two is. Three is.", "Four is."]


@pytest.mark.model
@pytest.mark.slow
def test_the_trained_reader_reads(dtype: Literal["bfloat16", "float32"]) -> None:
    config = LocalModelConfig(adapter="hippo-reader", max_call_tokens=320, dtype=dtype)
    reader = ModelExtractor(LocalModel(config))
    reader.examples = ()
    told = Provenance("test", time=9.0, speaker="Zed")
    read = {
        text: reader.extract(text, told).statements for text in ("I moved to Oslo.", "Nadia has quit her job at Acme.")
    }
    assert [(item.head, item.tail) for item in read["I moved to Oslo."]] == [("zed", "oslo")]
    (ending,) = read["Nadia has quit her job at Acme."]
    assert isinstance(ending, Ending)
    assert ending.covers("works_at")


@pytest.mark.model
def test_the_real_model_names_only_what_the_sentence_holds(model: LocalModel) -> None:
    text = "Marie Curie discovered radium in Paris."
    for item in ModelExtractor(model).extract(text):
        assert item.head in text.lower()
        assert item.tail in text.lower()
