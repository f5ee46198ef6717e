"""Worlds side by side: those that are decided for act, while others are still being thought about."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent import Agent, AgentConfig, Chat, Decision, ModelError, Turn
from agent.driver import play
from agent.logs.events import Decided, End, Event
from agent.models.engine import Engine, Masks, Pending, Row
from agent.models.local import LocalModel
from envs import make
from memory import Embedder, HashingEmbedder, Memory
from memory.embedding import Vectors


class Slow:
    """Answers each chat only after it was asked several times, more often for each chat that is later."""

    name = "slow"

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.asked: dict[Chat, int] = {}
        self.turns: dict[Chat, Turn] = {}
        self.open: set[Chat] = set()
        self.decided_beside_open = 0

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        raise AssertionError("a model that is continuous is asked for what is ready")

    def decide_next(self, turns: Sequence[Turn]) -> list[Decision | None]:
        ready: list[Decision | None] = []
        for turn in turns:
            if turn.chat in self.open:
                assert self.turns[turn.chat] is turn, "a turn stays the same until its decision is taken"
            self.turns[turn.chat] = turn
            self.open.add(turn.chat)
            self.asked[turn.chat] = self.asked.get(turn.chat, -1 - list(self.turns).index(turn.chat)) + 1
            done = self.asked[turn.chat] >= 0 or len(turns) == 1
            if done:
                self.open.discard(turn.chat)
                self.asked[turn.chat] = -1 - list(self.turns).index(turn.chat)
            ready.append(Decision('{"name":"forward","arguments":{}}') if done else None)
        if self.fails and len(turns) > 1 and len(self.open) > 1:
            self.open.clear()
            raise RuntimeError("out of luck")
        self.decided_beside_open += bool(self.open) and any(ready)
        return ready if any(ready) else self.decide_next(turns)

    def release(self, chat: Chat) -> None:
        self.open.discard(chat)

    def describe(self) -> dict[str, object]:
        return {"name": self.name}


def played(model: object, worlds: int, calls: int, embedder: Embedder | None = None) -> list[list[Event]]:
    """Play a world for each number side by side, and return the events of each."""
    config = AgentConfig(max_calls=calls, max_repeats=0)
    events: list[list[Event]] = [[] for _ in range(worlds)]
    slots = [
        Agent(model, Memory.open(None, embedder) if embedder else None, config=config).slot(  # type: ignore[arg-type]
            make("hippo/WaterMaze-v0", maze_seed=seed, max_steps=10_000),
            [seed],
            keep=lambda _, event, mine=events[seed]: mine.append(event),  # type: ignore[misc]
        )
        for seed in range(worlds)
    ]
    assert len(list(play(model, slots, worlds))) == worlds  # type: ignore[arg-type]
    return events


@pytest.mark.parametrize("fails", [False, True])
def test_nobody_waits_for_the_longest_answer(fails: bool) -> None:
    model = Slow(fails)
    events = played(model, 4, calls=6)
    assert [sum(isinstance(event, Decided) for event in world) for world in events] == [6] * 4
    assert all(isinstance(world[-1], End) and world[-1].ending == "out_of_steps" for world in events)
    assert fails or model.decided_beside_open > 5


class Silent(Slow):
    """Never answers."""

    def decide_next(self, turns: Sequence[Turn]) -> list[Decision | None]:
        return [None for _ in turns]


def test_a_model_that_gives_nothing_ends_the_episode() -> None:
    for world in played(Silent(), 2, calls=2):
        end = world[-1]
        assert isinstance(end, End)
        assert end.ending == "model_error"
        assert "no decision" in end.reason


class Recorder(HashingEmbedder):
    """An embedder that notes what it was asked for together."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        return super().embed(texts)


class Reminded(Slow):
    """Recalls a cue of its own in each world."""

    def decide_next(self, turns: Sequence[Turn]) -> list[Decision | None]:
        return [Decision(f'{{"name":"recall","arguments":{{"cue":"where {turn.chat.seed}"}}}}') for turn in turns]


def test_what_tools_look_up_is_embedded_together() -> None:
    embedder = Recorder()
    played(Reminded(), 3, calls=2, embedder=embedder)
    cues = {f"where {seed}" for seed in range(3)}
    assert any(cues <= {*texts} for texts in embedder.asked)


class Late:
    """An engine on a GPU, as far as one can tell: what was begun is computed when it is waited for."""

    name, device = "torch", "cuda:0"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.vocab_size = engine.vocab_size
        self.under_way = False
        self.passes: list[int] = []

    def reserve(self, slots: int) -> None:
        self.engine.reserve(slots + 50)

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        assert not self.under_way
        assert len({row.slot for row in rows}) == len(rows)
        self.under_way = True
        self.passes.append(len(rows))
        allowed = masks() if any(row.chooses for row in rows) else None
        own = [replace(row, slot=row.slot + 50) for row in rows]

        def computed() -> list:  # type: ignore[type-arg]
            self.under_way = False
            return self.engine.begin(own, lambda: allowed)()  # type: ignore[arg-type,return-value]

        return computed


@pytest.mark.model
@pytest.mark.slow
def test_one_half_acts_while_the_other_is_computed(model: LocalModel) -> None:
    late = Late(model.engine)
    other = LocalModel(model.config, engine=late)
    one, two = (
        [[e.text for e in world if isinstance(e, Decided)] for world in played(each, 2, 1)] for each in (model, other)
    )
    assert one == two
    assert late.passes[0] == 1
    assert late.under_way is False and other.chats == 0


@pytest.mark.model
def test_a_world_that_leaves_disturbs_no_other(model: LocalModel) -> None:
    late = Late(model.engine)
    other = LocalModel(model.config, engine=late)
    agents = [Agent(other, config=AgentConfig(max_calls=2)) for _ in range(3)]
    slots = [agent.slot(make("hippo/WaterMaze-v0", maze_seed=seed), [seed]) for seed, agent in enumerate(agents)]
    playing = play(other, slots, 3)
    for slot in slots:
        slot.begin()
    turns = [slot.episode.turn() for slot in slots if slot.episode]
    ready = other.decide_next(turns)
    assert None in ready and late.under_way
    other.release(turns[ready.index(None)].chat)
    playing.close()
    rest = [turn for turn, done in zip(turns, ready, strict=True) if done is None][1:]
    decided = other.decide(rest) if rest else []
    assert all(decision.text.startswith('{"name"') for decision in decided)
    with pytest.raises(ModelError, match="same chat twice"):
        other.decide([turns[0], turns[0]])
