"""Many episodes, logged: by processes side by side, or by one model in lock-step."""

import glob
import json
import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from agent.config import CollectConfig
from agent.driver import Env, Seat, play
from agent.errors import ConfigError, LogError
from agent.hub import catalog
from agent.logs.events import End, Event, Start
from agent.logs.log import write_run
from agent.logs.manifest import (
    LISTENING,
    MANIFEST,
    Row,
    append,
    by_kind,
    read,
    totals,
    write,
)
from agent.loop import Agent
from agent.models.base import Model
from agent.models.local import LocalModelConfig
from agent.models.scripted import Policy, ScriptedModel
from agent.models.tokens import ChatTokens
from agent.models.window import Window, Windowed
from agent.policies import expert_for
from agent.policies.script import RandomCaller
from agent.rollout.processes import obey_parent
from agent.rollout.runner import (
    MakeEnv,
    library_of,
    make_model,
    short_name,
    summary,
)
from memory import Embedder, Memory
from memory.embedding import by_name
from tools import MemoryTools
from tools.plugins import load as load_plugin

FREE = {"episodes", "workers", "batch", "runs", "name"}
"""Settings that may differ when a collection is gone on with."""


class Player:
    """Plays worlds, each with a memory of its own that lasts for the visits to it.

    Args:
        config: Settings.
        folder: Of the run.
        first: The first seed.
        make_env: Makes the environment.
        model: Decides, for ``policy=model``; the expert or chance by default.
    """

    def __init__(
        self, config: CollectConfig, folder: Path, first: int, make_env: MakeEnv, model: Model | None = None
    ) -> None:
        self.config = config
        self.folder = folder
        self.first = first
        self.size = config.batch if config.policy == "model" else 1
        self._plugins = [tool for path in config.plugins for tool in load_plugin(path)]
        self._embedder: Embedder | None = by_name(config.memory.embedder) if config.memory.enabled else None
        self._macros = library_of(config)
        self._all = [make_env(config.env.id, **config.env.kwargs) for _ in range(self.size)]
        self._envs = deque(self._all)
        self._memories: dict[int, Memory] = {}
        self.visits = self._visits = visits_of(self._envs[0])
        self.tools: type[MemoryTools] = MemoryTools
        self.model = model or self._policy(self._envs[0])

    def _policy(self, env: Env) -> Model:
        if self.config.policy == "random":
            return ScriptedModel(RandomCaller(), name="random")
        env.reset(seed=self.first)
        expert: Policy = expert_for(env)
        if self.config.window:
            if not isinstance(self.config.model, LocalModelConfig):
                raise ConfigError("window=true needs the name of a local model, such as model=smollm2-135m")
            expert = windowed(expert, self.config.model)
        return ScriptedModel(expert, name="expert")

    def play(self, worlds: Iterable[int]) -> Generator[list[Row], None, None]:
        """The rows of each world when it is through."""
        rows: dict[int, list[Row]] = {}
        seats = (self._seat(world, rows) for world in worlds)
        timeout = self.config.agent.env_timeout
        try:
            with closing(play(self.model, seats, self.size, timeout)) as playing:
                for seat in playing:
                    world = seat.numbers[0] // self.visits
                    self._envs.append(seat.env)
                    if world in self._memories:
                        self._memories.pop(world).close()
                    yield rows.pop(world)
        finally:  # a world may have been broken off
            for memory in self._memories.values():
                memory.close()
            self._memories.clear()
            self._envs = deque(self._all)

    def _seat(self, world: int, rows: dict[int, list[Row]]) -> Seat:
        config = self.config
        numbers = range(world * self.visits, min((world + 1) * self.visits, config.episodes))
        logs = [self.folder / f"{number:06}" / "events.jsonl" for number in numbers]
        starts: dict[int, Start] = {}
        done = rows[world] = list[Row]()

        def keep(index: int, event: Event) -> None:
            if isinstance(event, Start):
                starts[index] = event
            elif isinstance(event, End):
                done.append(_row(starts[index], event, numbers[index] % self._visits))
                if memory is not None and config.keep_memories:
                    memory.save(kept_memory(self.folder, starts[index].episode))

        memory = self._remembered(world)
        guard = {"max_repeats": 0} if config.policy == "expert" else {}
        agent = Agent(
            self.model, memory, config.memory.tools if memory else None, self._plugins, config.memory.gate,
            config.agent.model_copy(update=guard), memory_tools=self.tools,
        )  # fmt: skip
        seeds = [self.first + number for number in numbers]
        labels = [f"episode {number % self._visits}" for number in numbers]
        return Seat(agent, self._envs.popleft(), seeds, numbers, labels, logs, keep)

    def _remembered(self, world: int) -> Memory | None:
        """The memory that a world begins with, if it has one."""
        if self._embedder is None:
            return None
        memory = self._memories[world] = self.open_memory(world, self._embedder)
        return memory

    def open_memory(self, world: int, embedder: Embedder) -> Memory:  # noqa: ARG002
        """A new memory, with the macros of the library if there is one."""
        config = self.config.memory
        memory = Memory.open(
            None, embedder, recall=config.recall, retention=config.retention, routing=config.routing,
            spatial=config.spatial, tuple_conf_min=config.tuple_conf_min,
        )  # fmt: skip
        if self._macros is not None:
            memory.macros.copy_from(self._macros.macros)
        return memory

    def close(self) -> None:
        """Close the environments."""
        for env in self._all:
            env.close()
        if self._macros is not None:
            self._macros.close()


