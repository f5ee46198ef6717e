"""The worker that plays worlds, each with a memory of its own that lasts for all visits to the world."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from agent.config import POLICIES, CollectConfig
from agent.driver import EpisodeSlot, play
from agent.errors import ConfigError
from agent.hub import catalog
from agent.logs.events import INGESTION, End, Event, Start
from agent.logs.manifest import Row, episode_summary
from agent.loop import Agent
from agent.models.base import Model
from agent.models.local import LocalModelConfig
from agent.models.scripted import Policy, ScriptedModel
from agent.models.tokens import ChatTokens, tokenizer_of
from agent.models.window import Window, Windowed
from agent.policies import RandomCaller, expert_for
from agent.policies.plugin import plugged_policy
from agent.rollout.memories import gate_of, kept_memory, library_of, open_memory
from agent.text_env import Env, MakeEnv, visits_of
from memory import Embedder, Memory
from memory.embedding import by_name
from tools import MemoryTools
from tools.mcp_tools import mcp_tools
from tools.plugins import load_all


class RolloutWorker:
    """A worker that plays worlds, each with a memory of its own that lasts for all visits to the world.

    Args:
        config: Settings.
        folder: Folder of the run.
        first: Seed of the first episode.
        make_env: Makes the environment.
        model: The model that decides, for ``policy=model``; otherwise the expert or the random policy decides.
        embedder: The embedder of the memories; by default the one that the settings name.
    """

    def __init__(
        self,
        config: CollectConfig,
        folder: Path,
        first: int,
        make_env: MakeEnv,
        model: Model | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.first = first
        self.size = config.batch if config.policy == "model" else 1
        self._stack = ExitStack()
        self._plugins = [*load_all(config.plugins), *self._stack.enter_context(mcp_tools(config.mcp))]
        self._embedder = (embedder or by_name(config.memory.embedder)) if config.memory.enabled else None
        self._library = library_of(config.memory)
        self._all = [make_env(config.env.id, **config.env.kwargs) for _ in range(self.size)]
        self._envs = deque(self._all)
        self._memories: dict[int, Memory] = {}
        self.visits = self._visits = visits_of(self._envs[0])
        self.tools: type[MemoryTools] = MemoryTools
        self.model = model or self._policy(self._envs[0])

    def _policy(self, env: Env) -> Model:
        if self.config.policy == "random":
            return ScriptedModel(RandomCaller(), name="random")
        if self.config.policy not in POLICIES:
            return plugged_policy(self.config.policy)
        env.reset(seed=self.first)
        expert: Policy = expert_for(env)
        if self.config.window:
            if not isinstance(self.config.model, LocalModelConfig):
                raise ConfigError("window=true needs the name of a local model, such as model=smollm2-135m")
            expert = windowed(expert, self.config.model)
        return ScriptedModel(expert, name="expert")

    def play(self, worlds: Iterable[int]) -> Generator[list[Row], None, None]:
        """Play worlds, and yield the rows of each world as soon as all its episodes have ended."""
        rows: dict[int, list[Row]] = {}
        playing: dict[EpisodeSlot, int] = {}

        def slots() -> Iterator[EpisodeSlot]:
            for world in worlds:
                slot = self._slot(world, rows)
                playing[slot] = world
                yield slot

        timeout = self.config.agent.env_timeout
        try:
            with closing(play(self.model, slots(), self.size, timeout)) as finished:
                for slot in finished:
                    world = playing.pop(slot)
                    self._envs.append(slot.env)
                    if world in self._memories:
                        self._memories.pop(world).close()
                    yield rows.pop(world)
        finally:  # the play of a world may have been interrupted
            for memory in self._memories.values():
                memory.close()
            self._memories.clear()
            self._envs = deque(self._all)

    def _slot(self, world: int, rows: dict[int, list[Row]]) -> EpisodeSlot:
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
            self.model,
            memory,
            config.memory.tools if memory else None,
            self._plugins,
            gate_of(config.memory),
            config.agent.model_copy(update=guard),
            memory_tools=self.tools,
        )
        seeds = [self.first + number for number in numbers]
        labels = [f"episode {number % self._visits}" for number in numbers]
        slot = agent.slot(self._envs.popleft(), seeds, numbers, labels, logs, keep, once=True)
        slot.overwrite = True  # a run that was killed may have left logs behind
        return slot

    def _remembered(self, world: int) -> Memory | None:
        """Open the memory that a world begins with; return ``None`` if memories are off."""
        if self._embedder is None:
            return None
        memory = self._memories[world] = self.open_memory(world, self._embedder)
        return memory

    def open_memory(self, world: int, embedder: Embedder) -> Memory:  # noqa: ARG002
        """Open the memory that a world begins with: a new one, with the macros of the library if there is one."""
        memory = open_memory(self.config.memory, None, embedder)
        if self._library is not None:
            memory.macros.copy_from(self._library.macros)
        return memory

    def close(self) -> None:
        """Close the environments, and the connections to servers."""
        self._stack.close()
        for env in self._all:
            env.close()
        if self._library is not None:
            self._library.close()


def windowed(script: Policy, model: LocalModelConfig) -> Windowed:
    """Return the script, wrapped so that it sees only what fits into the model's window.

    Raises:
        CatalogError: There is no such model.
    """
    tokens = ChatTokens(tokenizer_of(catalog.resolve(model.name)))
    return Windowed(script, tokens, Window(model.seq_len, model.max_call_tokens))


def counted_visits(env: Env) -> int:
    """Return how many episodes of each world are scored: all except those of ingestion.

    The kinds of the episodes are read by resetting the environment for each visit to the first world.
    """
    kinds = [env.reset(seed=seed)[1].get("kind") for seed in range(visits_of(env))]
    return len(kinds) - kinds.count(INGESTION)


def _row(start: Start, end: End, visit: int) -> Row:
    about = {"episode": start.episode, "kind": start.kind, "world": start.world, "visit": visit}
    return about | episode_summary(start, end, end.seconds) | {"log": f"{start.episode:06}/events.jsonl"}
