import json
from typing import Any

import pytest
from llguidance import LLMatcher

from agent import ModelError
from agent.models.grammar import Grammar
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
