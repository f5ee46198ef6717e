"""The write gate compared with other ways to spend the same number of writes.

::

    python -m eval.bench.gate --streams 20 --json --plot docs/img/gate.png

A stream is a day of 400 events told in sentences: errands that repeat with small variations, and one
event in ten that later questions ask about. The words of an event do not mark it as important. As in the
environments, an important event is unusual (a surprise in a familiar setting), new, or rewarded. Some
unusual or rewarded events are never asked about, some plain ones are, and every stream has noise (random
words) that is surprising and new but never important. Each way writes as many events as our gate does;
precision and recall are measured against the events that the questions need.

Surprise is that of the real model with the stream so far as context; novelty is relative to what was
written. Training streams (other seeds, names and errands) are used to calibrate weights and threshold.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eval.plots import bars
from eval.probes.stories import ADJECTIVES, NAMES, ROOMS, SIDES, THINGS, VERBS
from eval.statistics import bootstrap_ci, paired_difference
from memory import Embedder, MiniLMEmbedder
from memory.episodic import WriteGate

EVENTS = 400
TRAIN, TEST = 1000, 2000
ERRANDS = (
    "waters the plants", "sweeps the floor", "feeds the cat", "makes some tea", "reads the news", "locks the door",
    "takes out the bins", "checks the post", "sets the table", "winds the clock", "opens a window", "folds the laundry",
)  # fmt: skip

Floats = NDArray[np.float64]


@dataclass
class Stream:
    """One day.

    Attributes:
        sentences: What happens, in order.
        rewards: What it was worth, in [0, 1].
        needed: What questions will ask about.
    """

    sentences: list[str]
    rewards: Floats
    needed: NDArray[np.bool_]


def stream(seed: int, half: int) -> Stream:
    """Draw a day; ``half`` 0 or 1 picks which names, errands and things it is made of."""
    rng = np.random.default_rng(seed)

    def pick(options: Sequence[str]) -> str:
        choices = list(options)[half::2]
        return choices[rng.integers(len(choices))]

    people = [pick(NAMES) for _ in range(4)]
    routine = [f"{people[rng.integers(4)]} {pick(ERRANDS)} in the {pick(list(ROOMS))}." for _ in range(24)]
    kinds = ["unusual"] * 18 + ["new"] * 10 + ["rewarded"] * 8 + ["plain needed"] * 4
    kinds += ["noise"] * 16 + ["idle unusual"] * 8 + ["idle reward"] * 4
    kinds += ["routine"] * (EVENTS - len(kinds))
    sentences, rewards, needed = [], [], []
    for number in rng.permutation(EVENTS):
        kind = kinds[number]
        plain = routine[rng.integers(len(routine))]
        odd = (
            f"{people[rng.integers(4)]} {pick(list(VERBS))} a {pick(ADJECTIVES)} {pick(list(THINGS))}"
            f" in the {pick(SIDES)} {pick(list(ROOMS))}."
        )
        new = f"{pick(NAMES)} {pick(NAMES)} arrives with a {pick(ADJECTIVES)} {pick(list(THINGS))}."
        noise = " ".join(pick([*ADJECTIVES, *THINGS, *ROOMS]) for _ in range(7)) + "."
        sentences.append({"unusual": odd, "idle unusual": odd, "new": new, "noise": noise}.get(kind, plain))
        rewards.append(rng.uniform(0.3, 1.0) if kind in ("rewarded", "idle reward") else 0.0)
        needed.append(kind in ("unusual", "new", "rewarded", "plain needed"))
    return Stream(sentences, np.array(rewards), np.array(needed))


class Surprise:
    """The language model's surprise at each sentence, given the ones before."""

    def __init__(self, window: int = 512) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        from agent.hub import catalog

        logging.disable_progress_bar()
        path = catalog.fetch("smollm2-135m")
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
        self.window = window

    def __call__(self, sentences: Sequence[str]) -> Floats:
        """``1 - exp(-mean(-log p))`` of each sentence's tokens, ``[len(sentences)]``."""
        import torch

        tokens = [self.tokenizer.encode(" " + s, add_special_tokens=False) for s in sentences]
        surprises = np.zeros(len(sentences))
        start = 0
        while start < len(tokens):
            # Half a window of what came before, then as many sentences as fit.
            context: list[int] = [t for s in tokens[:start] for t in s][-self.window // 2 :]
            ids, spans, stop = context or [self.tokenizer.bos_token_id or 0], [], start
            while stop < len(tokens) and len(ids) + len(tokens[stop]) <= self.window:
                spans.append((len(ids), len(ids) + len(tokens[stop])))
                ids = ids + tokens[stop]
                stop += 1
            with torch.inference_mode():
                logits = self.model(torch.tensor([ids])).logits[0, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
            for number, (a, b) in enumerate(spans):
                surprises[start + number] = 1 - float(torch.exp(-losses[a - 1 : b - 1].mean()))
            start = stop
        return surprises


@dataclass
class Signals:
    """A stream as the gate sees it: embedded keys, surprise, reward."""

    stream: Stream
    vectors: NDArray[np.float32]
    surprise: Floats


def run_gate(gate: WriteGate, signals: Signals) -> NDArray[np.bool_]:
    """Which events the gate writes, one after the other; novelty is against those already written."""
    written = np.zeros(len(signals.vectors), bool)
    for number, vector in enumerate(signals.vectors):
        known = signals.vectors[written]
        novelty = float(np.clip(1 - (known @ vector).max(), 0, 1)) if len(known) else 1.0
        score = gate.score(
            surprise=float(signals.surprise[number]), novelty=novelty, reward=float(signals.stream.rewards[number])
        )
        written[number] = gate.opens(score)
    return written


def precision_recall(written: NDArray[np.bool_], needed: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of the writes that were needed, and of the needed that were written."""
    both = float((written & needed).sum())
    return both / max(1, int(written.sum())), both / int(needed.sum())


def f1(written: NDArray[np.bool_], needed: NDArray[np.bool_]) -> float:
    """Harmonic mean of the two."""
    precision, recall = precision_recall(written, needed)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def calibrate(training: Sequence[Signals]) -> tuple[WriteGate, float]:
    """The weights and threshold with the best mean F1 on training streams."""
    best, best_score = WriteGate(), -1.0
    for alpha, beta, gamma, tau in product(
        (0.0, 0.3, 0.5, 0.7, 1.0), (0.0, 0.15, 0.3, 0.5, 0.7), (0.5, 1.0), (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    ):
        gate = WriteGate(alpha=alpha, beta=beta, gamma=gamma, tau=tau)
        score = float(np.mean([f1(run_gate(gate, s), s.stream.needed) for s in training]))
        if score > best_score:
            best, best_score = gate, score
    return best, best_score


def rivals(signals: Signals, budget: int, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Other ways to write ``budget`` events; those by one signal alone see the whole stream first."""
    count = len(signals.vectors)

    def top(scores: Floats) -> NDArray[np.bool_]:
        chosen = np.zeros(count, bool)
        chosen[np.argsort(-scores, kind="stable")[:budget]] = True
        return chosen

    def novelty() -> Floats:
        seen = signals.vectors @ signals.vectors.T
        return np.array([1.0] + [1 - float(seen[i, :i].max()) for i in range(1, count)])

    return {
        "random": top(np.random.default_rng(seed).random(count)),
        "recency": top(np.arange(count, dtype=np.float64)),
        "surprise only": top(signals.surprise),
        "novelty only": top(novelty()),
        "reward only": top(signals.stream.rewards),
    }


def observe(seeds: Sequence[int], half: int, surprise: Surprise, embedder: Embedder) -> list[Signals]:
    """Draw streams and compute what the gate sees of them."""
    signals = []
    for seed in seeds:
        day = stream(seed, half)
        signals.append(Signals(day, embedder.embed(day.sentences), surprise(day.sentences)))
    return signals


def measure(streams: int) -> dict[str, Any]:
    """Calibrate on training streams, compare on test streams; returns the figures."""
    surprise, embedder = Surprise(), MiniLMEmbedder(cache_size=50_000)
    training = observe(range(TRAIN, TRAIN + max(4, streams // 2)), 0, surprise, embedder)
    tuned, training_f1 = calibrate(training)
    test = observe(range(TEST, TEST + streams), 1, surprise, embedder)
    results: dict[str, list[tuple[float, float]]] = {}
    budgets = []
    for number, signals in enumerate(test):
        written = run_gate(WriteGate(), signals)
        budgets.append(int(written.sum()))
        arms = {"gate": written, **rivals(signals, budgets[-1], number)}
        for name, chosen in arms.items():
            results.setdefault(name, []).append(precision_recall(chosen, signals.stream.needed))
    columns = {name: np.array(values) for name, values in results.items()}
    tuned_pr = np.array([precision_recall(run_gate(tuned, s), s.stream.needed) for s in test])
    return {
        "streams": streams,
        "events": EVENTS,
        "needed": int(np.mean([s.stream.needed.sum() for s in test])),
        "writes": float(np.mean(budgets)),
        "surprise_median": float(np.median(np.concatenate([s.surprise for s in test]))),
        "gate": WriteGate().model_dump(),
        "calibrated": tuned.model_dump(),
        "calibrated_f1_training": training_f1,
        "default_f1_training": float(np.mean([f1(run_gate(WriteGate(), s), s.stream.needed) for s in training])),
        "calibrated_test": {"precision": float(tuned_pr[:, 0].mean()), "recall": float(tuned_pr[:, 1].mean())},
        "arms": {
            name: {
                what: {"mean": float(x[:, i].mean()), "ci95": bootstrap_ci(x[:, i])}
                for i, what in enumerate(("precision", "recall"))
            }
            for name, x in columns.items()
        },
        "gate_over": {
            name: paired_difference(columns["gate"][:, 1], x[:, 1]) for name, x in columns.items() if name != "gate"
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20, help="test streams")
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    figures = measure(options.streams)
    print("| | precision | recall |\n| --- | ---: | ---: |")
    for name, arm in figures["arms"].items():
        cells = [f"{v['mean']:.3f} ({v['ci95'][0]:.3f} to {v['ci95'][1]:.3f})" for v in arm.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name in ("writes", "needed", "gate", "calibrated", "calibrated_f1_training", "default_f1_training"):
        print(f"{name}: {figures[name]}")
    if options.plot:
        points = {
            name: {what: (v["mean"], *cast("tuple[float, float]", v["ci95"])) for what, v in arm.items()}
            for name, arm in figures["arms"].items()
        }
        title = f"{figures['writes']:.0f} writes a stream of {EVENTS} events, {figures['needed']} of them needed"
        bars(options.plot, points, title, "share, 95 % interval")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
