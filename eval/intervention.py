"""Interventions on the memory: the same visits are played again with a changed memory.

An arm kept a copy of its memory after each episode. Every later episode is now played by itself. It begins with that
memory unchanged (``restored``), with the memory of another world (``swapped``), with look-ups that return what belongs
to another item (``shuffled``), with look-ups that return random items (``random``), or with no memory (``empty``). If
an agent's answers do not change, it never read its memory.
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
"""Seed of all shuffles and random choices."""


class ShuffledTools(MemoryTools):
    """Memory tools whose look-ups return what belongs to another item, always the same one."""

    def hits(self, cue: str) -> list[Recall]:
        """Return the traces that were found, each with the content of another one."""
        ids = [int(row[0]) for row in self.memory.store.db.execute("SELECT id FROM traces ORDER BY id")]
        stand_ins = derangement(ids)
        get = self.memory.episodic.get
        return [replace(hit, trace=get(stand_ins[hit.trace.id])) for hit in super().hits(cue)]

    def facts(self, entity: str) -> list[Fact]:
        """Return the facts of another entity, stated about this one."""
        own_facts = super().facts(entity)
        other_heads = [*dict.fromkeys(fact.head for fact in super().facts(self._other(entity)))]
        if not own_facts or not other_heads:
            return []
        other_head, own_head = other_heads[0], own_facts[0].head
        return [
            replace(
                fact,
                head=own_head if fact.head == other_head else fact.head,
                tail=own_head if fact.tail == other_head else fact.tail,
            )
            for fact in super().facts(self._other(entity))
        ]

    def _other(self, entity: str) -> str:
        entities = self.memory.relational.entities()
        return str(derangement(sorted(entities)).get(normalise(entity), entity))

    def route(self, goal: str) -> Route:
        """Return the way to another place or thing."""
        return super().route(derangement(sorted(self.memory.spatial.goals())).get(goal, goal))


class RandomTools(MemoryTools):
    """Memory tools whose look-ups return random items of the memory."""

    def hits(self, cue: str) -> list[Recall]:
        """Return random traces, as many as were found."""
        own_hits = super().hits(cue)
        ids = [int(row[0]) for row in self.memory.store.db.execute("SELECT id FROM traces ORDER BY id")]
        picked = random.Random(f"{SEED} {cue}").sample(ids, min(len(ids), len(own_hits)))
        return [replace(hit, trace=self.memory.episodic.get(i)) for hit, i in zip(own_hits, picked, strict=False)]

    def facts(self, entity: str) -> list[Fact]:
        """Return the facts of a random entity."""
        entities = sorted(self.memory.relational.entities())
        return super().facts(random.Random(f"{SEED} {entity}").choice(entities)) if entities else []


TOOLS: Mapping[Memories, type[MemoryTools]] = {"shuffled": ShuffledTools, "random": RandomTools}


def derangement(items: Sequence[Any]) -> dict[Any, Any]:
    """Map each item to another one by a fixed permutation; a single item is mapped to itself."""
    mixed = [*items]
    random.Random(SEED).shuffle(mixed)
    return dict(zip(mixed, [*mixed[1:], *mixed[:1]], strict=True))


class Intervention(Collection):
    """Episodes that are played one by one, each beginning with a kept memory, changed or not.

    Args:
        config: Settings of the run that kept the memories, with another name.
        seeds: Seeds of the split.
        make_env: Makes the environment.
        before: For each episode, the folder and number of the episode after which its memory was kept.
        memories: How the memory is changed.
        model: The model that decides; by default that of the settings.
    """

    def __init__(
        self,
        config: CollectConfig,
        seeds: range,
        make_env: Callable[..., gym.Env[Any, Any]],
        before: Mapping[int, tuple[Path, int]],
        memories: Memories,
        model: Model | None = None,
    ) -> None:
        self.before = before
        self.memories = memories
        super().__init__(config, seeds, make_env, model)

    def visits_in(self, env: gym.Env[Any, Any]) -> int:  # noqa: ARG002
        """Return 1: no episode hands its memory on."""
        return 1

    def worlds(self) -> list[int]:
        """Return the episodes that are still to be played."""
        done = {row["episode"] for row in self.rows}
        return [number for number in self.before if number not in done]

    def worker(self, model: Model | None = None, embedder: Embedder | None = None) -> RolloutWorker:
        """Make the worker that plays with these memories."""
        return _InterventionWorker(self, model, embedder)


class _InterventionWorker(RolloutWorker):
    def __init__(self, run: Intervention, model: Model | None, embedder: Embedder | None) -> None:
        super().__init__(run.config, run.folder, run.first, run.make_env, model, embedder)
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
    """Return which kept memory each episode begins with.

    It is the memory of its world after the visit before, or that of another world.

    Args:
        rows: Counted episodes of the run that kept the memories.
        folders: Folder of each episode of that run, by number.
        memories: ``swapped`` takes the memory of the next world after the same number of visits.
        visits: Number of episodes in one world.

    Raises:
        EvalError: Memories are to be swapped, and there is only one world.
    """
    worlds = sorted({number // visits for number in folders})
    if memories == "swapped" and len(worlds) < 2:
        raise EvalError("memories of two worlds are needed to swap them: raise n")
    next_world = dict(zip(worlds, [*worlds[1:], *worlds[:1]], strict=True))
    beginnings = {}
    for row in rows:
        world, visit = divmod(row["episode"], visits)
        if visit == 0:
            continue
        number = (next_world[world] if memories == "swapped" else world) * visits + visit - 1
        beginnings[row["episode"]] = (folders[number], number)
    return beginnings
