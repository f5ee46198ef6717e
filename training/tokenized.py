"""Logs and rows as a packed data set of tokens on disk, so that memory use does not grow with them."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.logs.files import atomic_write
from agent.models.tokens import ChatTokens
from training.config import DataSettings, plain
from training.errors import TrainConfigError
from training.examples import ROW, TOO_LONG, Source, written
from training.row_files import inputs

CARD = "data.json"
MOST_TOOLS = 256
"""Most tools of rows that a card keeps."""
FILTERS = (
    "exclude", "split", "solved", "most_over", "weights", "without", "eval_runs", "eval_share",
)  # fmt: skip
ROWS, HELD_OUT = "rows", "held_out"
"""Folders of the packed rows that are learnt and of those on which only the loss is measured."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A packed data set.

    Attributes:
        rows: Hugging Face data set of packed rows with ``input_ids``, ``labels`` and ``seq_lengths``.
        card: Counts of what is in the data set and of what was left out.
        held_out: Rows of the same form that are not learnt, to measure the loss on; ``None`` if there are none.
    """

    rows: Any
    card: dict[str, Any]
    held_out: Any = None


def _loaded(folder: Path, card: dict[str, Any]) -> Prepared:
    from datasets import load_from_disk

    rows, held = (load_from_disk(str(path)) if path.is_dir() else None for path in (folder / ROWS, folder / HELD_OUT))
    return Prepared(rows, card, held)


def prepare(source: Source, folder: Path, seed: int, began: bool = False) -> Prepared:
    """Make the data set, or load the existing one if it was made from the same logs and settings.

    Args:
        source: What it is made from.
        folder: Folder that it is kept in.
        seed: Seed of the order of the rows.
        began: Whether a training has begun with the existing data set; then it is not replaced by another.

    Raises:
        LogError: There is no log, or one is damaged.
        TrainConfigError: No episode is left to learn from, a row has another form, or the logs changed after the
            training had begun.
        RowTooLongError: A message of a log does not fit into the window.
    """
    if source.data.prepared is not None:
        return load_prepared(source)
    mark = _mark(source, seed)
    card_file = folder / CARD
    if card_file.is_file():
        card = json.loads(card_file.read_text())
        if card.get("mark") == mark:
            return _loaded(folder, card)
        if began:
            raise TrainConfigError(
                f"the logs have changed since {folder.parent} began to be trained: choose another name= to train on "
                "what is there now"
            )
    shutil.rmtree(folder, ignore_errors=True)
    made = _build(source, folder / "work", seed)
    card = made.card | {"mark": mark, "tokenizer": _tokenizer_digest(source)}
    made.rows.save_to_disk(str(folder / ROWS))
    if made.held_out is not None:
        made.held_out.save_to_disk(str(folder / HELD_OUT))
    shutil.rmtree(folder / "work", ignore_errors=True)
    with atomic_write(card_file) as file:
        json.dump(card, file, indent=1)
    return _loaded(folder, card)


def load_prepared(source: Source) -> Prepared:
    """Load the data set that was made before and is named in the settings.

    Raises:
        TrainConfigError: There is none, it was made with another tokenizer, or filters are given for it.
    """
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
    return _loaded(folder, card)


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
    strange = card.get("unlisted", {})
    calls = ", ".join(f"{name} ({count})" for name, count in sorted(strange.items(), key=lambda one: -one[1])[:5])
    warning = f"; calls of tools that their conversations do not list: {calls}" if strange else ""
    held = card.get("held_out")
    loss = f"; the loss is measured on {held['episodes']:,} others" if held else ""
    counted = f"{episodes:,} conversations of {runs} run{'s' * (runs != 1)}"
    return f"{counted}, {learnt:,} tokens to learn of {tokens:,}; left out: {left_out}{loss}{warning}"


def _mark(source: Source, seed: int) -> str:
    """Return the digest of everything that the data set depends on."""
    words = [
        plain(source.data) | {"workers": 1},
        source.tokenizer,
        source.window.seq_len,
        source.window.max_call_tokens,
        seed,
    ]
    read = [
        path for runs in (source.data.runs, source.data.eval_runs) if runs for part in inputs(runs) for path in part
    ]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in read]
    return hashlib.sha256(json.dumps([words, stats], default=str).encode()).hexdigest()


def _build(source: Source, work: Path, seed: int) -> Prepared:
    windows = _windows(source, work / "learnt")
    picked = _pick(windows, source.data)
    if not picked.learnt:
        raise TrainConfigError(_nothing_left(source, picked.card))
    packed = _packed(source, windows, picked.learnt, work / "learnt", seed)
    filled = sum(picked.card["tokens"].values()) / (len(packed) * source.window.seq_len)
    card = picked.card | {
        "packed_rows": len(packed), "seq_len": source.window.seq_len, "filled": round(filled, 4),
    }  # fmt: skip
    if source.data.eval_runs:
        other = source.data.model_copy(
            update={"runs": source.data.eval_runs, "split": "validation", "weights": {}, "exclude": []}
        )
        held_source = replace(source, data=other)
        windows = _windows(held_source, work / "held")
        held = _pick(windows, other, known=picked.digests)
        if not held.learnt:
            left = ", ".join(f"{count} {why}" for why, count in held.card["left_out"].items())
            raise TrainConfigError(
                f"the loss can be measured on none of {held.card['episodes']} episodes of data.eval_runs ({left}): "
                "name others, or collect some with split=validation"
            )
        indexes = held.learnt
    else:
        indexes = picked.held
    if not indexes:
        return Prepared(packed, card)
    rows = _packed(source, windows, indexes, work / "held", seed)
    logs = set(windows.select_columns(["log"]).select(indexes)["log"])
    tokens = sum(windows.select_columns(["learnt"]).select(indexes)["learnt"])
    card["held_out"] = {"episodes": len(logs), "learnt_tokens": tokens, "packed_rows": len(rows)}
    return Prepared(packed, card, rows)


def _windows(source: Source, work: Path) -> Any:
    """Write the windows of everything named, and open them as one data set."""
    from datasets import Dataset, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    work.mkdir(parents=True, exist_ok=True)
    logs, files = inputs(source.data.runs)
    return concatenate_datasets([Dataset.from_file(path) for path in written(source, logs, files, work)])


def _packed(source: Source, windows: Any, picked: Sequence[int], work: Path, seed: int) -> Any:
    """Pack the picked windows into full rows, in an order that the seed gives."""
    from trl import pack_dataset

    work.mkdir(parents=True, exist_ok=True)
    rows = windows.select(picked, indices_cache_file_name=str(work / "picked.arrow"))
    rows = rows.select_columns(["input_ids", "labels"]).shuffle(
        seed=seed, indices_cache_file_name=str(work / "shuffled.arrow")
    )
    options = {"cache_file_name": str(work / "packed.arrow"), "load_from_cache_file": False}
    rows = rows.flatten_indices(cache_file_name=str(work / "flat.arrow"))
    packed = pack_dataset(rows, source.window.seq_len, "bfd", options)
    return packed.shuffle(seed=seed, indices_cache_file_name=str(work / "order.arrow"))


@dataclass(frozen=True, slots=True)
class _Picked:
    """Which windows are learnt (as often as they stand here), which are held out, and the card of the data set."""

    learnt: list[int]
    held: list[int]
    digests: frozenset[str]
    card: dict[str, Any]


def _pick(every: Any, data: DataSettings, known: Collection[str] = ()) -> _Picked:
    """Pick the windows, each episode as often as its weight says; those of known conversations are left out.

    What is held out is drawn by worlds, so that no visit of a world is learnt of which another is held out.
    """
    owners: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    episodes: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    learnt: Counter[str] = Counter()
    logs: dict[str, str] = {}
    doubles: set[str] = set()
    picked: list[int] = []
    held: list[int] = []
    met: set[str] = set()
    columns = every.select_columns([name for name in every.column_names if name not in ("input_ids", "labels")])
    aside = _held_out(columns, data.eval_share)
    for index, row in enumerate(columns):
        met |= {_source(row), Path(row["run"]).name, row["run"]}
        if row["status"] != ROW:
            left_out[row["status"]] += 1
            continue
        owner = owners.setdefault(row["digest"], row["log"])
        if owner != row["log"]:
            left_out["doubles"] += row["log"] not in doubles
            doubles.add(row["log"])
            continue
        if row["digest"] in known:
            left_out["learnt as well"] += row["log"] not in logs
            logs[row["log"]] = ""
            continue
        if _world(row) in aside:
            held.append(index)
            continue
        times = _times(row["digest"], data.weight(row["env"]))
        if not times:
            left_out["by weight"] += row["log"] not in logs
            logs[row["log"]] = row["run"]
            continue
        key = f"{row['env']} {row['kind']}".strip()
        episodes[key] += row["log"] not in logs
        logs[row["log"]] = row["run"]
        tokens[row["env"]] += times * row["length"]
        learnt[row["env"]] += times * row["learnt"]
        picked += [index] * times
    unmet = [name for name in data.exclude if name not in met]
    unmet += [part for part in data.weights if not any(part.lower() in name.lower() for name in met)]
    if unmet:
        raise TrainConfigError(
            f"data.exclude or data.weights names {', '.join(unmet)}, and nothing is of that: there are "
            f"{', '.join(sorted(name for name in met if name.startswith(('env:', 'file:')) and name != 'env:'))}"
        )
    described, strange = _tools_in(every.select_columns(["tools", "unlisted"]), picked)
    card = {
        "split": data.split,
        "episodes": sum(episodes.values()) + sum(left_out.values()),
        "taken": dict(sorted(episodes.items())),
        "left_out": dict(left_out),
        "tokens": dict(tokens),
        "learnt_tokens": dict(learnt),
        "weights": data.weights,
        "without": data.without,
        "sources": sorted({_source(row) for row in columns.select(picked)}) if picked else [],
        "runs": sorted({Path(run).name for run in logs.values() if run}),
        "tools": described,
        "unlisted": strange,
        "sha256": hashlib.sha256("".join(sorted(owners)).encode()).hexdigest(),
    }
    return _Picked(picked, held, frozenset(owners), card)


def _tools_in(columns: Any, picked: Sequence[int]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the tools of the rows that are learnt, each once by its name, and calls of tools that rows do not list."""
    found: dict[str, dict[str, Any]] = {}
    strange: Counter[str] = Counter()
    for row in columns.select(sorted({*picked})):
        for spec in json.loads(row["tools"] or "[]"):
            if len(found) < MOST_TOOLS:
                found.setdefault(spec["function"]["name"], spec)
        strange.update(filter(None, row["unlisted"].split(",")))
    return list(found.values()), dict(strange)


