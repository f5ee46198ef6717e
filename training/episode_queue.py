"""Replay queues of solved episodes: which of an agent's successes it is trained on next."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.logs.episodes import Logged, logged
from agent.logs.events import Observed
from agent.logs.log import read_events
from memory import HashingEmbedder, Memory, Provenance
from memory.episodic import ReplayConfig
from training.errors import TrainConfigError


class EpisodeQueue:
    """Replay queues of solved episodes, one for each task.

    Args:
        folder: Folder of the queues; existing queues are used again.
        config: How batches are drawn.
    """

    def __init__(self, folder: Path, config: ReplayConfig | None = None) -> None:
        self.folder = folder
        self.config = config or ReplayConfig()

    def _open(self, task: str) -> Memory:
        return Memory.open(self.folder / task.replace("/", "_"), HashingEmbedder())

    def tasks(self) -> list[str]:
        """Return the names of the queues, one for each environment that has episodes."""
        return sorted(path.name for path in self.folder.glob("*") if (path / "memory.db").is_file())

    def add(self, runs: Sequence[Path]) -> dict[str, int]:
        """Put the solved episodes of runs into the queues; return the number of new ones by task.

        The closer an episode is to the fewest possible steps, the more it weighs; an ingestion episode weighs as
        much as the shortest.
        """
        by_task: dict[str, list[Logged]] = {}
        for episode in logged(runs):
            if episode.end is not None and episode.end.success:
                by_task.setdefault(episode.start.env, []).append(episode)
        added = {}
        for task, episodes in sorted(by_task.items()):
            with self._open(task) as memory:
                before = len(memory.episodic)
                for episode in episodes:
                    memory.episodic.write(
                        _key(episode),
                        {"who": "agent", "what": episode.start.mission, "when": str(episode.path)},
                        origin=Provenance(
                            f"env:{task}", f"{episode.path.parent.parent.name} episode {episode.start.episode}"
                        ),
                        span_ref=str(episode.path),
                        salience=1.0 / (episode.over_optimal or 1.0),
                    )
                added[task] = len(memory.episodic) - before
        return added

    def draw(self, size: int, shares: Mapping[str, float] | None = None) -> list[Path]:
        """Draw the episodes to replay next; return their logs.

        Args:
            size: Number of episodes in all.
            shares: Weight of each task, by the name of its queue; equal by default.

        Raises:
            TrainConfigError: The queues are empty.
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
                items = memory.replay(count, self.config)
                drawn += [Path(memory.episodic.get(item.key_id).tokens_span_ref) for item in items]
        return drawn


def _key(one: Logged) -> str:
    """Return what distinguishes an episode from others of its task: the mission and the first observation."""
    first = next((e.text for e in read_events(one.path) if isinstance(e, Observed)), "")
    return f"{one.start.mission}. {first}"
