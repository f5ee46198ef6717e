"""Collections: many logged episodes, played by parallel processes; one model decides for all of them."""

import glob
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from copy import copy
from datetime import datetime
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty
from typing import Any

from pydantic import ValidationError

from agent.config import CollectConfig
from agent.errors import ConfigError, LogError, WorkerLostError
from agent.logs.files import folder_lock
from agent.logs.log import write_run
from agent.logs.manifest import MANIFEST, Row, append, by_kind, read, totals, write
from agent.logs.resume import changed_settings
from agent.models.base import Model
from agent.models.local import LocalModel, LocalModelConfig
from agent.models.served import ServedEmbedder, ServedEngine, serving
from agent.models.tokenizer import FastTokenizer
from agent.policies import expert_for
from agent.policies.choice import make_model
from agent.rollout.processes import worker_pool
from agent.rollout.runner import short_name
from agent.rollout.worker import RolloutWorker
from agent.text_env import Env, MakeEnv, visits_of
from memory import Embedder, MiniLMEmbedder

RESUMABLE_KEYS = {"episodes", "workers", "batch", "runs", "name"}
"""Settings that may differ when a collection is resumed."""

LEAST_SHARE = 8
"""Worlds that a process plays at least, where a model on a GPU decides for several processes."""


class Collection:
    """A run that collects episodes: its folder, and the episodes that are in it already.

    Args:
        config: Settings.
        seeds: Seeds of the split.
        make_env: Makes the environment; must be importable by other processes.
        model: The model that decides, for ``policy=model``; by default the one that the settings name.

    Raises:
        ConfigError: The folder holds another run, or the settings can't be met.
    """

    def __init__(self, config: CollectConfig, seeds: range, make_env: MakeEnv, model: Model | None = None) -> None:
        self.config = config
        self.make_env = make_env
        self.model = model
        with closing(make_env(config.env.id, **config.env.kwargs)) as env:
            self.visits = self.visits_in(env)
            self.first = -(-(seeds.start + config.seed) // self.visits) * self.visits
            if self.first + config.episodes > seeds.stop:
                raise ConfigError(
                    f"{config.episodes} episodes from seed={config.seed} on go beyond the split {config.split}, which "
                    f"has {len(seeds):,} seeds: choose a smaller seed or fewer episodes"
                )
            if config.policy == "expert":
                env.reset(seed=self.first)
                expert_for(env)
        if config.policy == "model" and (config.workers or 1) > 1 and not isinstance(config.model, LocalModelConfig):
            raise ConfigError(f"a model of kind {config.model.kind} is asked by one process: leave out workers=")
        self.folder = self._folder()
        self.rows = self._resume()

    def visits_in(self, env: Env) -> int:
        """Return the number of episodes that are played in turn with one memory."""
        return visits_of(env)

    def worker(self, model: Model | None = None, embedder: Embedder | None = None) -> RolloutWorker:
        """Return the worker that plays."""
        return RolloutWorker(self.config, self.folder, self.first, self.make_env, model, embedder)

    def _folder(self) -> Path:
        config, now = self.config, datetime.now().astimezone()
        if config.name:
            run_files = sorted(config.runs.glob(f"*/{glob.escape(config.name)}/run.json"))
            if run_files:
                return run_files[-1].parent
        policy = re.sub(r"[^\w.-]+", "-", Path(config.policy).name)
        label = f"{short_name(config.env.id)}-{policy}-{now:%H%M%S}-{now.microsecond // 1000:03}"
        return config.runs / f"{now:%Y-%m-%d}" / (config.name or label)

    def _resume(self) -> list[Row]:
        """Return the rows of the complete worlds in the folder; an incomplete world is played again."""
        settings = self.config.model_dump(mode="json")
        run = self.folder / "run.json"
        if run.is_file():
            before = _settings_in(run)
            with suppress(ValidationError):  # a run of an older release: settings that it lacks get their defaults
                before = CollectConfig.model_validate(before).model_dump(mode="json")
            unused = {"model"} if self.config.policy != "model" and self._same_window(before, settings) else set()
            differing = changed_settings(before, settings, RESUMABLE_KEYS | unused)
            if differing or "policy" not in before:
                what = f"other {', '.join(differing)}" if "policy" in before else "no collection"
                raise ConfigError(f"{self.folder} holds a run with {what}: choose another name, or the same settings")
        rows = read(self.folder / MANIFEST)
        worlds: dict[int, list[Row]] = {}
        for row in rows:
            worlds.setdefault(row["episode"] // self.visits, []).append(row)
        kept = [row for world, group in worlds.items() if len(group) >= len(self._numbers(world)) for row in group]
        if len(kept) < len(rows):  # a world is incomplete: the run was killed, or episodes= ended within it
            write(self.folder / MANIFEST, kept)
        return kept

    def _same_window(self, before: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Return whether the model's window, which is all that an expert heeds of a model, is the same."""
        asked = ("name", "seq_len")
        one, other = (each.get("model", {}) for each in (before, settings))
        return not self.config.window or all(one.get(key) == other.get(key) for key in asked)

    def _numbers(self, world: int) -> range:
        return range(world * self.visits, min((world + 1) * self.visits, self.config.episodes))

    def finished(self) -> int:
        """Return how many episodes of complete worlds are in the folder now, whoever plays them."""
        return len(read(self._folder() / MANIFEST))

    def worlds(self) -> list[int]:
        """Return the worlds that are still to be played."""
        done = {row["episode"] // self.visits for row in self.rows}
        return [world for world in range(-(-self.config.episodes // self.visits)) if world not in done]

    def run(self, advance: Callable[[int], None] = lambda _count: None) -> None:
        """Play the missing worlds. An interruption loses only the worlds that are being played.

        Args:
            advance: Called with the number of new episodes whenever a world is complete.

        Raises:
            LogError: The folder can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.folder, error=ConfigError):
            self._run(advance)

    def _run(self, advance: Callable[[int], None]) -> None:
        self.rows = self._resume()  # another process may have added rows meanwhile
        missing = self.worlds()
        self._tidy({row["episode"] for row in self.rows})
        if not missing:
            return
        model = self._started()
        workers = self._processes(model, len(missing))
        if isinstance(model, LocalModel):
            model.reserve(min(workers * -(-self.config.batch // workers), len(missing)))
        if workers == 1:
            self._play(self.worker(model), missing, advance)
        elif isinstance(model, LocalModel):
            with serving(model.engine, FastTokenizer.of(model.tokenizer), self._embedder(model)) as address:
                self._share(workers, missing, advance, address)
        else:
            self._share(workers, missing, advance)

    def _embedder(self, model: LocalModel) -> Embedder | None:
        """Return the embedder that serves all processes, if it computes on a GPU."""
        memory = self.config.memory
        on_gpu = memory.enabled and memory.embedder == "minilm" and model.device.startswith("cuda")
        return MiniLMEmbedder(device=model.device) if on_gpu else None

    def _processes(self, model: Model | None, worlds: int) -> int:
        """Return how many processes play: one where a model decides on a CPU, or many play anyway."""
        cores = os.cpu_count() or 1
        if self.config.policy != "model":
            return min(self.config.workers or cores, worlds)
        if not isinstance(model, LocalModel):
            return 1
        side_by_side = min(self.config.batch, worlds)
        if self.config.workers is None:
            spare = model.device.startswith("cuda") and parent_process() is None
            return max(1, min(cores - 1, side_by_side // LEAST_SHARE)) if spare else 1
        return min(self.config.workers, side_by_side)

    def _started(self) -> Model | None:
        """Write ``run.json``, and return the model; ``None`` if no model plays."""
        model = (self.model or make_model(self.config)) if self.config.policy == "model" else None
        described = model.describe() if model else {"name": self.config.policy, "kind": "policy"}
        seeds = [self.first, self.first + self.config.episodes - 1]
        run = self.folder / "run.json"
        if not run.is_file() or _settings_in(run)["episodes"] < self.config.episodes:
            write_run(run, self.config.model_dump(mode="json"), described, seeds)
        return model

    def _tidy(self, done: set[int]) -> None:
        """Remove the folders of episodes that a killed run left unfinished."""
        for log in self.folder.glob("[0-9]*/events.jsonl"):
            with suppress(ValueError):
                if int(log.parent.name) not in done:
                    shutil.rmtree(log.parent)

    def _play(self, worker: RolloutWorker, worlds: Sequence[int], advance: Callable[[int], None]) -> None:
        with closing(worker), closing(worker.play(worlds)) as played:
            for rows in played:
                self._done(rows, advance)

    def _share(self, workers: int, worlds: Sequence[int], advance: Callable[[int], None], address: Any = None) -> None:
        """Play in several processes; each takes the next world when it has finished one.

        Args:
            workers: Number of processes.
            worlds: The worlds.
            advance: Called with the number of new episodes whenever a world is complete.
            address: Where the model is served, if one decides.
        """
        context = get_context("spawn")
        waiting, played = context.Queue(), context.Queue()
        waiting.cancel_join_thread()  # after an interruption nobody takes what still waits
        for item in [*worlds, *[None] * workers]:
            waiting.put(item)
        run = copy(self)
        run.model = None
        run.config = self.config.model_copy(update={"batch": -(-self.config.batch // workers)})
        missing = len(worlds)
        try:
            with worker_pool(workers, _begin_work, (run, address, waiting, played), share_gpus=False) as pool:
                playing = {pool.submit(_play_all) for _ in range(workers)}
                while missing:
                    with suppress(Empty):
                        self._done(played.get(timeout=0.2 if playing else 10), advance)
                        missing -= 1
                        continue
                    if not playing:
                        raise WorkerLostError(f"{missing} worlds that were played did not arrive")
                    for future in [future for future in playing if future.done()]:
                        future.result()
                        playing.discard(future)
        except WorkerLostError as error:
            raise LogError(f"{error}: resume with fewer workers=; finished episodes are kept") from error

    def _done(self, rows: list[Row], advance: Callable[[int], None]) -> None:
        self.rows += rows
        append(self.folder / MANIFEST, rows)
        advance(len(rows))

    def result(self) -> dict[str, Any]:
        """Return the results of the collection as one mapping."""
        return {
            "env": self.config.env.id,
            "policy": self.config.policy,
            **totals(self.rows),
            "run_dir": str(self.folder),
            "kinds": by_kind(self.rows),
        }


_worker: RolloutWorker | Exception
_waiting: Any
_played: Any


def _begin_work(run: Collection, address: Any, waiting: Any, played: Any) -> None:
    """Make the worker of this process."""
    global _worker, _waiting, _played
    _waiting, _played = waiting, played
    try:
        choice = run.config.model
        model, embedder = None, None
        if address is not None and isinstance(choice, LocalModelConfig):
            model = LocalModel(choice, engine=ServedEngine(address))
            if run._embedder(model) is not None:
                embedder = ServedEmbedder(address, MiniLMEmbedder())
        _worker = run.worker(model, embedder)
    except Exception as error:  # raised again when the first world is to be played
        _worker = error


def _play_all() -> None:
    """Play the worlds that wait, until there are none."""
    if isinstance(_worker, Exception):
        raise _worker
    for rows in _worker.play(iter(_waiting.get, None)):
        _played.put(rows)


def _settings_in(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())["config"]
        if not isinstance(config, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{path} is damaged: move the folder away, or choose another name") from error
    return config