def _source(row: Mapping[str, Any]) -> str:
    """Return where a window is from: the environment that was played, or else the file that it was read from."""
    return f"env:{row['env']}" if row["world"] else f"file:{Path(row['run']).name}"


def _world(row: Mapping[str, Any]) -> str:
    """Return what is held out whole: a world with all its visits, or a conversation of others."""
    return str(row["world"] or row["digest"])


def _held_out(columns: Any, share: float) -> set[str]:
    """Return the share of the worlds of each source that is kept aside; of one that has two or more, at least one.

    Which these are depends on the worlds alone, not on their order or on the files that they stand in.
    """
    worlds: dict[str, set[str]] = {}
    for row in columns if share else ():
        if row["status"] == ROW:
            worlds.setdefault(_source(row), set()).add(_world(row))
    kept: set[str] = set()
    for found in worlds.values():
        drawn = sorted(found, key=lambda world: hashlib.sha256(world.encode()).digest())
        kept |= set(drawn[: min(len(drawn) - 1, max(1, round(share * len(drawn))))])
    return kept


def _nothing_left(source: Source, card: Mapping[str, Any]) -> str:
    """Return in words that nothing can be learnt, and what to do about it."""
    named = ", ".join(map(str, source.data.runs))
    if not card["episodes"]:
        return f"{named}: there is no conversation in it"
    left = ", ".join(f"{count} {why}" for why, count in card["left_out"].items())
    rows = not inputs(source.data.runs)[0]
    hint = (
        "change data.split or data.solved" if rows else "collect with policy=expert, or change data.split, data.solved"
    )
    if TOO_LONG in card["left_out"]:
        hint = f"raise model.seq_len, which is {source.window.seq_len}"
    return f"none of {card['episodes']} conversations can be learnt from ({left}): {hint}"


def _times(digest: str, weight: float) -> int:
    """Return how often an episode is taken.

    The fractional part of the weight is drawn by the content, so that it is the same in every training.
    """
    rest = weight % 1
    return int(weight) + (int(np.frombuffer(bytes.fromhex(digest[:16]), np.uint64)[0]) < rest * 2.0**64)
