from pathlib import Path

import pytest

from agent import ConfigError
from agent.config import GROUPS, choices, load
from agent.models.local import LocalModelConfig
from memory.episodic import RecallConfig, Retention, WriteGate
from training.config import load_train


def test_defaults() -> None:
    config = load()
    assert (config.model.kind, config.env.id, config.episodes) == ("local", "hippo/WaterMaze-v0", 2)
    assert config.memory.tools == ["find", "plan_route", "explore", "where_is", "suggest_macro", "run_macro"]
    every = load(["env=BabyAI-GoToLocal-v0"]).memory.tools
    assert every == ["recall", "remember", "ask_graph", "tell", *config.memory.tools]


def test_the_files_say_what_the_classes_say() -> None:
    memory = load().memory
    assert (memory.gate, memory.recall, memory.retention) == (WriteGate(), RecallConfig(), Retention())
    assert load(["memory.recall.keys=sparse", "memory.retention.max_traces=9"]).memory.retention.max_traces == 9
    with pytest.raises(ConfigError, match=r"memory\.recall\.dg"):
        load(["memory.recall.dg.k=9999"])
    fields = LocalModelConfig().model_dump()
    assert load([f"model.{name}={'null' if value is None else value}" for name, value in fields.items()])
    assert load(["model.extractive=false"]).model.model_dump()["extractive"] is False


def test_overrides_and_groups() -> None:
    config = load(["memory=none", "model=llama32-3b", "env.kwargs.size=9", "seed=4", "memory.gate.tau=0.5"])
    assert not config.memory.enabled
    assert config.model.kind == "local"
    assert config.model.load_in_4bit
    assert (config.env.kwargs["size"], config.seed, config.memory.gate.tau) == (9, 4, 0.5)


def test_ids_and_folders_are_choices_too(tmp_path: Path) -> None:
    assert load(["env=BabyAI-GoToObj-v0"]).env.id == "BabyAI-GoToObj-v0"
    assert load(["env=gym:hippo/WaterMaze-v0"]).env.id == "hippo/WaterMaze-v0"
    chosen = load([f"model={tmp_path}"]).model
    assert chosen.kind == "local"
    assert chosen.name == str(tmp_path)


@pytest.mark.parametrize("group", [g for g in GROUPS if g != "env"])
def test_every_choice_composes(group: str) -> None:
    for name in choices(group):
        if group in ("lora", "train", "data"):
            assert load_train([f"{group}={name}", "name=a"])
        else:
            assert load([f"{group}={name}"])


def test_experiments_choose_one_memory() -> None:
    spatial = ["find", "plan_route", "explore", "where_is", "suggest_macro", "run_macro"]
    assert load(["experiment=smpd"]).memory.tools == spatial
    assert load(["experiment=hei_nw"]).memory.tools == ["recall", "remember"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("episode=3", "unknown setting 'episode': did you mean episodes"),
        ("env=watermaze", "unknown env 'watermaze': did you mean water_maze"),
        ("model=gpt", "unknown model 'gpt': expected one of"),
        ("env.kwargs.sise=9", "did you mean env.kwargs.size"),
        ("memory.gate.tao=1", "did you mean memory.gate.tau"),
        ("episodes=0", "episodes: input should be greater than or equal to 1, got 0"),
        ("model.dtype=int3", "model.dtype"),
        ("episodes", "expected key=value"),
        ("env=gym", "env.id"),
    ],
)
def test_mistakes_are_one_line_with_a_hint(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
