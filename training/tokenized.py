"""Logs as a packed data set of tokens on disk, so that memory use does not grow with the logs."""

import hashlib
import json
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from agent.episode_state import AgentConfig
from agent.errors import LogError
from agent.logs.episodes import peek
from agent.logs.files import atomic_write
from agent.logs.log import read_events
from agent.logs.trajectory import logs_in
from agent.models.tokens import ChatTokens
from agent.models.window import Window
from training.config import DataSettings, plain
from training.datasets import transcript
from training.errors import TrainConfigError
from training.selection import refusal
from training.windows import IGNORED, Encoder

CARD = "data.json"
ROW = "row"
FILTERS = ("exclude", "split", "solved", "most_over", "weights", "without")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A packed data set.

    Attributes:
        rows: Hugging Face data set of packed rows with ``input_ids``, ``labels`` and ``seq_lengths``.
        card: Counts of what is in the data set and of what was left out.
    """

    rows: Any
    card: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that windows are made from; it is sent to other processes.

    Attributes:
        tokenizer: Folder of the tokenizer.
        window: The model's window.
        data: Which episodes are taken.
    """

    tokenizer: str
    window: Window
    data: DataSettings


def prepare(source: Source, folder: Path, seed: int, began: bool = False) -> Prepared:
    """Make the data set, or load the existing one if it was made from the same logs and settings.

    Args:
        source: What it is made from.
        folder: Folder that it is kept in.
        seed: Seed of the order of the rows.
        began: Whether a training has begun with the existing data set; then it is not replaced by another.

    Raises:
        LogError: There is no log, or one is damaged.
        TrainConfigError: No episode is left to learn from, or the logs changed after the training had begun.
        RowTooLongError: A message does not fit into the window.
    """
    from datasets import load_from_disk

    if source.data.prepared is not None:
        return load_prepared(source)
    logs = logs_in(source.data.runs)
    mark = _mark(source, logs, seed)
    card_file = folder / CARD
    if card_file.is_file():
        card = json.loads(card_file.read_text())
        if card.get("mark") == mark:
            return Prepared(load_from_disk(str(folder / "rows")), card)
        if began:
            raise TrainConfigError(
                f"the logs have changed since {folder.parent} began to be trained: choose another name= to train on "
                "what is there now"
            )
    shutil.rmtree(folder, ignore_errors=True)
    rows, card = _build(source, logs, folder / "work", seed)
    card |= {"mark": mark, "tokenizer": _tokenizer_digest(source)}
    rows.save_to_disk(str(folder / "rows"))
    shutil.rmtree(folder / "work", ignore_errors=True)
    with atomic_write(card_file) as file:
        json.dump(card, file, indent=1)
    return Prepared(load_from_disk(str(folder / "rows")), card)


def load_prepared(source: Source) -> Prepared:
    """Load the data set that was made before and is named in the settings.

    Raises:
        TrainConfigError: There is none, it was made with another tokenizer, or filters are given for it.
    """
    from datasets import load_from_disk

    folder = source.data.prepared
    assert folder is not None
    if not (folder / CARD).is_file():
        raise TrainConfigError(f"{folder} holds no data set: make one with `hippo train ... prepare_only=true`")
    usual = DataSettings()
    late = [key for key in FILTERS if getattr(source.data, key) != getattr(usual, key)]
    if late:
        names = ", ".join(f"data.{key}" for key in late)
        raise TrainConfigError(f"{folder} is prepared already: give {names} where it is made, with prepare_only=true")
    card = json.loads((folder / CARD).read_text())
    if card.get("tokenizer") not in (None, _tokenizer_digest(source)):
        raise TrainConfigError(f"{folder} was made with the tokenizer of another model: make it again with this model=")
    return Prepared(load_from_disk(str(folder / "rows")), card)


def _tokenizer_digest(source: Source) -> str:
    """Return the digest of the vocabulary and of the chat template."""
    from transformers import AutoTokenizer

    tokens = ChatTokens(tokenizer := AutoTokenizer.from_pretrained(source.tokenizer))
    words = [sorted(tokenizer.get_vocab().items()), tokens.template]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def summary(card: dict[str, Any]) -> str:
    """Describe the content of a data set in one line."""
    left_out = ", ".join(f"{count:,} {why}" for why, count in card["left_out"].items()) or "nothing"
    episodes, learnt, tokens = (sum(card[key].values()) for key in ("taken", "learnt_tokens", "tokens"))
    runs = len(card["runs"])
    return f"{episodes:,} episodes of {runs} runs, {learnt:,} tokens to learn of {tokens:,}; left out: {left_out}"


