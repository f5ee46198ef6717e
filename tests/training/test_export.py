from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from agent.errors import CatalogError
from agent.hub import adapters
from training.errors import AdapterError
from training.export import export, figures
from training.gguf_file import write_gguf

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
