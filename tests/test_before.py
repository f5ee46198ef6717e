"""What the release before made is opened, replayed, undone, resumed and played.

``data/before.tar.gz`` was made by release 0.1.0 as it was before the packages were rearranged: a memory with a
forgetting that can be undone and a macro, runs and collections, an adapter of a tiny model, an evaluation.
"""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import load_collect
from agent.hub import adapters
from agent.logs.episodes import Filter, logged
from agent.logs.events import INGESTION, Returned, Start
from agent.logs.log import read_events
from agent.logs.manifest import read
from agent.logs.verify_log import verify_log
from agent.rollout.collect import Collection
from envs import make, seeds_of
from eval.summary import read_run
from memory import HashingEmbedder, Memory
from training.datasets import row_of, transcript

Cli = Callable[..., tuple[int, str, str]]
DAY = "2026-11-28"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(Path(__file__).parent / "data" / "before.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "before"


@pytest.fixture
def before(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "before"))


def test_a_memory_is_opened_and_its_forgetting_undone(before: Path) -> None:
    with Memory.open(before / "memory", HashingEmbedder()) as memory:
        assert memory.stats() == {"traces": 1, "facts": 1, "places": 6, "macros": 1}
        assert memory.verify().ok
        assert memory.episodic.recall("the silver lamp", 3)[0].trace.key == "Bo fed the grey horse"
        assert memory.undo().returned == {"traces": 1, "facts": 3}
        assert memory.episodic.recall("the silver lamp", 1)[0].trace.key == "Ada hid the silver lamp in the attic"
        told = [(fact.tail, fact.valid_to is None) for fact in memory.relational.history("Ada", "lives_in")]
        assert told == [("rome", False), ("paris", True)]
        assert [str(fact) for fact in memory.relational.ask("Ada Lovelace", 1)] == ["ada lives in paris"]
        memory.spatial.stand("cellar")
        assert memory.spatial.plan("ball").hint == "ball: toggle, forward (2 steps)"
        assert memory.verify().ok


def test_its_macro_is_suggested_and_run(before: Path, cli: Cli, tmp_path: Path) -> None:
    assert "accepted" in cli("macros", "show", str(before / "memory"), "go_to")[1]
    code, out, _ = cli(
        "run",
        "model=script",
        "model.macros=true",
        "env=BabyAI-GoToLocal-v0",
        "seed=900",
        "episodes=1",
        "-q",
        "--json",
        "memory.embedder=hashing",
        f"memory.macros={before / 'memory'}",
        f"runs={tmp_path / 'new'}",
    )
    assert code == 0
    (episode,) = json.loads(out)["episodes"]
    assert episode["success"]
    assert episode["tool_calls"] == {"run_macro": 1}


def test_its_logs_are_read_and_played_again(before: Path) -> None:
    logs = sorted((before / "runs" / DAY).rglob("events.jsonl"))
    assert len(logs) == 10
    for log in logs:
        assert verify_log(log, make).difference == ""
        events = read_events(log)
        assert row_of(events)["messages"]
        assert all(event.shown is None for event in events if isinstance(event, Returned))


def test_what_was_shown_is_cut_as_it_was(before: Path) -> None:
    events = read_events(before / "runs" / DAY / "maze" / "000000" / "events.jsonl")
    longest = max(len(event.text) for event in events if isinstance(event, Returned) and event.status == "ok")
    whole, cut = transcript(events, longest + 20), transcript(events, longest - 1)
    changed = [(a.content, b.content) for a, b in zip(whole, cut, strict=True) if a != b]
    assert changed
    assert all(b == f"{a[: longest - 1]}…" for a, b in changed)


def test_its_kinds_have_todays_names(before: Path) -> None:
    run = before / "runs" / DAY / "events"
    assert '"kind":"listening"' in (run / "000000" / "events.jsonl").read_text()
    assert {row["kind"] for row in read(run / "episodes.jsonl")} >= {INGESTION}
    starts = [read_events(log)[0] for log in sorted(run.rglob("events.jsonl"))]
    assert next(s.kind for s in starts if isinstance(s, Start)) == INGESTION
    assert len([one for one in logged([run]) if Filter(kind="listening").takes(one)]) == 1


@pytest.mark.parametrize("name", ["events", "maze"])
def test_its_collections_are_resumed(before: Path, name: str) -> None:
    config = json.loads((before / "runs" / DAY / name / "run.json").read_text())["config"]
    asked = [f"env={'episodic_qa' if name == 'events' else 'water_maze'}", "memory.embedder=hashing", "workers=1"]
    asked += [f"episodes={config['episodes'] + 2}", f"name={name}", f"runs={before / 'runs'}"]
    asked += ["window=true"] if config["window"] else []
    collection = Collection(load_collect(asked), seeds_of("train"), make)
    assert collection.folder == before / "runs" / DAY / name
    kept = len(collection.rows)
    collection.run()
    assert len(collection.rows) == config["episodes"] + 2 > kept


def test_its_adapter_is_checked_and_played(before: Path, tmp_path: Path) -> None:
    from agent.models.local import LocalModel, LocalModelConfig
    from tests.training.conftest import write_tiny

    write_tiny(tmp_path / "tiny-llama")
    made = before / "adapters" / "made"
    adapters.check(made, tmp_path / "tiny-llama")
    model = LocalModel(LocalModelConfig(name=str(tmp_path / "tiny-llama"), adapter=str(made), device="cpu"))
    assert model.describe()["adapter_sha256"] == adapters.card(made)["sha256"]


def test_its_evaluation_is_read_and_compared(before: Path, cli: Cli) -> None:
    folder = before / "eval" / "evaluation"
    summary, records = read_run(folder)
    assert {record["kind"] for record in records} >= {"full cue"} or records
    assert all("ingestion_flops" in record for record in records)
    assert summary["arms"]["expert"]["success"] == 1.0
