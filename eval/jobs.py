"""Jobs of an evaluation: batches of worlds that one arm plays, in this process or in others."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from agent.config import CollectConfig
from agent.logs.manifest import Row
from agent.models.base import Model
from agent.models.local import LocalModelConfig
from agent.policies.choice import make_model
from agent.rollout.collect import Collection
from envs import make
from envs.splits import seeds_of
from eval.intervention import Intervention


@dataclass(frozen=True, slots=True)
class Job:
    """A batch of worlds of one task, played by one arm.

    Attributes:
        arm: Name of the arm.
        task: Name of the task.
        config: Settings of the collection.
        memories: Which memory a visit begins with, and how it is changed.
        before: If memories are not the arm's own: for each episode, the folder and episode that kept its memory.
        of: If memories are not the arm's own: the arm that kept them.
    """

    arm: str
    task: str
    config: CollectConfig
    memories: str = "own"
    before: tuple[tuple[int, tuple[Path, int]], ...] = ()
    of: str = ""

    def collection(self, model: Model | None = None) -> Collection:
        """Make the collection, which holds the finished episodes and can collect the rest."""
        seeds = seeds_of(self.config.split)
        if self.memories == "own":
            return Collection(self.config, seeds, make, model)
        return Intervention(self.config, seeds, make, dict(self.before), self.memories, model)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Played:
    """The episodes of one job."""

    job: Job
    rows: list[Row]
    folder: Path


_models: dict[str, Model] = {}


def play(job: Job, advance: Callable[[int], None] = lambda _count: None) -> Played:
    """Play a job; of one that was interrupted, only the worlds that were not finished.

    Args:
        job: The job.
        advance: Called with the number of new episodes whenever a world is complete, and once for those of before.
    """
    collection = job.collection()
    advance(len(collection.rows))
    if collection.worlds():
        collection = job.collection(_model(job.config))
        collection.run(advance)
    return Played(job, sorted(collection.rows, key=lambda row: row["episode"]), collection.folder)


def _model(config: CollectConfig) -> Model | None:
    """Return the local model of the settings, loaded once per process; ``None`` if no local model plays."""
    if config.policy != "model" or not isinstance(config.model, LocalModelConfig):
        return None
    key = config.model.model_dump_json()
    if key not in _models:
        _models.clear()
        _models[key] = make_model(config)
    return _models[key]


def gathered(pool: ProcessPoolExecutor, jobs: Sequence[Job], advance: Callable[[int], None]) -> list[Played]:
    """Play jobs in other processes, and return their episodes in the order in which they ended.

    Args:
        pool: The processes.
        jobs: The jobs.
        advance: Called every second with the number of finished episodes.
    """
    collections = [job.collection() for job in jobs]  # before anybody plays: making one tidies its folder
    waiting = {pool.submit(play, job): collection for job, collection in zip(jobs, collections, strict=True)}
    played: list[Played] = []
    while waiting:
        ended, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        played += [future.result() for future in ended]
        for future in ended:
            del waiting[future]
        advance(sum(len(one.rows) for one in played) + sum(one.finished() for one in waiting.values()))
    return played


def in_order(played: Sequence[Played]) -> list[Played]:
    """Return episodes sorted by arm, task and worlds, whichever process finished first."""
    return sorted(
        played, key=lambda result: (result.job.arm, result.job.task, result.job.config.seed, result.folder.name)
    )
