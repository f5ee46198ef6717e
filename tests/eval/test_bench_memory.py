"""The memory's benchmarks measure what they say, in small."""

import json

import numpy as np
import pytest

from eval.bench import cues, gate
from eval.bench import replay_queue as replay
from eval.bench.recall import World, overlap, sentences
from eval.bench.vectors import Mixture, spread
from eval.probes.stories import Cues, stories
from memory import HashingEmbedder
from memory.episodic import WriteGate


def test_cues_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    cues.main(["--cues", "20", "--distractors", "100", "--embedder", "hashing", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["traces"] == 120
    found = {name: kinds["two slots"]["mean"] for name, kinds in figures["recall@1"].items()}
    assert found["hybrid"] >= 0.95
    assert len(found) == 6
    assert figures["n"]["two slots"] == 20


def test_a_cue_means_one_story() -> None:
    told = stories(300, seed=1)
    maker, rng = Cues(told), np.random.default_rng(0)
    assert len({story.sentence for story in told}) == 300
    for story in told:
        pair = maker.two_slots(story, rng)
        if pair is not None:
            fitting = [s for s in told if all(s.slots[name] == value for name, value in pair.items())]
            assert fitting == [story]


def test_exact_neighbours_are_exact() -> None:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((300, 16)).astype(np.float32)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    mixture = Mixture.fit(real)
    world = World(mixture, 700, mixture.centres(20, seed=1))
    rows = np.concatenate(list(world.chunks()))
    asked = world.cues(9)
    true = world.nearest(asked)
    assert true.tolist() == np.argsort(-(asked @ rows.T), axis=1)[:, :8].tolist()
    assert overlap(true.tolist(), true) == [1.0] * 9
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert spread(rows)["nearest"] > spread(rows)["any"]
    assert len({event.digest for event in sentences(50, 0) + sentences(50, 50)}) == 100


def test_streams_need_a_tenth_and_share_nothing_between_halves() -> None:
    train, test = gate.stream(1, half=0), gate.stream(1, half=1)
    assert train.needed.sum() == test.needed.sum() == gate.EVENTS // 10
    assert len(train.sentences) == gate.EVENTS
    assert not {s.split()[0] for s in train.sentences if s[0].isupper()} & {
        s.split()[0] for s in test.sentences if s[0].isupper()
    }
    vectors = np.eye(gate.EVENTS, dtype=np.float32)
    signals = gate.Signals(train, vectors, np.zeros(gate.EVENTS))
    written = gate.run_gate(WriteGate(), signals)
    assert written.all()  # nothing is like anything
    for name, chosen in gate.rivals(signals, 40, seed=0).items():
        assert chosen.sum() == 40, name
    assert gate.precision_recall(train.needed, train.needed) == (1.0, 1.0)
    assert gate.f1(~train.needed, train.needed) == 0.0


def test_the_replay_scheduler_prefers_high_scores_and_interleaves() -> None:
    ways = replay.measure(3, HashingEmbedder())["ways"]
    means = {name: {key: one["mean"] for key, one in found.items()} for name, found in ways.items()}
    whole, even = means["the scheduler (default)"], means["without it: even draws"]
    assert whole["high_first"] > means["without priorities"]["high_first"]
    assert (whole["old"], means["without interleaving"]["old"]) == (0.5, 0.0)
    assert 0.2 < even["old"] < 0.5
