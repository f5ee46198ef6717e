"""Training of the adapter that reads facts from messages."""

import json
import random
from pathlib import Path

import pytest
import torch

from training import reader

TEXT = {
    "text": "Ada's brother Bo has moved from Rome to Oslo.",
    "speaker": "",
    "facts": [
        {"is": "now", "head": "Bo", "relation": "brother_of", "tail": "Ada"},
        {"is": "over", "head": "Bo", "relation": "lives_in", "tail": "Rome"},
        {"is": "now", "head": "Bo", "relation": "lives_in", "tail": "Oslo"},
    ],
}


def test_names_are_replaced_in_text_and_facts_alike() -> None:
    assert reader.names(TEXT) == ({"Ada", "Bo"}, {"Rome", "Oslo"})
    other = reader.renamed(TEXT, (["Zoe"], ["Lima"]), random.Random(0))
    assert other["text"] == "Zoe's brother Zoe has moved from Lima to Lima."
    assert {fact["tail"] for fact in other["facts"]} == {"Zoe", "Lima"}


def test_a_wrong_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps({**TEXT, "facts": [{"is": "then"}]}))
    with pytest.raises(ValueError, match=r"data\.jsonl:1: `is` must be now, was, will or over"):
        reader.read(tmp_path / "data.jsonl")


@pytest.mark.model
def test_only_the_statements_are_learnt(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from agent.hub import catalog

    (tmp_path / "data.jsonl").write_text("\n".join([json.dumps(TEXT)] * (reader.HELD_OUT + 1)))
    made = reader.prepare(tmp_path / "data.jsonl", tmp_path / "rows.pt")
    assert made["rows"] == 1 + reader.COPIES
    data = torch.load(tmp_path / "rows.pt", weights_only=True)
    tokenizer = AutoTokenizer.from_pretrained(catalog.resolve("smollm2-135m"))
    ids, mask = data["rows"][0]
    learnt = tokenizer.decode([token for token, one in zip(ids, mask, strict=True) if one])
    assert json.loads(learnt.partition("<|im_end|>")[0])["arguments"]["facts"] == TEXT["facts"]
    assert len(data["held_out"]) == reader.HELD_OUT


def test_the_data_that_ships_is_whole() -> None:
    items = reader.read(Path(reader.__file__).parent / "data" / "messages.jsonl")
    assert len(items) > 4000
    assert all(set(fact) == {"is", "head", "relation", "tail"} for item in items for fact in item["facts"])
