import pytest

from agent.extraction import ModelExtractor
from agent.models.base import Decision, Turn
from agent.models.local import LocalModel
from agent.models.scripted import ScriptedModel
from tools import ToolCall


def scripted(*facts: tuple[str, str, str]) -> ModelExtractor:
    listed = [dict(zip(("head", "relation", "tail"), fact, strict=True)) for fact in facts]
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


@pytest.mark.model
def test_the_real_model_names_only_what_the_sentence_holds(model: LocalModel) -> None:
    text = "Marie Curie discovered radium in Paris."
    for item in ModelExtractor(model).extract(text):
        assert item.head in text.lower()
        assert item.tail in text.lower()
