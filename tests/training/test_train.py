import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.errors import CatalogError, ConfigError
from agent.hub import adapters
from agent.models.local import LocalModel, LocalModelConfig
from tests.training.conftest import settings, silent
from training.config import load_train
from training.errors import TrainConfigError, TrainingError
from training.loading import load_model
from training.monitor import METRICS, Monitor, draw_losses
from training.qlora import train

pytestmark = pytest.mark.model


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_training_makes_an_adapter_with_a_card(made: Path, tiny: Path) -> None:
    losses = [line["loss"] for line in metrics(made)]
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    card = adapters.card(made)
    assert card["base"] == {"name": str(tiny), "weights_sha256": adapters.weights_digest(tiny)}
    assert card["sha256"] == adapters.digest(made)
    assert card["steps"] == 8
    assert sum(card["data"]["taken"].values()) == 24
    assert card["settings"]["lora"]["targets"] == "all_linear"
    assert (made / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "conversations of" in (made / "README.md").read_text()
    assert "/tmp" not in (made / adapters.SETTINGS).read_text().replace(str(tiny), "")


def test_the_model_plays_with_it_merged_or_not(made: Path, tiny: Path) -> None:
    from agent.chat import Chat, Message
    from agent.models.base import Turn
    from envs.perception import ACTIONS
    from tools.actions import action_tools

    tools = [tool.spec() for tool in action_tools(ACTIONS)]

    def surprise(config: LocalModelConfig) -> float | None:
        chat = Chat("go to the red ball", tools)
        chat.add(Message("user", "You see a red ball 2 steps forward.", observed=True))
        return LocalModel(config).decide([Turn(chat, tools)])[0].surprise

    base = LocalModelConfig(name=str(tiny), device="cpu", dtype="float32")
    plain, merged, apart = (
        surprise(base.model_copy(update=update))
        for update in ({}, {"adapter": str(made)}, {"adapter": str(made), "merge": False})
    )
    assert merged == pytest.approx(apart, abs=1e-5)
    assert merged != pytest.approx(plain, abs=1e-7)


@pytest.mark.slow
def test_only_what_is_learnt_is_scored(tiny: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss and the gradient are those of a plain TRL, which scores every token on a CPU."""
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction as Head

    scored: list[int] = []
    forward = Head.forward

    def counted(ctx: Any, hidden: Any, *rest: Any) -> Any:
        scored.append(len(hidden))
        return forward(ctx, hidden, *rest)

    monkeypatch.setattr(Head, "forward", counted)
    asked = (tiny, next(runs.rglob("skills")), tmp_path)
    fast = metrics(train(settings(*asked, "train.steps=2", "name=fast"), silent).folder)
    few = max(scored)
    monkeypatch.setattr("training.qlora.score_learnt_tokens", lambda: None)
    monkeypatch.setattr("trl.trainer.utils._use_triton", lambda _device: False)
    plain = metrics(train(settings(*asked, "train.steps=2", "name=plain"), silent).folder)
    assert few < 400 < max(scored)
    for key in ("loss", "grad_norm"):
        assert [line[key] for line in fast] == pytest.approx([line[key] for line in plain], rel=1e-4)


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_losses(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    config = settings(tiny, runs, tmp_path, "train.steps=8", "train.save_every=3", "lora=all_linear")

    def kill(words: str) -> None:
        if words.startswith("step 5 "):
            raise KilledError

    with pytest.raises(KilledError):
        train(config, kill)
    assert not (config.folder / adapters.WEIGHTS).exists()
    said: list[str] = []
    done = train(config, said.append)
    assert said[0] == "going on from step 3 of 8"
    assert not any("tokens to learn" in words for words in said)
    assert done.steps == 8
    exact = ("step", "loss", "grad_norm", "learning_rate")
    assert [[line[k] for k in exact] for line in metrics(done.folder)] == [
        [line[k] for k in exact] for line in metrics(made)
    ]
    assert adapters.digest(done.folder) == adapters.digest(made)
    card = adapters.card(done.folder)
    again = train(config, silent)  # all was done: nothing is trained again, and its figures stay
    assert (again.steps, again.tokens_per_second) == (8, card["tokens_per_second"])
    assert adapters.card(done.folder) == card
    assert adapters.digest(again.folder) == adapters.digest(made)


@pytest.mark.slow
def test_training_goes_on_from_an_adapter(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    config = settings(tiny, runs, tmp_path, "train.steps=2", f"adapter={made}", "name=more")
    card = adapters.card(train(config, silent).folder)
    assert card["parent"]["name"] == "made"
    assert card["parent"]["sha256"] == adapters.digest(made)
    assert card["parent"]["command"] == adapters.card(made)["command"]
    assert card["settings"]["lora"] == adapters.card(made)["settings"]["lora"]
    assert {"hops", "skills", "maze"} <= set(card["runs"])
    assert len(card["lineage"]) == 2


@pytest.mark.slow
def test_two_dry_steps_of_the_real_model_in_nf4(runs: Path, tmp_path: Path) -> None:
    hops = next(runs.rglob("hops"))
    config = load_train(
        [
            "name=dry",
            f"out={tmp_path}",
            f"data.runs=[{hops}]",
            "dry_run=true",
            "model.load_in_4bit=true",
            "model.seq_len=256",
            "model.max_call_tokens=48",
        ]
    )
    done = train(config, silent)
    assert done.steps == 2
    assert done.loss < 3
    card = adapters.card(done.folder)
    assert card["base"]["name"] == "smollm2-135m"
    assert (done.folder / adapters.WEIGHTS).stat().st_size < 4 << 20


def test_another_training_of_that_name_is_refused(made: Path, tiny: Path, runs: Path) -> None:
    with pytest.raises(TrainConfigError, match=r"another train\.steps: choose another name="):
        train(settings(tiny, runs, made.parent, "train.steps=9", "train.save_every=3", "lora=all_linear"), silent)
    (made.parent / "taken").mkdir()
    (made.parent / "taken" / "letter.txt").write_text("mine")
    with pytest.raises(TrainConfigError, match="holds something else"):
        train(settings(tiny, runs, made.parent, "name=taken"), silent)


@pytest.mark.slow
def test_a_failed_attempt_does_not_take_the_name(made: Path, tiny: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no PEFT adapter|there is no adapter"):
        train(settings(tiny, runs, tmp_path, "adapter=nothing-like-it", "train.steps=1"), silent)
    with pytest.raises(TrainConfigError, match="are less than one batch"):
        train(settings(tiny, runs, tmp_path, "train.batch=64", "train.tokens_per_step=65536"), silent)
    with pytest.raises(TrainConfigError, match=r"tokens_per_step=1000 is less than one batch, \d+ tokens"):
        train(settings(tiny, runs, tmp_path, "train.batch=4", "train.tokens_per_step=1000"), silent)
    said: list[str] = []
    dry = train(settings(tiny, runs, tmp_path, "dry_run=true", "train.steps=2"), said.append)
    assert re.match(r"24 conversations of 3 runs, [\d,]+ tokens to learn of [\d,]+; left out: nothing", said[0])
    assert adapters.card(dry.folder)["dry_run"] is True
    done = train(settings(tiny, runs, tmp_path, "train.steps=2", "train.learning_rate=1e-4"), silent)
    assert adapters.card(done.folder)["dry_run"] is False  # a dry run is not taken for the training
    assert done.loss != dry.loss
    with pytest.raises(TrainConfigError, match=r"another train\.steps"):
        train(settings(tiny, runs, tmp_path, "train.steps=3", "train.learning_rate=1e-4"), silent)


def test_logs_that_changed_are_no_reason_to_train_on_others(tiny: Path, runs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "logs"
    shutil.copytree(next(runs.rglob("skills")), mine / "skills")
    train(settings(tiny, mine, tmp_path, "train.steps=1"), silent)
    shutil.copytree(next(runs.rglob("maze")), mine / "maze")
    with pytest.raises(TrainConfigError, match="the logs have changed since"):
        train(settings(tiny, mine, tmp_path, "train.steps=1"), silent)


@pytest.mark.slow
def test_a_data_set_of_another_tokenizer_or_to_be_filtered_is_told(tiny: Path, runs: Path, tmp_path: Path) -> None:
    rows = train(settings(tiny, runs, tmp_path, "prepare_only=true", "name=rows"), silent).folder
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    words = json.loads((other / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    one, two = list(vocabulary)[5000:5002]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (other / "tokenizer.json").write_text(json.dumps(words))
    asked = (f"data.prepared={rows}", "train.steps=1")
    with pytest.raises(TrainConfigError, match="tokenizer of another model"):
        train(settings(other, runs, tmp_path, *asked), silent)
    with pytest.raises(TrainConfigError, match=r"give data\.exclude, data\.split where it is made"):
        train(settings(tiny, runs, tmp_path, *asked, "data.exclude=[hops]", "data.split=test"), silent)
    with pytest.raises(TrainConfigError, match="train on from it with adapter="):
        train(settings(tiny, runs, tmp_path, *asked, "model.adapter=hippo-135m"), silent)
    with pytest.raises(TrainConfigError, match="is no device"):
        train(settings(tiny, runs, tmp_path, *asked, "model.device=gpu"), silent)
    with pytest.raises(TrainConfigError, match=r"add train\.validate_every"):
        train(settings(tiny, runs, tmp_path, *asked, "data.validate=[courier]"), silent)
    with pytest.raises(ConfigError, match="nosuch"):
        train(settings(tiny, runs, tmp_path, *asked, "data.validate=[nosuch]"), silent)
    assert train(settings(tiny, runs, tmp_path, *asked), silent).steps == 1


def test_no_gpu_is_told(tiny: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = settings(tiny, runs, tmp_path)
    cuda = config.model_copy(update={"model": config.model.model_copy(update={"device": "cuda"})})
    with pytest.raises(TrainConfigError, match="torch finds no GPU"):
        train(cuda, silent)
    assert not config.folder.exists()


def test_a_tokenizer_of_another_model_is_told(tiny: Path, runs: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    other = tmp_path / "other"
    other.mkdir()
    for path in tiny.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.add_tokens([f"<extra{i}>" for i in range(60)])
    tokenizer.save_pretrained(other)
    with pytest.raises(TrainConfigError, match="tokens and the model 49152"):
        train(settings(other, runs, tmp_path), silent)


def test_an_adapter_of_another_model_is_told(made: Path) -> None:
    with pytest.raises(CatalogError, match="was trained on"):
        LocalModel(LocalModelConfig(adapter=str(made), device="cpu"))
    with pytest.raises(CatalogError, match=r"no PEFT adapter|there is no adapter"):
        adapters.resolve("nothing-like-it")


def test_a_loss_that_is_no_number_stops(tmp_path: Path, tiny: Path, runs: Path) -> None:
    from transformers import TrainerControl, TrainerState

    monitor = Monitor(tmp_path, 10, silent, None, settings(tiny, runs, tmp_path).train)
    with pytest.raises(TrainingError, match=r"lower train\.learning_rate"):
        monitor.on_log(None, TrainerState(global_step=3), TrainerControl(), {"loss": float("nan")})


@pytest.mark.parametrize(("shares", "best"), [([0.2, 0.6, 0.5, 0.6], 2.0), ([1.0, 1.0, 0.3, 0.9], 2.0)])
def test_it_stops_when_validation_gets_no_better(
    tmp_path: Path, tiny: Path, runs: Path, shares: Any, best: float
) -> None:
    from transformers import TrainerControl, TrainerState

    schedule = settings(tiny, runs, tmp_path, "train.validate_every=1", "train.patience=2").train
    shares = iter(shares)
    monitor = Monitor(tmp_path, 99, silent, lambda _model: {"maze": next(shares)}, schedule)
    model = load_model(settings(tiny, runs, tmp_path), torch.device("cpu"))
    control = TrainerControl()
    for step in range(1, 5):
        for name, weight in model.named_parameters():
            if "lora_A" in name:
                weight.data.fill_(step)
        monitor.on_step_end(None, TrainerState(global_step=step), control, model=model)
    assert control.should_training_stop
    assert "no better validation for 2 times" in monitor.stopped
    assert monitor.best is not None
    assert {float(w.mean()) for name, w in monitor.best.items() if "lora_A" in name} == {best}
    assert monitor.success == {"maze": max(0.6, monitor._best_score)}
    draw_losses(tmp_path / METRICS, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.slow
def test_validation_plays_with_the_model_in_training(tiny: Path, runs: Path, tmp_path: Path) -> None:
    asked = ("train.steps=2", "train.validate_every=1", "train.validate_worlds=1", "data.validate=[babyai_mixed]")
    done = train(settings(tiny, runs, tmp_path, *asked, "model.max_call_tokens=16"), silent)
    played = [line for line in metrics(done.folder) if "valid/babyai_mixed" in line]
    assert [line["step"] for line in played] == [1, 2]
    assert done.validation == {"babyai_mixed": max(line["valid/babyai_mixed"] for line in played)}
    assert (done.folder / "best.safetensors").is_file()


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="name"):
        load_train([])
    with pytest.raises(ConfigError, match=r"did you mean train\.steps"):
        load_train(["name=a", "train.stepss=3"])
    with pytest.raises(ConfigError, match="greater than"):
        load_train(["name=a", "train.learning_rate=0"])