def _mark(source: Source, logs: Sequence[Path], seed: int) -> str:
    """Return the digest of everything that the data set depends on."""
    words = [
        plain(source.data) | {"workers": 1},
        source.tokenizer,
        source.window.seq_len,
        source.window.max_call_tokens,
        seed,
    ]
    stats = [(str(log), log.stat().st_size, log.stat().st_mtime_ns) for log in logs]
    return hashlib.sha256(json.dumps([words, stats], default=str).encode()).hexdigest()


def _build(source: Source, logs: Sequence[Path], work: Path, seed: int) -> tuple[Any, dict[str, Any]]:
    from datasets import Dataset, concatenate_datasets, disable_progress_bars
    from trl import pack_dataset

    disable_progress_bars()
    work.mkdir(parents=True, exist_ok=True)
    workers = min(source.data.workers, len(logs))
    windows = concatenate_datasets([Dataset.from_file(path) for path in _written(source, logs, work, workers)])
    picked, card = _pick(windows, source.data)
    if not picked:
        left = ", ".join(f"{count} {why}" for why, count in card["left_out"].items())
        raise TrainConfigError(
            f"none of {card['episodes']} episodes can be learnt from ({left}): collect with policy=expert, or change "
            "data.split or data.solved"
        )
    rows = windows.select(picked, indices_cache_file_name=str(work / "picked.arrow"))
    rows = rows.select_columns(["input_ids", "labels"]).shuffle(
        seed=seed, indices_cache_file_name=str(work / "shuffled.arrow")
    )
    options = {"cache_file_name": str(work / "packed.arrow"), "load_from_cache_file": False}
    rows = rows.flatten_indices(cache_file_name=str(work / "flat.arrow"))
    packed = pack_dataset(rows, source.window.seq_len, "bfd", options)
    packed = packed.shuffle(seed=seed, indices_cache_file_name=str(work / "order.arrow"))
    filled = sum(card["tokens"].values()) / (len(packed) * source.window.seq_len)
    return packed, card | {"packed_rows": len(packed), "seq_len": source.window.seq_len, "filled": round(filled, 4)}


def _written(source: Source, logs: Sequence[Path], work: Path, workers: int) -> list[str]:
    """Write the windows of all logs, one Arrow file for each process; return the files."""
    names = list(map(str, logs))
    shards = [names[index::workers] for index in range(workers)]
    files = [str(work / f"windows-{index}.arrow") for index in range(workers)]
    if workers == 1:
        _write(source, shards[0], files[0])
        return files
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            list(pool.map(_write, [source] * workers, shards, files))
        except BrokenProcessPool as error:
            raise TrainConfigError("a process that reads logs was killed: try data.workers=1") from error
    return files


def _write(source: Source, logs: Sequence[str], path: str) -> None:
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    words = dict.fromkeys(("log", "env", "kind", "status", "digest"), Value("string"))
    numbers = dict.fromkeys(("length", "learnt"), Value("int32"))
    features = Features({**words, **numbers, "input_ids": List(Value("int32")), "labels": List(Value("int32"))})
    with ArrowWriter(path=path, features=features, writer_batch_size=256) as writer:
        for example in _examples(source, logs):
            writer.write(example)
        writer.finalize()


