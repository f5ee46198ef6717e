import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from agent.errors import CatalogError
from agent.hub import adapters
from agent.models.grammar import call_schema
from training.conversations import tool_specs
from training.errors import AdapterError, TrainConfigError
from training.export import export, figures
from training.gguf_file import write_gguf
from training.model_card import CARD, MODELFILE, SCHEMA, TOOLS, beside, tools_of, write_beside

pytestmark = pytest.mark.model


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "gguf"])
def test_what_is_written_answers_the_same(made: Path, tmp_path: Path, form: str) -> None:
    done = export(str(made), tmp_path / "out", form)  # type: ignore[arg-type]
    assert done.merged < 1e-4
    assert done.unmerged < 1e-4
    assert done.written < 0.05 * done.scale
    assert done.agree > 0.9
    assert figures(done)["path"] == str(tmp_path / "out")
    card = tmp_path / ("out/card.json" if form == "safetensors" else "out.card.json")
    assert adapters.digest(made) in card.read_text()


def test_a_folder_is_used_as_transformers_users_do(made: Path, tmp_path: Path) -> None:
    """The code in its model card runs; its prompt is the one that the model was trained on."""
    from agent.chat import Chat, Message
    from agent.models.tokens import ChatTokens

    out = tmp_path / "merged"
    export(str(made), out)
    card = (out / CARD).read_text()
    assert "pipeline_tag: text-generation" in card
    assert "conversations of" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1].replace('folder = "."', f'folder = "{out}"'), names)
    tools, tokenizer = list(tool_specs(out / TOOLS)), names["tokenizer"]
    assert {"forward", "find", "answer", "recall"} <= {tool.name for tool in tools}
    chat = Chat("go to the red ball", tools, messages=[Message("user", "You see a red ball 2 steps forward.")])
    assert tokenizer.decode(names["prompt"]["input_ids"][0]) == ChatTokens(tokenizer).text(chat)
    assert json.loads((out / SCHEMA).read_text()) == call_schema(tools)


def test_the_tools_can_be_given(made: Path, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "ring", "description": "Ring.", "parameters": {}}}
    (tmp_path / "mine.json").write_text(json.dumps([tool]))
    export(str(made), tmp_path / "m.gguf", "gguf", tools=tmp_path / "mine.json")
    assert [one["function"]["name"] for one in json.loads(beside(tmp_path / "m.gguf", TOOLS).read_text())] == ["ring"]
    model_file = beside(tmp_path / "m.gguf", MODELFILE).read_text()
    assert model_file.startswith("FROM ./m.gguf\nTEMPLATE")
    assert "llama-server -m m.gguf" in beside(tmp_path / "m.gguf", CARD).read_text()
    (tmp_path / "bad.json").write_text('{"name": 3}')
    with pytest.raises(TrainConfigError, match=r"bad\.json: expected a JSON list of tools"):
        export(str(made), tmp_path / "other", tools=tmp_path / "bad.json")
    assert not (tmp_path / "other").exists()


def test_an_adapter_without_a_card_has_no_schema(tmp_path: Path) -> None:
    out = tmp_path / "merged"
    out.mkdir()
    elsewhere = {"sources": ["env:SomebodysWorld-v0", "env:gym:mine.py:Lamp-v0", "file:rows.jsonl"]}
    assert tools_of(elsewhere) == []  # worlds that are not here
    assert [path.name for path in write_beside(out, {}, tools_of({}), "smollm2-135m")] == [CARD]
    assert "not known here" in (out / CARD).read_text()


def test_a_merged_model_can_be_played_with(made: Path, tmp_path: Path) -> None:
    from agent.models.local import LocalModel, LocalModelConfig

    export(str(made), tmp_path / "merged")
    model = LocalModel(LocalModelConfig(name=str(tmp_path / "merged"), device="cpu"))
    assert model.describe()["adapter"] is None


def test_scaled_rotations_are_not_written_as_gguf(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.config.rope_parameters = {**model.config.rope_parameters, "rope_type": "llama3"}
    with pytest.raises(AdapterError, match="this model's are llama3"):
        write_gguf(model, tiny, tmp_path / "model.gguf")


def test_where_nothing_can_be_written_is_told(made: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AdapterError, match="name a folder that can be written to"):
        export(str(made), tmp_path / "file" / "out")


def test_nothing_is_overwritten(made: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(AdapterError, match="is there already"):
        export(str(made), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_damaged_weights_are_told(made: Path, tmp_path: Path) -> None:
    for path in made.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / adapters.WEIGHTS)
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + torch.ones_like(weights[name])}, tmp_path / adapters.WEIGHTS)
    with pytest.raises(CatalogError, match="not the file that its card describes"):
        export(str(tmp_path), tmp_path / "out")
