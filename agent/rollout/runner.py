"""``hippo run``: build what the configuration names, play the episodes, log them, and sum them up."""

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.config import RunConfig
from agent.errors import ConfigError, ServerError
from agent.logs.events import End, Event, Start
from agent.logs.log import read_events, write_run
from agent.logs.manifest import episode_summary
from agent.loop import Agent
from agent.models.base import Model
from agent.models.scripted import ScriptedModel
from agent.policies import expert_for
from agent.policies.choice import make_model
from agent.rollout.memories import gate_of, library_of, open_memory
from agent.text_env import Env, MakeEnv
from memory import Memory
from tools import MemoryTools, Tool
from tools.mcp_tools import mcp_tools
from tools.plugins import load_all

LOST = "server_lost.json"
"""File of a run that lost its model's server; the same name goes on with the episode that it names."""


class Run:
    """One run: a folder of logs, a memory, an agent, its episodes.

    Args:
        config: Settings.
        make_env: Makes an environment from its id and settings.
        make_model: Makes the model. It is called last, so that mistakes in other settings are reported at once.

    Raises:
        ConfigError: The run's folder exists already.
    """

    def __init__(
        self, config: RunConfig, make_env: MakeEnv, make_model: Callable[[RunConfig], Model] = make_model
    ) -> None:
        self.config = config
        self._make_model = make_model
        self.make_env = make_env
        now = datetime.now().astimezone()
        name = config.name or f"{short_name(config.env.id)}-{now:%H%M%S}-{now.microsecond // 1000:03}"
        self.folder = config.runs / f"{now:%Y-%m-%d}" / name
        self._first = _lost_at(self.folder / LOST)
        if (self.folder / "run.json").exists() and self._first is None:
            raise ConfigError(f"there is a run in {self.folder} already: choose another name")
        self.episodes: list[dict[str, Any]] = []
        self.plugins: list[Tool] = []
        self._called: Counter[str] = Counter()
        self.memory: Memory | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "Run":
        """Open memory and environment."""
        fresh = not self.folder.exists()
        try:
            self._open()
        except BaseException:
            self._stack.close()
            if fresh and not (self.folder / "run.json").exists():
                shutil.rmtree(self.folder, ignore_errors=True)  # what was refused leaves nothing
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close memory and environment."""
        self._stack.close()

    def _open(self) -> None:
        config = self.config
        plugins = [*load_all(config.plugins), *self._stack.enter_context(mcp_tools(config.mcp))]
        self.plugins = plugins
        self.env = self.make_env(config.env.id, **config.env.kwargs)
        self._stack.callback(self.env.close)
        if config.memory.enabled:
            opened = open_memory(config.memory, config.memory.path or self.folder / "memory")
            self.memory = self._stack.enter_context(opened)
            library = library_of(config.memory)
            if library is not None:
                with library:
                    self.memory.macros.copy_from(library.macros)
            MemoryTools(self.memory).select(config.memory.tools)
        if config.model.kind == "expert":
            self.env.reset(seed=config.seed)
            self.model: Model = ScriptedModel(expert_for(self.env), name="expert")
        else:
            self.model = self._make_model(config)
        names = config.memory.tools if config.memory.enabled else None
        gate = gate_of(config.memory)
        self.agent = Agent(self.model, self.memory, names, plugins, gate, config.agent, self.folder.name)
        seeds = [config.seed + number for number in range(config.episodes)]
        write_run(self.folder / "run.json", config.model_dump(mode="json"), self.model.describe(), seeds)

    def play(self, watch: Callable[[Event], None], draw: Callable[[Env], None]) -> None:
        """Play every episode; an interruption ends the run, after the log of its episode was completed."""
        for number in range(self._first or 0, self.config.episodes):
            self._play_one(number, watch, draw)
        (self.folder / LOST).unlink(missing_ok=True)

    def _play_one(self, number: int, watch: Callable[[Event], None], draw: Callable[[Env], None]) -> None:
        log = self.folder / f"{number:06}" / "events.jsonl"
        if number == self._first:
            log.unlink(missing_ok=True)  # the server was lost in this episode
        began = time.perf_counter()
        events = self.agent.run(self.env, self.config.seed + number, log, number, draw, once=True)
        try:
            for event in events:
                watch(event)
        except ServerError:
            (self.folder / LOST).write_text(json.dumps({"episode": number}), encoding="utf-8")
            raise
        finally:
            events.close()
            written = read_events(log) if log.is_file() else []
            if written and isinstance(start := written[0], Start) and isinstance(end := written[-1], End):
                self._called.update(end.tool_calls)
                self.episodes.append(episode_summary(start, end, time.perf_counter() - began))

    def called(self) -> dict[str, int]:
        """Return how often each tool was called, over all episodes."""
        return dict(self._called)

    def result(self) -> dict[str, Any]:
        """Return the results of the run as one mapping."""
        return {
            "env": self.config.env.id,
            "model": self.model.name,
            "run_dir": str(self.folder),
            "episodes": self.episodes,
        }


def _lost_at(file: Path) -> int | None:
    """Return the episode in which an earlier run of this name lost its server; ``None`` if it lost none."""
    try:
        number = json.loads(file.read_text(encoding="utf-8"))["episode"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) and number >= 0 else None


def short_name(env: str) -> str:
    """Return an environment's id in the form used in the names of folders."""
    return re.split("[/:]", env)[-1].lower()
