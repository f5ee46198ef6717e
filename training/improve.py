"""Replay distillation ("Phase B"): the agent's own successes become weights, without forgetting the old ones.

Every task (an environment) has a replay queue: a memory with one trace for each solved episode, drawn from by
:class:`~memory.episodic.ReplayQueue`, so that batches are prioritized, varied, and half of what was replayed before.
Tasks keep their share of a batch whatever was collected last. A round is: collect with the adapter, keep the
successes, draw, train on, and play the old tasks before and after. What lowers one of them is not taken.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from agent.config import CollectConfig, choices, load_collect
from agent.errors import WorkerLostError
from agent.hub import adapters
from agent.logs.episodes import Logged, logged
from agent.logs.events import Observed
from agent.logs.files import atomic_write
from agent.logs.log import read_events
from agent.logs.manifest import Row, counted, totals
from agent.logs.resume import changed_settings
from agent.rollout.collect import Collection
from agent.rollout.processes import worker_pool
from agent.rollout.worker import counted_visits
from agent.statistics import tango_ci
from agent.text_env import visits_of
from envs import make
from envs.splits import seeds_of
from memory import HashingEmbedder, Memory, Provenance
from memory.episodic.replay import ReplayConfig
from training.config import TrainConfig
from training.errors import TrainConfigError, TrainingError

ROUNDS = "rounds.jsonl"
BEGUN = "begun.json"

RESUMABLE_KEYS = {"batch", "processes"}
"""Settings of the loop that may differ when rounds are gone on with."""


class Train(Protocol):
    """Trains an adapter; :func:`training.qlora.train` does."""

    def __call__(self, config: TrainConfig) -> Any:
        """Train; the adapter is in ``config.folder`` then."""
        ...


class EpisodeQueue:
    """Solved episodes of every task, and which of them are replayed next.

    Args:
        folder: Where the queues are kept; one that is there is gone on with.
        config: How batches are drawn.
    """

    def __init__(self, folder: Path, config: ReplayConfig | None = None) -> None:
        self.folder = folder
        self.config = config or ReplayConfig()

    def _open(self, task: str) -> Memory:
        return Memory.open(self.folder / task.replace("/", "_"), HashingEmbedder())

    def tasks(self) -> list[str]:
        """Environments that there are episodes of."""
        return sorted(path.name for path in self.folder.glob("*") if (path / "memory.db").is_file())

    def add(self, runs: Sequence[Path]) -> dict[str, int]:
        """Put the solved episodes of runs into the queues; returns how many are new, by task.

        An episode weighs the more the shorter its way was; one that only listens weighs as much as the shortest.
        """
        by_task: dict[str, list[Logged]] = {}
        for one in logged(runs):
            if one.end is not None and one.end.success:
                by_task.setdefault(one.start.env, []).append(one)
        added = {}
        for task, episodes in sorted(by_task.items()):
            with self._open(task) as memory:
                before = len(memory.episodic)
                for one in episodes:
                    memory.episodic.write(
                        _key(one),
                        {"who": "agent", "what": one.start.mission, "when": str(one.path)},
                        origin=Provenance(f"env:{task}", f"{one.path.parent.parent.name} episode {one.start.episode}"),
                        span_ref=str(one.path),
                        salience=1.0 / (one.over_optimal or 1.0),
                    )
                added[task] = len(memory.episodic) - before
        return added

    def draw(self, size: int, shares: Mapping[str, float] | None = None) -> list[Path]:
        """Logs of the episodes that are replayed next.

        Args:
            size: How many in all.
            shares: Weight of each task, by the name of its queue; the same for all by default.

        Raises:
            TrainConfigError: There is nothing to draw from.
        """
        tasks = self.tasks()
        if not tasks:
            raise TrainConfigError("the replay queues are empty: no episode was solved yet")
        weights = {task: (shares or {}).get(task, 1.0) for task in tasks}
        total = sum(weights.values())
        drawn: list[Path] = []
        for task in tasks:
            with Memory.open(self.folder / task, HashingEmbedder()) as memory:
                count = max(1, round(size * weights[task] / total))
                items = memory.episodic.replay.draw(count, self.config)
                drawn += [Path(memory.episodic.get(item.key_id).tokens_span_ref) for item in items]
        return drawn


def _key(one: Logged) -> str:
    """What tells an episode from others of its task: the mission, and what was seen first."""
    first = next((e.text for e in read_events(one.path) if isinstance(e, Observed)), "")
    return f"{one.start.mission}. {first}"


@dataclass(frozen=True, slots=True)
class Interference:
    """Success on one task before and after a round, on the same seeds.

    Attributes:
        n: Episodes.
        before: Share that was solved.
        after: The same.
        lost: Episodes that were solved before only.
        won: Episodes that are solved after only.
        ci95: Interval of the difference, ``after - before``.
    """

    n: int
    before: float
    after: float
    lost: int
    won: int
    ci95: tuple[float, float]


def compare(before: Sequence[Row], after: Sequence[Row]) -> Interference:
    """What changed, episode by episode; those in which one only listens do not count."""
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
        envs: Tasks: choices of ``env=``.
        worlds: Of each task that are collected in a round.
        validate: Validation episodes of each task, at least, that are played before and after and count: not those in
            which one only listens.
        replayed: Episodes that a round trains on.
        batch: Worlds that are played in lock-step.
        tolerance: Greatest loss of success on a task, as a share, against the adapter that was begun with.
        max_calls: Decisions in one episode.
        processes: That play tasks, or parts of them, at the same time, each with a model of its own on one of the GPUs.
            A killed round may go on with more or fewer.
        seed: First world of the train split, counted from its beginning.
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
    """The tasks, as choices of ``env=``, that an adapter was trained on."""
    sources = adapters.card(adapters.resolve(adapter)).get("sources", [])
    named = [name for name in choices("env") if name != "gym"]
    return [name for name in named if f"env:{load_collect([f'env={name}']).env.id}" in sources]


@cache
def _visits(env: str) -> tuple[int, int]:
    """How many episodes a world of a task has, and how many of them count."""
    asked = load_collect([f"env={env}"]).env
    with closing(make(asked.id, **asked.kwargs)) as world:
        return visits_of(world), counted_visits(world)


def _played(config: CollectConfig) -> tuple[list[Row], Path]:
    """Play a task; what was played before is not played again."""
    collection = Collection(config, seeds_of(config.split), make)
    collection.run()
    return collection.rows, collection.folder


class Improver:
    """Collect, keep, train, repeat.

    Args:
        config: Settings of the trainings; ``config.adapter`` is what is begun with, rounds are ``NAME-1``, ``NAME-2``.
        loop: How the rounds go.
        train: Trains an adapter.
        say: Takes a line of progress.
    """

    def __init__(self, config: TrainConfig, loop: ImproveConfig, train: Train, say: Callable[[str], None]) -> None:
        if not config.adapter:
            raise TrainConfigError("name the adapter to go on from: adapter=hippo-135m")
        if not loop.envs:
            raise TrainConfigError(f"{config.adapter} has no card that names its tasks: name them with --env")
        for env in loop.envs:
            load_collect([f"env={env}"])  # one that does not exist is told before anything is played
        self.config = config
        self.loop = loop
        self.train = train
        self.say = say
        if missing := sorted({*tasks_of(config.adapter)} - {*loop.envs}):
            say(f"{', '.join(missing)}: not played, so nobody will know if it is forgotten; name it with --env")
        self.folder = config.out / f"{config.name}-rounds"
        self.queue = EpisodeQueue(self.folder / "queue", ReplayConfig(max_similarity=1.0))

    def run(self, rounds: int) -> list[dict[str, Any]]:
        """Play so many rounds; each is recorded when it is through, and a killed one begins again.

        Raises:
            TrainConfigError: A round has no success to learn from, or the rounds were begun in another way.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done = [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.is_file() else []
        begun = self._begun()
        if self.config.data.runs:
            self.queue.add(self.config.data.runs)
        with atomic_write(self.folder / BEGUN) as out:
            json.dump(begun, out, indent=1)
        for number in range(len(done) + 1, rounds + 1):
            taken = [str(one["adapter"]) for one in done if one["taken"]]
            line = json.dumps(self.round(number, taken[-1] if taken else str(self.config.adapter)))
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            done.append(json.loads(line))
        return done

    def _begun(self) -> dict[str, Any]:
        """How the rounds are begun; those that are there must have been begun in the same way."""
        begun_with = adapters.digest(adapters.resolve(str(self.config.adapter)))
        mine = {key: value for key, value in asdict(self.loop).items() if key not in RESUMABLE_KEYS}
        mine |= {"envs": sorted(self.loop.envs), "adapter": begun_with}
        file = self.folder / BEGUN
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else mine
        if differing := sorted(changed_settings(before, mine)):
            raise TrainConfigError(
                f"{self.folder} holds rounds with other {', '.join(differing)}: give the same again, or another name="
            )
        return mine

    @property
    def _file(self) -> Path:
        return self.folder / ROUNDS

    def round(self, number: int, adapter: str) -> dict[str, Any]:
        """One round that begins with an adapter."""
        name = Path(adapter).name
        before, collected = self._play(adapter, ("validation", f"before-{name}"), ("train", f"round-{number}"))
        self.queue.add([folder for _, folders in collected.values() for folder in folders])
        logs = self._drawn(number)
        settings = {"name": f"{self.config.name}-{number}", "adapter": adapter,
                    "data": self.config.data.model_copy(update={"runs": logs})}  # fmt: skip
        config = self.config.model_copy(update=settings)
        self.train(config)
        made = str(config.folder)
        (after,) = self._play(made, ("validation", f"before-{config.name}"))
        changes = {env: compare(before[env][0], after[env][0]) for env in self.loop.envs}
        begun_with = str(self.config.adapter)
        (beginning,) = self._play(begun_with, ("validation", f"before-{Path(begun_with).name}"))
        since = {env: compare(beginning[env][0], after[env][0]) for env in self.loop.envs}
        worse = [
            env for env, change in since.items() if change.lost - change.won > self.loop.tolerance * change.n + 1e-9
        ]
        for env, change in changes.items():
            low, high = change.ci95
            self.say(f"round {number}, {env}: {change.before:.3f} before, {change.after:.3f} after "
                     f"({change.after - change.before:+.3f}, {low:+.3f} to {high:+.3f}, n {change.n})")  # fmt: skip
        return {
            "round": number, "began_with": adapter, "adapter": made, "taken": not worse, "worse": worse,
            "collected": {env: totals(rows) for env, (rows, _) in collected.items()},
            "kept": {env: sum(bool(row["success"]) for row in rows) for env, (rows, _) in collected.items()},
            "replayed": len(logs), "tasks": {env: asdict(change) for env, change in changes.items()},
            "since_the_beginning": {env: asdict(change) for env, change in since.items()},
            "sha256": adapters.digest(config.folder),
        }  # fmt: skip

    def _drawn(self, number: int) -> list[Path]:
        """What a round trains on: a killed one goes on with what it drew."""
        file = self.folder / f"drawn-{number}.json"
        if not file.is_file():
            logs = list(map(str, self.queue.draw(self.loop.replayed)))
            with atomic_write(file) as out:
                json.dump(logs, out)
        return [Path(log) for log in json.loads(file.read_text(encoding="utf-8"))]

    def _play(self, adapter: str, *runs: tuple[str, str]) -> list[dict[str, Played]]:
        """Play every task in each split, under each name; the same name is not played twice.

        Tasks whose worlds have the most visits, which are played in turn, begin first.
        """
        asked = [(run, env) for run in range(len(runs)) for env in self.loop.envs]
        asked.sort(key=lambda one: -_visits(one[1])[0])
        parts = [[*self._parts(env, adapter, *runs[run])] for run, env in asked]
        done = self._all([config for configs in parts for config in configs])
        played: list[dict[str, Played]] = [dict.fromkeys(self.loop.envs, ([], [])) for _ in runs]
        for (run, env), configs in zip(asked, parts, strict=True):
            shares = [done[str(config.name)] for config in configs]
            played[run][env] = ([row for rows, _ in shares for row in rows], [folder for _, folder in shares])
        return played

    def _all(self, parts: Sequence[CollectConfig]) -> dict[str, tuple[list[Row], Path]]:
        """Play parts; returns what was played by name."""
        if self.loop.processes == 1:
            return {str(config.name): _played(config) for config in parts}
        try:
            with worker_pool(self.loop.processes) as pool:
                played = pool.map(_played, parts)
                return {str(config.name): one for config, one in zip(parts, played, strict=True)}
        except WorkerLostError as error:
            raise TrainingError(
                f"{error}: give the same command again with a smaller --processes or --batch; worlds that were played "
                "through stay"
            ) from error

    def _part_size(self, name: str, size: int) -> int:
        """How many worlds one part of ``name`` has: what it had when it was begun."""
        file = self.folder / "parts.json"
        known: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if name not in known:
            known[name] = size
            with atomic_write(file) as out:
                json.dump(known, out, indent=1)
        return known[name]

    def _parts(self, env: str, adapter: str, split: str, name: str) -> Iterator[CollectConfig]:
        """What each process plays of a task."""
        asked = load_collect([f"env={env}", "policy=model", f"split={split}", f"agent.max_calls={self.loop.max_calls}"])
        visits, counted = _visits(env)
        worlds = self.loop.worlds if split == "train" else -(-self.loop.validate // max(1, counted))
        first = self.loop.seed + (int(name.rpartition("-")[2]) - 1) * worlds * visits if split == "train" else 0
        size = self._part_size(f"{name}-{env}", -(-worlds // max(1, self.loop.processes // len(self.loop.envs))))
        for begin in range(0, worlds, size):
            part = f"-{begin}-{size}" if size < worlds else ""
            yield asked.model_copy(
                update={
                    "model": self.config.model.model_copy(update={"adapter": adapter}), "batch": self.loop.batch,
                    "episodes": min(size, worlds - begin) * visits, "seed": first + begin * visits,
                    "runs": self.folder / "runs", "name": f"{name}-{env}{part}",
                }
            )  # fmt: skip
