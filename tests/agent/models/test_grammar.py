import json
import re
from dataclasses import replace
from typing import Any

import pytest
from llguidance import LLMatcher

from agent import ModelError
from agent.models import grammar
from agent.models.grammar import MAX_WORDS, Grammar, words_of
from agent.models.local import LocalModel
from tools import ToolSpec, tool

pytestmark = pytest.mark.model

NOTHING = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@tool
def place(x: int, mood: bool, note: str, weight: float = 1.0, where: str | None = None) -> str:
    """Place something."""
    return note


def accepts(model: LocalModel, matcher: LLMatcher, text: str) -> bool:
    tokens = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def test_only_whole_calls_to_offered_tools_are_accepted(model: LocalModel) -> None:
    offer = [ToolSpec("left", "", NOTHING), place.spec()]
    good = {"x": -3, "mood": True, "note": 'a "b" ü', "weight": 0.5, "where": None}
    call = json.dumps({"name": "place", "arguments": good}, separators=(",", ":"), ensure_ascii=False)
    assert accepts(model, model.grammar.matcher(offer), call)
    assert accepts(model, model.grammar.matcher(offer), '{"name":"left","arguments":{}}')
    for bad in (
        '{"name":"right","arguments":{}}',
        '{"name": "left", "arguments": {}}',
        '{"name":"left","arguments":{"x":1}}',
        '{"name":"left"}',
        "left()",
        call.replace("-3", '"3"'),
        call.replace("ü", "a" * 130),
    ):
        assert not accepts(model, model.grammar.matcher(offer), bad), bad


@tool(extractive=["who", "what"])
def owns(who: str, relation: str, what: str = "") -> str:
    """State who owns what."""
    return who


def test_extractive_arguments_are_made_of_words_in_view(model: LocalModel) -> None:
    offered = owns.offer()
    assert offered is not None
    words = words_of(["They say: Gdańsk is Otto's home, near the grey-blue box."])

    def allowed(who: str, **others: str) -> bool:
        call = json.dumps(
            {"who": who, "relation": "anything at all", **others}, separators=(",", ":"), ensure_ascii=False
        )
        return accepts(model, model.grammar.matcher([offered], words), f'{{"name":"owns","arguments":{call}}}')

    for who in ("Otto", "otto", "Otto's", "Gdańsk", "gdańsk", "grey-blue box", "box's", "near the Otto"):
        assert allowed(who), who
    for who in ("Otism", "Ott", "dgansk", "Otto ", "Otto  box", "", "Otto, box", " ".join(["box"] * 7)):
        assert not allowed(who), who
    assert allowed("otto", what="box")
    assert not allowed("otto", what="bax")
    free = model.grammar.matcher([offered])
    assert accepts(model, free, '{"name":"owns","arguments":{"who":"Otism","relation":"x"}}')


@pytest.mark.parametrize(
    ("text", "said", "not_said"),
    [
        ("She lives in St. Petersburg.", ["St. Petersburg", "petersburg"], ["Petersburg."]),
        ("He works at AT&T, since 10:30!", ["AT&T", "at&t", "10:30"], ["ATT"]),
        ("Otto’s boss is “Tara”", ["Otto", "Tara", "otto's boss"], ["Ottos"]),
        ("write to ada@example.org about red_key, C++ and 3.5", ["ada@example.org", "red_key", "C++", "3.5"], ["3,5"]),
        ("a grey-blue box", ["grey-blue box", "blue box"], ["greyblue"]),
        ("Gda\u0144sk and Gdan\u0301sk", ["Gda\u0144sk"], ["Gdan"]),
        ("पुस्तक मेज़ पर", ["मेज़"], ["म"]),
        ('say "no" or a\\b', ["no"], ["a"]),
    ],
)
def test_words_are_what_stands_between_spaces(text: str, said: list[str], not_said: list[str]) -> None:
    pattern = grammar._pattern(words_of([text]))
    assert all(re.fullmatch(pattern, one) for one in said)
    assert not any(re.fullmatch(pattern, one) for one in not_said)


def test_the_newest_words_count() -> None:
    assert words_of(["Ada's old box", "the new box"]) == ["ada", "Ada", "old", "the", "new", "box"]
    many = words_of([f"w{i}" for i in range(2 * MAX_WORDS)])
    assert many == [f"w{i}" for i in range(MAX_WORDS, 2 * MAX_WORDS)]
    assert words_of(["...", ""]) == []
    assert words_of(["Otto住在Turin市。", "Ada"]) == []  # no spaces to tell words by


def test_words_longer_than_the_argument_are_left_out(model: LocalModel) -> None:
    long = "pneumonoultramicroscopicsilicovolcanoconiosis"
    limited = ToolSpec(
        "tell", "", {**owns.schema, "properties": {"who": {"type": "string", "maxLength": 24}}}, ("who",)
    )
    call = '{{"name":"tell","arguments":{{"who":"{}"}}}}'
    spec = replace(limited, parameters={**limited.parameters, "required": ["who"]})
    assert accepts(model, model.grammar.matcher([spec], [long, "Ada"]), call.format("Ada"))
    assert not accepts(model, model.grammar.matcher([spec], [long, "Ada"]), call.format("Bo"))
    assert accepts(model, model.grammar.matcher([spec], [long]), call.format("Bo"))  # none fits: it is free


def test_nothing_offered_is_an_error(model: LocalModel) -> None:
    with pytest.raises(ModelError, match="offer at least one action"):
        model.grammar.matcher([])


def test_a_tokenizer_that_the_grammar_misreads_is_refused(model: LocalModel, tmp_path: Any) -> None:
    """Older converters wrote a decoder that silently merges the space into its neighbour."""
    from transformers import AutoTokenizer

    model.tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text())
    replace = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    content["decoder"] = {
        "type": "Sequence",
        "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, replace, content["decoder"]],
    }
    file.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="reads this tokenizer wrongly"):
        Grammar(AutoTokenizer.from_pretrained(tmp_path), model.grammar.vocab_size)


def test_words_are_read_byte_for_byte(model: LocalModel) -> None:
    text = " It 's a – ünïcode , text ."
    assert model.grammar.text(model.tokenizer(text, add_special_tokens=False)["input_ids"]) == text
