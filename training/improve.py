"""Self-improvement by replay ("Phase B"): an agent is trained on its own successes without forgetting old ones.

Every task (an environment) has a replay queue: a memory with one trace for each solved episode.
:class:`~memory.episodic.ReplayQueue` draws from it, so that a batch is prioritized and varied, and half of it was
replayed before. Each task keeps its share of a batch, whatever was collected last. A round collects episodes with the
adapter, keeps the successes, draws a batch, trains on it, and plays all tasks before and after. An adapter that lowers
the success on a task is not used for the next round.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from agent.config import CollectConfig, choices, load_collect
from agent.errors import WorkerLostError
from agent.hub import adapters
from agent.logs.files import atomic_write
from agent.logs.manifest import Row, counted, totals
from agent.logs.resume import changed_settings
from agent.models.base import Model
from agent.policies.choice import make_model
from agent.rollout.collect import Collection
from agent.rollout.processes import worker_pool
from agent.rollout.worker import counted_visits
from agent.statistics import tango_ci
from agent.text_env import visits_of
from envs import make
from envs.splits import seeds_of
from memory.episodic.replay import ReplayConfig
from training.config import TrainConfig
from training.episode_queue import EpisodeQueue
from training.errors import TrainConfigError, TrainingError

ROUNDS = "rounds.jsonl"
BEGUN = "begun.json"

RESUMABLE_KEYS = {"batch", "processes"}
"""Settings of the loop that may change when rounds are resumed."""


class Train(Protocol):
    """A function that trains an adapter, such as :func:`training.qlora.train`."""

    def __call__(self, config: TrainConfig) -> Any:
        """Train an adapter and write it to ``config.folder``."""
        ...


@dataclass(frozen=True, slots=True)
class Interference:
    """Success on one task before and after a round, on the same seeds.

    Attributes:
        n: Number of episodes.
        before: Share that was solved before the round.
        after: Share that was solved after it.
        lost: Number of episodes that were solved before only.
        won: Number of episodes that were solved after only.
        ci95: 95 % interval of the difference, ``after - before``.
    """

    n: int
    before: float
    after: float
    lost: int
    won: int
    ci95: tuple[float, float]


def compare(before: Sequence[Row], after: Sequence[Row]) -> Interference:
    """Compare success episode by episode, paired by seed; ingestion episodes do not count."""
    first = {row["seed"]: bool(row["success"]) for row in counted(before)}
    second = {row["seed"]: bool(row["success"]) for row in after}
    seeds = sorted(first.keys() & second.keys())
    count = max(len(seeds), 1)
    lost = sum(first[seed] and not second[seed] for seed in seeds)
    won = sum(second[seed] and not first[seed] for seed in seeds)
    return Interference(
        n=len(seeds),
        before=sum(first[seed] for seed in seeds) / count,
        after=sum(second[seed] for seed in seeds) / count,
        lost=lost,
        won=won,
        ci95=tango_ci(won, lost, len(seeds)) if seeds else (-1.0, 1.0),
    )


@dataclass(frozen=True, slots=True)
class ImproveConfig:
    """Settings of self-improvement.

    Attributes:
        envs: The tasks, as choices of ``env=``.
        worlds: Worlds of each task that a round plays.
        validate: Least number of validation episodes of each task that are played before and after a round;
            ingestion episodes are not counted.
        replayed: Episodes that a round trains on.
        batch: Worlds that are played side by side.
        tolerance: Greatest accepted drop of success on a task, as a share, compared with the first adapter.
        max_calls: Greatest number of decisions in one episode.
        processes: Processes that play tasks, or parts of them, at the same time, each with its own model on one of the
            GPUs. An interrupted round may be resumed with more or fewer.
        seed: First seed to collect from, counted from the beginning of the train split.
    """

    envs: Sequence[str]
    worlds: int = 32
    validate: int = 64
    replayed: int = 256
    batch: int = 16
    tolerance: float = 0.02
    max_calls: int = 300
    processes: int = 1
    seed: int = 500_000


Played = tuple[list[Row], list[Path]]
"""Episodes of a task, and the folders with their logs."""


def tasks_of(adapter: str) -> list[str]:
    """Return the tasks, as choices of ``env=``, that an adapter was trained on."""
    sources = adapters.card(adapters.resolve(adapter)).get("sources", [])
    named = [name for name in choices("env") if name != "gym"]
    return [name for name in named if f"env:{load_collect([f'env={name}']).env.id}" in sources]


@cache
def _visits(env: str) -> tuple[int, int]:
    """Return how many episodes a world of a task has, and how many of them count."""
    choice = load_collect([f"env={env}"]).env
    with closing(make(choice.id, **choice.kwargs)) as world:
        return visits_of(world), counted_visits(world)


def _played(config: CollectConfig, models: list[Model] | None = None) -> tuple[list[Row], Path]:
    """Play a task and return its rows and folder; episodes that were played before are not played again.

    Args:
        config: Settings.
        models: The model, if it was loaded before; else it is put there once it is.
    """
    collection = Collection(config, seeds_of(config.split), make)
    if models is not None and collection.worlds():
        if not models:
            models.append(make_model(config))
        collection.model = models[0]
    collection.run()
    return collection.rows, collection.folder


class Improver:
    """The loop of self-improvement: collect, keep successes, train, repeat.

    Args:
        config: Settings of the trainings; ``config.adapter`` is the first adapter, those of the rounds are called
            ``NAME-1``, ``NAME-2`` and so on.
        loop: Settings of the loop.
        train: Trains an adapter.
        say: Called with each line of progress.
    """

    def __init__(self, config: TrainConfig, loop: ImproveConfig, train: Train, say: Callable[[str], None]) -> None:
        if not config.adapter:
            raise TrainConfigError("name the adapter to go on from: adapter=hippo-135m")
        if not loop.envs:
            raise TrainConfigError(f"{config.adapter} has no card that names its tasks: name them with --env")
        for env in loop.envs:
            load_collect([f"env={env}"])  # report an unknown environment before anything is played
        self.config = config
        self.loop = loop
        self.train = train
        self.say = say
        if missing := sorted({*tasks_of(config.adapter)} - {*loop.envs}):
            say(f"{', '.join(missing)}: not played, so nobody will know if it is forgotten; name it with --env")
        self.folder = config.out / f"{config.name}-rounds"
        self.queue = EpisodeQueue(self.folder / "queue", ReplayConfig(max_similarity=1.0))

    def run(self, rounds: int) -> list[dict[str, Any]]:
        """Run rounds until there are ``rounds`` in all, and return their records.

        A round is recorded when it is finished; an unfinished one is run again.

        Raises:
            TrainConfigError: A round has no success to learn from, or the folder holds rounds with other settings.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done = [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.is_file() else []
        begun = self._begun()
        if self.config.data.runs:
            self.queue.add(self.config.data.runs)
        with atomic_write(self.folder / BEGUN) as out:
            json.dump(begun, out, indent=1)
        for number in range(len(done) + 1, rounds + 1):
            taken = [str(record["adapter"]) for record in done if record["taken"]]
            line = json.dumps(self.round(number, taken[-1] if taken else str(self.config.adapter)))
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            done.append(json.loads(line))
        return done

    def _begun(self) -> dict[str, Any]:
        """Return the settings of the rounds; raise if existing rounds were begun with others."""
        begun_with = adapters.digest(adapters.resolve(str(self.config.adapter)))
        current = {key: value for key, value in asdict(self.loop).items() if key not in RESUMABLE_KEYS}
        current |= {"envs": sorted(self.loop.envs), "adapter": begun_with}
        file = self.folder / BEGUN
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else current
        if differing := sorted(changed_settings(before, current)):
            raise TrainConfigError(
                f"{self.folder} holds rounds with other {', '.join(differing)}: give the same again, or another name="
            )
        return current

    @property
    def _file(self) -> Path:
        return self.folder / ROUNDS

    def round(self, number: int, adapter: str) -> dict[str, Any]:
        """Run one round that begins with ``adapter``; return its record."""
        name = Path(adapter).name
        before, collected = self.play(adapter, ("validation", f"before-{name}"), ("train", f"round-{number}"))
        self.queue.add([folder for _, folders in collected.values() for folder in folders])
        logs = self.drawn(number)
        settings = {
            "name": f"{self.config.name}-{number}",
            "adapter": adapter,
            "data": self.config.data.model_copy(update={"runs": logs}),
        }
        config = self.config.model_copy(update=settings)
        self.train(config)
        trained = str(config.folder)
        (after,) = self.play(trained, ("validation", f"before-{config.name}"))
        changes = {env: compare(before[env][0], after[env][0]) for env in self.loop.envs}
        begun_with = str(self.config.adapter)
        (beginning,) = self.play(begun_with, ("validation", f"before-{Path(begun_with).name}"))
        since = {env: compare(beginning[env][0], after[env][0]) for env in self.loop.envs}
        worse = [
            env for env, change in since.items() if change.lost - change.won > self.loop.tolerance * change.n + 1e-9
        ]
        for env, change in changes.items():
            low, high = change.ci95
            self.say(
                f"round {number}, {env}: {change.before:.3f} before, {change.after:.3f} after "
                f"({change.after - change.before:+.3f}, {low:+.3f} to {high:+.3f}, n {change.n})"
            )
        return {
            "round": number,
            "began_with": adapter,
            "adapter": trained,
            "taken": not worse,
            "worse": worse,
            "collected": {env: totals(rows) for env, (rows, _) in collected.items()},
            "kept": {env: sum(bool(row["success"]) for row in rows) for env, (rows, _) in collected.items()},
            "replayed": len(logs),
            "tasks": {env: asdict(change) for env, change in changes.items()},
            "since_the_beginning": {env: asdict(change) for env, change in since.items()},
            "sha256": adapters.digest(config.folder),
        }

    def drawn(self, number: int) -> list[Path]:
        """Return the logs that a round trains on; an interrupted round keeps those that it drew."""
        file = self.folder / f"drawn-{number}.json"
        if not file.is_file():
            logs = list(map(str, self.queue.draw(self.loop.replayed)))
            with atomic_write(file) as out:
                json.dump(logs, out)
        return [Path(log) for log in json.loads(file.read_text(encoding="utf-8"))]

    def play(self, adapter: str, *runs: tuple[str, str]) -> list[dict[str, Played]]:
        """Play every task once for each ``(split, name)`` of ``runs``; a name that was played before is only read.

        Visits to one world are played in turn, so the tasks with the most visits per world begin first.
        """
        pairs = [(run, env) for run in range(len(runs)) for env in self.loop.envs]
        pairs.sort(key=lambda pair: -_visits(pair[1])[0])
        parts = [[*self._parts(env, adapter, *runs[run])] for run, env in pairs]
        done = self._all([config for configs in parts for config in configs])
        played: list[dict[str, Played]] = [dict.fromkeys(self.loop.envs, ([], [])) for _ in runs]
        for (run, env), configs in zip(pairs, parts, strict=True):
            shares = [done[str(config.name)] for config in configs]
            played[run][env] = ([row for rows, _ in shares for row in rows], [folder for _, folder in shares])
        return played

    def _all(self, parts: Sequence[CollectConfig]) -> dict[str, tuple[list[Row], Path]]:
        """Play the given parts, all with the same adapter; return the results by name."""
        if self.loop.processes == 1:
            models: list[Model] = []  # loaded once for all
            return {str(config.name): _played(config, models) for config in parts}
        try:
            with worker_pool(self.loop.processes) as pool:
                played = pool.map(_played, parts)
                return {str(config.name): result for config, result in zip(parts, played, strict=True)}
        except WorkerLostError as error:
            raise TrainingError(
                f"{error}: give the same command again with a smaller --processes or --batch; worlds that were played "
                "through stay"
            ) from error

    def _part_size(self, name: str, size: int) -> int:
        """Return how many worlds one part of ``name`` has; the size at its first start is kept."""
        file = self.folder / "parts.json"
        known: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if name not in known:
            known[name] = size
            with atomic_write(file) as out:
                json.dump(known, out, indent=1)
        return known[name]

    def _parts(self, env: str, adapter: str, split: str, name: str) -> Iterator[CollectConfig]:
        """Yield the parts of a task, one for each process."""
        config = load_collect(
            [f"env={env}", "policy=model", f"split={split}", f"agent.max_calls={self.loop.max_calls}"]
        )
        visits, counted = _visits(env)
        worlds = self.loop.worlds if split == "train" else -(-self.loop.validate // max(1, counted))
        first = self.loop.seed + (int(name.rpartition("-")[2]) - 1) * worlds * visits if split == "train" else 0
        size = self._part_size(f"{name}-{env}", -(-worlds // max(1, self.loop.processes // len(self.loop.envs))))
        for begin in range(0, worlds, size):
            part = f"-{begin}-{size}" if size < worlds else ""
            yield config.model_copy(
                update={
                    "model": self.config.model.model_copy(update={"adapter": adapter}),
                    "batch": self.loop.batch,
                    "episodes": min(size, worlds - begin) * visits,
                    "seed": first + begin * visits,
                    "runs": self.folder / "runs",
                    "name": f"{name}-{env}{part}",
                }
            )
