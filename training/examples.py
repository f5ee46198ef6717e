"""Windows of logs and of rows, written as Arrow files, by several processes if asked."""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.episode_state import AgentConfig
from agent.logs.episodes import peek
from agent.logs.log import read_events
from agent.models.tokens import ChatTokens
from agent.models.window import Window
from training.config import DataSettings
from training.conversations import Conversation, of_log, of_row
from training.errors import RowTooLongError, TrainConfigError
from training.row_files import read_rows
from training.selection import refusal, refusal_of
from training.windows import IGNORED, Encoder

ROW, TOO_LONG = "row", "too long for the window"
"""Statuses of a window and of a row that does not fit into one; what is left out has the reason as its status."""


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


def written(source: Source, logs: Sequence[Path], files: Sequence[Path], work: Path) -> list[str]:
    """Write the windows of all logs and data sets, one Arrow file for each process; return the files.

    Raises:
        TrainConfigError: A process was killed, or a row has another form.
        RowTooLongError: A message of a log does not fit into the window.
    """
    workers = source.data.workers if files else min(source.data.workers, len(logs))
    tasks = [_Task(source, logs[index::workers], tuple(files), index, workers) for index in range(workers)]
    arrows = [str(work / f"windows-{index}.arrow") for index in range(workers)]
    if workers == 1:
        _write(tasks[0], arrows[0])
        return arrows
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            list(pool.map(_write, tasks, arrows))
        except BrokenProcessPool as error:
            raise TrainConfigError("a process that reads logs was killed: try data.workers=1") from error
    return arrows


@dataclass(frozen=True, slots=True)
class _Task:
    """The share of one process: its logs, and every ``step``-th row of all data sets from its own on."""

    source: Source
    logs: Sequence[Path]
    files: Sequence[Path]
    index: int
    step: int


def _write(task: _Task, path: str) -> None:
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    texts = ("log", "run", "env", "kind", "world", "status", "digest", "tools", "unlisted")
    words = dict.fromkeys(texts, Value("string"))
    numbers = dict.fromkeys(("length", "learnt"), Value("int32"))
    features = Features({**words, **numbers, "input_ids": List(Value("int32")), "labels": List(Value("int32"))})
    with ArrowWriter(path=path, features=features, writer_batch_size=256) as writer:
        for example in _examples(task):
            writer.write(example)
        writer.finalize()


def _examples(task: _Task) -> Iterator[dict[str, Any]]:
    """Yield windows; a conversation that is left out yields one row without tokens, with the reason as its status."""
    from transformers import AutoTokenizer

    source = task.source
    encoder = Encoder(ChatTokens(AutoTokenizer.from_pretrained(source.tokenizer)), source.window, source.data.without)
    for log in task.logs:
        yield from _of_log(source.data, encoder, log)
    for file in task.files:
        for number, (name, row) in enumerate(read_rows(file)):
            if number % task.step == task.index:
                yield from _of_row(source.data, encoder, file, name, row)


def _of_log(data: DataSettings, encoder: Encoder, log: Path) -> Iterator[dict[str, Any]]:
    episode = peek(log)
    reason = refusal(episode, data.split, data.solved)
    run = log.parent.parent
    if episode is None or reason == "unfinished":
        yield _row(str(log), str(run), "unfinished") | {"world": "unknown"}
        return
    start = episode.start
    world = f"{start.env} {start.seed if start.world is None else start.world}"
    about = _row(str(log), str(run), reason or ROW) | {"env": start.env, "kind": start.kind, "world": world}
    if _excluded(data, start.env, run):
        yield about | {"status": "excluded"}
    elif reason is not None:
        yield about
    elif data.most_over and (episode.over_optimal or 1.0) > data.most_over:
        yield about | {"status": "too long a way"}
    else:
        yield from _windows(encoder, of_log(read_events(log), _result_limit(run)), about)


def _of_row(
    data: DataSettings, encoder: Encoder, file: Path, name: str, row: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the windows of a row; of our own rows the provenance says what the log of an episode would."""
    found = row.get("provenance")
    origin: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    env = str(origin.get("env") or file.stem)
    seed, steps, best = (_number(origin.get(key)) for key in ("seed", "steps", "optimal_steps"))
    solved = str(origin.get("success")).lower() not in ("false", "0")
    reason = refusal_of(seed, solved, data.split, data.solved)
    about = _row(name, str(file), reason or ROW) | {"env": env, "kind": str(origin.get("kind") or "")}
    world = seed if origin.get("world") in (None, "") else origin["world"]
    if origin.get("env") and world is not None:
        about["world"] = f"{env} {world}"
    if _excluded(data, env, file):
        yield about | {"status": "excluded"}
    elif reason is not None:
        yield about
    elif data.most_over and steps and best and steps / best > data.most_over:
        yield about | {"status": "too long a way"}
    else:
        conversation = of_row(row, name)
        listed = {spec.name for spec in conversation.tools}
        called = [message.call.name for message in conversation.messages if message.call]
        about["tools"] = "" if origin.get("env") else json.dumps([spec.openai() for spec in conversation.tools])
        about["unlisted"] = ",".join(name for name in called if listed and name not in listed)
        try:
            yield from list(_windows(encoder, conversation, about))
        except RowTooLongError:
            yield about | {"status": TOO_LONG}


def _number(value: Any) -> int | None:
    """Return a whole number of somebody's row; ``None`` if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _excluded(data: DataSettings, env: str, run: Path) -> bool:
    return bool({f"env:{env}", f"file:{run.name}", run.name, str(run)} & {*data.exclude})


def _windows(encoder: Encoder, conversation: Conversation, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not encoder.learns(conversation):
        yield about | {"status": "nothing to learn"}
        return
    digest = hashlib.sha256(conversation.key().encode()).hexdigest()
    for example in encoder.windows(conversation):
        yield about | {
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


def _row(log: str, run: str, status: str) -> dict[str, Any]:
    words = dict.fromkeys(("env", "kind", "world", "digest", "tools", "unlisted"), "")
    return {"log": log, "run": run, "status": status, **words, "input_ids": [], "labels": [], "length": 0, "learnt": 0}