def _examples(source: Source, logs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the windows of logs; a log that is left out yields one row without tokens, with the reason as status."""
    from transformers import AutoTokenizer

    encoder = Encoder(ChatTokens(AutoTokenizer.from_pretrained(source.tokenizer)), source.window, source.data.without)
    for name in logs:
        log = Path(name)
        episode = peek(log)
        reason = refusal(episode, source.data.split, source.data.solved)
        if episode is None or reason == "unfinished":
            yield _nothing(name, "unfinished")
            continue
        about = {"log": name, "env": episode.start.env, "kind": episode.start.kind}
        if {f"env:{episode.start.env}", log.parent.parent.name, str(log.parent.parent)} & {*source.data.exclude}:
            yield _nothing(name, "excluded") | {"env": episode.start.env}
        elif reason is not None:
            yield _nothing(name, reason)
        elif source.data.most_over and (episode.over_optimal or 1.0) > source.data.most_over:
            yield _nothing(name, "too long a way")
        else:
            events = read_events(log)
            longest = _result_limit(log.parent.parent)
            conversation = json.dumps([episode.start.mission, [m.content for m in transcript(events, longest)]])
            digest = hashlib.sha256(conversation.encode()).hexdigest()
            examples = list(encoder.windows(events, longest)) if encoder.learns(events) else []
            if not examples:
                yield _nothing(name, "nothing to learn")
            for example in examples:
                yield about | {
                    "status": ROW,
                    "digest": digest,
                    "input_ids": example.input_ids,
                    "labels": example.labels,
                    "length": len(example.input_ids),
                    "learnt": sum(label != IGNORED for label in example.labels),
                }


@cache
def _result_limit(run: Path) -> int:
    """Return the greatest length, in characters, at which a run shows a tool result: its ``agent.max_result``."""
    try:
        longest: int = json.loads((run / "run.json").read_text(encoding="utf-8"))["config"]["agent"]["max_result"]
    except (OSError, ValueError, KeyError):
        return AgentConfig().max_result
    return longest


def _nothing(log: str, status: str) -> dict[str, Any]:
    return {
        "log": log,
        "env": "",
        "kind": "",
        "status": status,
        "digest": "",
        "input_ids": [],
        "labels": [],
        "length": 0,
        "learnt": 0,
    }


def _pick(every: Any, data: DataSettings) -> tuple[list[int], dict[str, Any]]:
    """Pick the rows, each episode as often as its weight says, and make the card of the data set."""
    owners: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    episodes: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    learnt: Counter[str] = Counter()
    logs: dict[str, None] = {}
    doubles: set[str] = set()
    picked: list[int] = []
    met: set[str] = set()
    columns = every.select_columns(["log", "env", "kind", "status", "digest", "length", "learnt"])
    for index, row in enumerate(columns):
        folder = Path(row["log"]).parent.parent
        met |= {f"env:{row['env']}", folder.name, str(folder)}
        if row["status"] != ROW:
            left_out[row["status"]] += 1
            continue
        owner = owners.setdefault(row["digest"], row["log"])
        if owner != row["log"]:
            left_out["doubles"] += row["log"] not in doubles
            doubles.add(row["log"])
            continue
        times = _times(row["digest"], data.weight(row["env"]))
        if not times:
            left_out["by weight"] += row["log"] not in logs
            logs[row["log"]] = None
            continue
        key = f"{row['env']} {row['kind']}".strip()
        episodes[key] += row["log"] not in logs
        logs[row["log"]] = None
        tokens[row["env"]] += times * row["length"]
        learnt[row["env"]] += times * row["learnt"]
        picked += [index] * times
    unmet = [name for name in data.exclude if name not in met]
    unmet += [part for part in data.weights if not any(part.lower() in name.lower() for name in met)]
    if unmet:
        raise TrainConfigError(
            f"data.exclude or data.weights names {', '.join(unmet)}, and no log is of that: there are "
            f"{', '.join(sorted(name for name in met if name.startswith('env:') and name != 'env:'))}"
        )
    card = {
        "split": data.split,
        "episodes": sum(episodes.values()) + sum(left_out.values()),
        "taken": dict(sorted(episodes.items())),
        "left_out": dict(left_out),
        "tokens": dict(tokens),
        "learnt_tokens": dict(learnt),
        "weights": data.weights,
        "without": data.without,
        "sources": sorted({f"env:{row['env']}" for row in columns.select(picked)}) if picked else [],
        "runs": sorted({Path(log).parent.parent.name for log in logs}),
        "sha256": hashlib.sha256("".join(sorted(owners)).encode()).hexdigest(),
    }
    return picked, card


def _times(digest: str, weight: float) -> int:
    """Return how often an episode is taken.

    The fractional part of the weight is drawn by the content, so that it is the same in every training.
    """
    rest = weight % 1
    return int(weight) + (int(np.frombuffer(bytes.fromhex(digest[:16]), np.uint64)[0]) < rest * 2.0**64)


def check_runs(runs: Sequence[Path]) -> None:
    """Check that runs are named and that they exist.

    Raises:
        LogError: No runs are named, or one does not exist.
    """
    if not runs:
        raise LogError("name what to learn from: data.runs=[runs/2026-11-22/skills]; `hippo collect` makes some")
    for run in runs:
        if not run.exists():
            raise LogError(f"there is no run at {run}: see `hippo episodes list runs/*/*`")