def windowed(script: Policy, model: LocalModelConfig) -> Windowed:
    """A script that sees what a model would.

    Raises:
        CatalogError: There is no such model.
    """
    from transformers import AutoTokenizer

    tokens = ChatTokens(AutoTokenizer.from_pretrained(catalog.resolve(model.name)))
    return Windowed(script, tokens, Window(model.seq_len, model.max_call_tokens))


def kept_memory(run: Path, episode: int) -> Path:
    """Where a run keeps what was remembered after an episode."""
    return run / "memories" / f"{episode:06}"


def visits_of(env: Env) -> int:
    """Episodes of one world, which share a memory."""
    return int(env.get_wrapper_attr("visits")) if env.has_wrapper_attr("visits") else 1


def counted_visits(env: Env) -> int:
    """Episodes of one world that count: not those in which one only listens, as its first visits tell."""
    kinds = [env.reset(seed=seed)[1].get("kind") for seed in range(visits_of(env))]
    return len(kinds) - kinds.count(LISTENING)


def _row(start: Start, end: End, visit: int) -> Row:
    about = {"episode": start.episode, "kind": start.kind, "world": start.world, "visit": visit}
    return about | summary(start, end, end.seconds) | {"log": f"{start.episode:06}/events.jsonl"}


class Collection:
    """A run of :func:`collect`: its folder, and what is in it already.

    Args:
        config: Settings.
        seeds: Those of the split.
        make_env: Makes the environment; must be importable by other processes.
        model: Decides, for ``policy=model``; the one of the settings by default.

    Raises:
        ConfigError: The folder holds another run, or what was asked for can't be.
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
        if config.policy == "model" and (config.workers or 1) > 1:
            raise ConfigError("policy=model plays batch= worlds in lock-step in one process: leave workers= away")
        self.folder = self._folder()
        self.rows = self._resume()

    def visits_in(self, env: Env) -> int:
        """Episodes that are played in turn with one memory."""
        return visits_of(env)

    def player(self, model: Model | None = None) -> Player:
        """Who plays."""
        return Player(self.config, self.folder, self.first, self.make_env, model)

    def _folder(self) -> Path:
        config, now = self.config, datetime.now().astimezone()
        if config.name:
            found = sorted(config.runs.glob(f"*/{glob.escape(config.name)}/run.json"))
            if found:
                return found[-1].parent
        label = f"{short_name(config.env.id)}-{config.policy}-{now:%H%M%S}-{now.microsecond // 1000:03}"
        return config.runs / f"{now:%Y-%m-%d}" / (config.name or label)

    def _resume(self) -> list[Row]:
        """What is there already; a world that is not complete is played again."""
        settings = self.config.model_dump(mode="json")
        run = self.folder / "run.json"
        if run.is_file():
            before = _settings_in(run)
            with suppress(ValidationError):  # of an older release: what it does not say is as it was then
                before = CollectConfig.model_validate(before).model_dump(mode="json")
            differing = [key for key in settings if key not in FREE and before.get(key) != settings[key]]
            if differing or "policy" not in before:
                what = f"other {', '.join(differing)}" if "policy" in before else "no collection"
                raise ConfigError(f"{self.folder} holds a run with {what}: choose another name, or the same settings")
        rows = read(self.folder / MANIFEST)
        worlds: dict[int, list[Row]] = {}
        for row in rows:
            worlds.setdefault(row["episode"] // self.visits, []).append(row)
        kept = [row for world, found in worlds.items() if len(found) >= len(self._numbers(world)) for row in found]
        if len(kept) < len(rows):  # a world was cut short, by a kill or by episodes=
            write(self.folder / MANIFEST, kept)
        return kept

    def _numbers(self, world: int) -> range:
        return range(world * self.visits, min((world + 1) * self.visits, self.config.episodes))

    def worlds(self) -> list[int]:
        """The worlds that are still to be played."""
        done = {row["episode"] // self.visits for row in self.rows}
        return [world for world in range(-(-self.config.episodes // self.visits)) if world not in done]

    def run(self, advance: Callable[[int], None] = lambda _count: None) -> None:
        """Play what is missing. An interruption loses the worlds under way only.

        Args:
            advance: Told how many episodes are done, whenever some are.

        Raises:
            LogError: The folder can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", blocking=False):
                self._run(advance)
        except Timeout as error:
            raise ConfigError(
                f"another process is collecting into {self.folder}: wait for it, or choose a name"
            ) from error

    def _run(self, advance: Callable[[int], None]) -> None:
        self.rows = self._resume()  # another process may have gone on meanwhile
        missing = self.worlds()
        self._tidy({row["episode"] for row in self.rows})
        if not missing:
            return
        if self.config.policy == "model":
            self._play(self.player(self._started()), missing, advance)
            return
        self._started()
        workers = min(self.config.workers or os.cpu_count() or 1, len(missing))
        if workers == 1:
            self._play(self.player(), missing, advance)
        else:
            self._share(workers, missing, advance)

    def _started(self) -> Model | None:
        """Write ``run.json``; the model, if one plays."""
        model = (self.model or make_model(self.config)) if self.config.policy == "model" else None
        described = model.describe() if model else {"name": self.config.policy, "kind": "policy"}
        seeds = [self.first, self.first + self.config.episodes - 1]
        run = self.folder / "run.json"
        if not run.is_file() or _settings_in(run)["episodes"] < self.config.episodes:
            write_run(run, self.config.model_dump(mode="json"), described, seeds)
        return model

    def _tidy(self, done: set[int]) -> None:
        """Remove what a killed run left unfinished."""
        for log in self.folder.glob("[0-9]*/events.jsonl"):
            with suppress(ValueError):
                if int(log.parent.name) not in done:
                    shutil.rmtree(log.parent)

    def _play(self, player: Player, worlds: Sequence[int], advance: Callable[[int], None]) -> None:
        with closing(player), closing(player.play(worlds)) as played:
            for rows in played:
                self._done(rows, advance)

    def _share(self, workers: int, worlds: Sequence[int], advance: Callable[[int], None]) -> None:
        """Let processes play; each takes the next world when it is through with one."""
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _begin_work,
            (self.config, self.folder, self.first, self.make_env),
        )  # fmt: skip
        waiting = deque(worlds)
        threads = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"  # read by a process when it begins: one thread in each
        try:
            running: set[Future[list[Row]]] = set()
            while waiting or running:
                while waiting and len(running) < 3 * workers:
                    running.add(pool.submit(_work, waiting.popleft()))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._done(future.result(), advance)
        except BrokenProcessPool as error:
            raise LogError(
                "a process that plays was killed, perhaps for memory: go on with fewer workers=; what is done is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
            del os.environ["OMP_NUM_THREADS"]
            if threads is not None:
                os.environ["OMP_NUM_THREADS"] = threads

    def _done(self, rows: list[Row], advance: Callable[[int], None]) -> None:
        self.rows += rows
        append(self.folder / MANIFEST, rows)
        advance(len(rows))

    def result(self) -> dict[str, Any]:
        """The collection in one object."""
        return {
            "env": self.config.env.id, "policy": self.config.policy, **totals(self.rows),
            "run_dir": str(self.folder), "kinds": by_kind(self.rows),
        }  # fmt: skip


_player: Player | Exception


def _begin_work(config: CollectConfig, folder: Path, first: int, make_env: MakeEnv) -> None:
    """Set a process up."""
    global _player
    obey_parent()
    try:
        _player = Player(config, folder, first, make_env)
    except Exception as error:  # told by the first world that is asked for
        _player = error


def _work(world: int) -> list[Row]:
    if isinstance(_player, Exception):
        raise _player
    (rows,) = _player.play([world])
    return rows


def _settings_in(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())["config"]
        if not isinstance(config, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{path} is damaged: move the folder away, or choose another name") from error
    return config
