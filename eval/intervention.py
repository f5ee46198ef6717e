"""Checks that memory reaches the model: the same visits again, with the memory changed in between.

An arm kept what was remembered after each episode. Every later episode is now played by itself, beginning with that
memory as it was (``restored``), with another world's (``swapped``), with look-ups that read as what belongs to
something else (``shuffled``), with look-ups that give anything (``random``), or with none (``empty``). An agent
whose answers do not change never read its memory.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from agent.config import CollectConfig
from agent.logs.manifest import Row
from agent.models.base import Model
from agent.rollout.collect import Collection
from agent.rollout.memories import copy_memory, kept_memory
from agent.rollout.worker import RolloutWorker
from eval.errors import EvalError
from eval.suites import Memories
from memory import Embedder, Memory
from memory.episodic import Recall
from memory.relational import Fact
from memory.relational.names import normalise
from memory.spatial import Route
from tools import MemoryTools

SEED = 7
"""Fixes who gets what belongs to whom."""


class ShuffledTools(MemoryTools):
    """What is looked up reads as what belongs to something else, always the same."""

    def hits(self, cue: str) -> list[Recall]:
        """The traces found, each with the words of another one."""
        ids = [int(row[0]) for row in self.memory.store.db.execute("SELECT id FROM traces ORDER BY id")]
        other = derangement(ids)
        get = self.memory.episodic.get
        return [replace(hit, trace=get(other[hit.trace.id])) for hit in super().hits(cue)]

    def facts(self, entity: str) -> list[Fact]:
        """The facts of another entity, said of this one."""
        found = super().facts(entity)
        told = [*dict.fromkeys(fact.head for fact in super().facts(self._other(entity)))]
        if not found or not told:
            return []
        other, mine = told[0], found[0].head
        return [
            replace(
                fact, head=mine if fact.head == other else fact.head, tail=mine if fact.tail == other else fact.tail
            )
            for fact in super().facts(self._other(entity))
        ]

    def _other(self, entity: str) -> str:
        entities = self.memory.relational.entities()
        return str(derangement(sorted(entities)).get(normalise(entity), entity))

    def route(self, goal: str) -> Route:
        """The way to another place or thing."""
        return super().route(derangement(sorted(self.memory.spatial.goals())).get(goal, goal))


class RandomTools(MemoryTools):
    """A look-up gives random items of the memory."""

    def hits(self, cue: str) -> list[Recall]:
        """Random traces."""
        found = super().hits(cue)
        ids = [int(row[0]) for row in self.memory.store.db.execute("SELECT id FROM traces ORDER BY id")]
        picked = random.Random(f"{SEED} {cue}").sample(ids, min(len(ids), len(found)))
        return [replace(hit, trace=self.memory.episodic.get(i)) for hit, i in zip(found, picked, strict=False)]

    def facts(self, entity: str) -> list[Fact]:
        """The facts of a random entity."""
        entities = sorted(self.memory.relational.entities())
        return super().facts(random.Random(f"{SEED} {entity}").choice(entities)) if entities else []


TOOLS: Mapping[Memories, type[MemoryTools]] = {"shuffled": ShuffledTools, "random": RandomTools}


def derangement(items: Sequence[Any]) -> dict[Any, Any]:
    """Each item's stand-in: a fixed permutation that leaves none in its place, if there are two."""
    mixed = [*items]
    random.Random(SEED).shuffle(mixed)
    return dict(zip(mixed, [*mixed[1:], *mixed[:1]], strict=True))


class Intervention(Collection):
    """Episodes by themselves, each beginning with a memory that another run kept, changed or not.

    Args:
        config: Settings of that run, with another name.
        seeds: Those of the split.
        make_env: Makes the environment.
        before: Episode of the run whose memory each episode begins with, and the run's folder.
        memories: What is done to it.
        model: Decides; the one of the settings by default.
    """

    def __init__(
        self, config: CollectConfig, seeds: range, make_env: Callable[..., gym.Env[Any, Any]],
        before: Mapping[int, tuple[Path, int]], memories: Memories, model: Model | None = None,
    ) -> None:  # fmt: skip
        self.before = before
        self.memories = memories
        super().__init__(config, seeds, make_env, model)

    def visits_in(self, env: gym.Env[Any, Any]) -> int:  # noqa: ARG002
        """One: no episode hands its memory on."""
        return 1

    def worlds(self) -> list[int]:
        """The episodes that are still to be played."""
        done = {row["episode"] for row in self.rows}
        return [number for number in self.before if number not in done]

    def worker(self, model: Model | None = None) -> RolloutWorker:
        """Who plays with these memories."""
        return _InterventionWorker(self, model)


class _InterventionWorker(RolloutWorker):
    def __init__(self, run: Intervention, model: Model | None) -> None:
        super().__init__(run.config, run.folder, run.first, run.make_env, model)
        self.run = run
        self.visits = 1
        self.tools = TOOLS.get(run.memories, MemoryTools)

    def open_memory(self, world: int, embedder: Embedder) -> Memory:
        if self.run.memories == "empty":
            return super().open_memory(world, embedder)
        folder, episode = self.run.before[world]
        return copy_memory(self.config.memory, kept_memory(folder, episode), embedder)


def befores(
    rows: Sequence[Row], folders: Mapping[int, Path], memories: Memories, visits: int
) -> dict[int, tuple[Path, int]]:
    """Which kept memory each episode begins with: that of its world after the visit before, or another world's.

    Args:
        rows: Counted episodes of the run that kept them.
        folders: Where each of the run's episodes is, by number.
        memories: ``swapped`` takes the next world's of as many visits.
        visits: Episodes of one world.

    Raises:
        EvalError: There is one world only, and memories are to be swapped.
    """
    worlds = sorted({number // visits for number in folders})
    if memories == "swapped" and len(worlds) < 2:
        raise EvalError("memories of two worlds are needed to swap them: raise n")
    other = dict(zip(worlds, [*worlds[1:], *worlds[:1]], strict=True))
    found = {}
    for row in rows:
        world, visit = divmod(row["episode"], visits)
        if visit == 0:
            continue
        number = (other[world] if memories == "swapped" else world) * visits + visit - 1
        found[row["episode"]] = (folders[number], number)
    return found
