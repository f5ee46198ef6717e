import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

import envs
from agent import Agent, AgentError, ConfigError, Event, ScriptedModel, Turn
from agent.driver import advance
from agent.logs.events import (
    Decided,
    Observed,
    Progressed,
    Returned,
    Start,
    Wrote,
    untimed,
)
from agent.logs.log import read_events
from agent.policies.script import RouteFollower
from memory import HashingEmbedder, Memory
from tests.agent.corridor import AHEAD, Corridor, agent, ending
from tools import ToolCall, ToolContext, UnknownToolError, tool


def test_an_episode_is_decide_act_remember(memory: Memory) -> None:
    script = [ToolCall(name="remember", arguments={"text": "doors are numbered"}), *[AHEAD] * 4]
    events = list(agent(script, memory).run(Corridor(), seed=5))
    end = ending(events)
    assert (end.ending, end.success, end.steps, end.model_calls) == ("solved", True, 4, 5)
    assert end.tool_calls == {"remember": 1, "ahead": 4}
    assert [type(e).__name__ for e in events[:6]] == ["Start", "Observed", "Wrote", "Wrote", "Decided", "Returned"]
    written = [e for e in events if isinstance(e, Wrote) and e.store == "episodic"]
    assert "doors are numbered" in [e.text for e in written]
    assert memory.stats()["traces"] == len({i for e in written for i in e.ids})
    assert memory.spatial.goals()[0] == "goal"


def test_recalled_text_is_never_written_back(memory: Memory) -> None:
    script = [ToolCall(name="remember", arguments={"text": "a secret"})]
    script += [ToolCall(name="recall", arguments={"cue": "a secret"}), AHEAD] * 4
    list(agent(script, memory).run(Corridor(), seed=0))
    keys = [row[0] for row in memory.store.db.execute("SELECT key FROM traces")]
    assert keys.count("a secret") == 1
    assert all(key == "a secret" or key.startswith("You stand") for key in keys)
    assert [strength for (strength,) in memory.store.db.execute("SELECT strength FROM traces")] == [1] * len(keys)


def test_a_tool_sees_the_moment_and_tells_its_progress(memory: Memory) -> None:
    seen: list[ToolContext] = []

    @tool
    def look(how: str, now: ToolContext) -> str:
        """Look around."""
        seen.append(now)
        now.progress(0.5, f"looking {how}")
        return "done"

    env = Corridor()
    player = Agent(
        ScriptedModel([ToolCall(name="look", arguments={"how": "up"}), *[AHEAD] * 4]), memory, plugins=[look]
    )
    events = list(player.run(env, seed=0))
    seen[0].progress(0.9, "too late")
    assert (seen[0].step, seen[0].memory, seen[0].env) == (0, memory, env)
    assert set(seen[0].actions) >= {"ahead"}
    told = [(e.name, e.done, e.text) for e in events if isinstance(e, Progressed)]
    assert told == [("look", 0.5, "looking up")]


def test_an_episode_that_is_played_again_repeats_no_side_effects(tmp_path: Path) -> None:
    sent: list[str] = []

    @tool(side_effects=True)
    def send(text: str) -> str:
        """Send a mail."""
        sent.append(text)
        return f"sent as number {len(sent)}"

    def play() -> list[Returned]:
        script = [ToolCall(name="send", arguments={"text": "hello"}), *[AHEAD] * 4]
        player = Agent(ScriptedModel(script), plugins=[send])
        slot = player.slot(Corridor(), [0], logs=[tmp_path / "000000" / "events.jsonl"], once=True)
        slot.overwrite = True
        assert slot.begin()
        while slot.playing:
            advance(player.model, [slot], 5.0)
        slot.close()
        return [e for e in read_events(tmp_path / "000000" / "events.jsonl") if isinstance(e, Returned)]

    assert [e.text for e in play()] == [e.text for e in play()] == ["sent as number 1"]
    assert sent == ["hello"]


def test_the_second_visit_uses_what_the_first_learnt(memory: Memory) -> None:
    list(agent([AHEAD] * 4, memory).run(Corridor(), seed=0))
    second = agent(RouteFollower(), memory)
    end = ending(list(second.run(Corridor(), seed=1)))
    assert (end.ending, end.steps, end.tool_calls["plan_route"]) == ("solved", 4, 1)


def test_nonsense_is_invalid_and_the_episode_goes_on() -> None:
    script = ["I think I should go", '{"name":"ahead"', ToolCall(name="fly"), *[AHEAD] * 4]
    events = list(agent(script).run(Corridor(), seed=0))
    returned = [e for e in events if isinstance(e, Returned)]
    assert [e.status for e in returned] == ["invalid"] * 3
    assert "expected" in returned[0].text
    assert "unknown tool 'fly'" in returned[2].text
    assert (ending(events).invalid_calls, ending(events).ending) == (3, "solved")


@tool
def crash() -> None:
    """Raise."""
    raise RuntimeError("boom")


@tool(timeout=0.05)
def hang() -> None:
    """Sleep."""
    time.sleep(0.4)


def test_tools_that_raise_or_hang_fail_and_the_episode_goes_on() -> None:
    script = [ToolCall(name="crash"), ToolCall(name="hang"), *[AHEAD] * 4]
    player = Agent(ScriptedModel(script), plugins=[crash, hang])
    events = list(player.run(Corridor(), seed=0))
    assert [e.status for e in events if isinstance(e, Returned)] == ["failed", "failed"]
    assert (ending(events).failed_calls, ending(events).ending) == (2, "solved")


def test_the_same_seed_gives_the_same_events(tmp_path: Path) -> None:
    def play() -> list[dict[str, Any]]:
        with Memory.open(None, HashingEmbedder()) as memory:
            player = agent(RouteFollower(), memory, max_calls=60)
            return [untimed(e) for seed in (3, 4) for e in player.run(envs.make("hippo/WaterMaze-v0"), seed=seed)]

    first = play()
    assert first == play()
    assert len(first) > 100


def test_other_peoples_harness_resets_and_acts(memory: Memory) -> None:
    env = Corridor()
    script = [ToolCall(name="recall", arguments={"cue": "door"}), *[AHEAD] * 4]
    player = agent(script, memory)
    seen: list[Event] = []
    with pytest.raises(AgentError, match="needs reset"):
        player.act("hello")
    player.reset("reach the end", Corridor.named_actions, emit=seen.append)
    observation, _ = env.reset()
    reward, done = 0.0, False
    while not done:
        observation, reward, done, _, _ = env.step(player.act(observation, reward))
    player.close(observation, reward, solved=True)
    assert ending(seen).ending == "solved"
    assert [e.text for e in seen if isinstance(e, Observed)][-1] == "You stand at door 4."


def test_a_harness_is_told_when_the_episode_ended() -> None:
    player = agent(["nonsense"], cycle=True, max_repeats=3)
    player.reset("go", Corridor.named_actions)
    with pytest.raises(AgentError, match="looping"):
        player.act("You are here.")


def test_environments_play_side_by_side() -> None:
    player = agent([AHEAD], cycle=True)
    episodes = player.run_batch([Corridor(), Corridor(limit=2), Corridor(broken_at=3)], [1, 2, 3])
    assert [ending(events).ending for events in episodes] == ["solved", "out_of_steps", "env_error"]
    with pytest.raises(ConfigError, match="a seed and a log"):
        player.run_batch([Corridor()], [1, 2])


def test_side_by_side_needs_separate_memories(memory: Memory) -> None:
    with pytest.raises(ConfigError, match="memory of its own"):
        agent([AHEAD], memory).run_batch([Corridor()], [1])


def test_actions_without_effect_are_not_offered() -> None:
    offers: list[list[str]] = []

    def policy(turn: Turn) -> ToolCall:
        offers.append([spec.name for spec in turn.offer])
        return ToolCall(name="left")

    env = envs.make("BabyAI-GoToLocal-v0")
    list(agent(policy, max_calls=3).run(env, seed=1))
    assert offers[0] == ["forward", "left", "right"]
    offers.clear()
    list(agent(policy, max_calls=3, narrow_actions=False).run(env, seed=1))
    assert set(offers[0]) == {"forward", "left", "right", "pickup", "drop", "toggle"}


def test_text_and_unnamed_actions_become_tools() -> None:
    class Quiz(Corridor):
        named_actions = None  # type: ignore[assignment]

        def __init__(self, space: spaces.Space[Any]) -> None:
            super().__init__()
            self.action_space = space  # type: ignore[assignment]

        def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return f"You said {action}.", float(action in ("Ada", 1)), True, False, {}

    answer = agent([ToolCall(name="answer", arguments={"text": "Ada"})])
    assert ending(list(answer.run(Quiz(spaces.Text(20)), seed=0))).ending == "solved"
    numbered = agent([ToolCall(name="action_1")])
    assert ending(list(numbered.run(Quiz(spaces.Discrete(2)), seed=0))).ending == "solved"
    with pytest.raises(ConfigError, match="can't be tools"):
        list(agent([]).run(Quiz(spaces.Box(0, 1)), seed=0))


def test_unsuitable_environments_and_tools_are_refused(memory: Memory) -> None:
    with pytest.raises(ConfigError, match="not text"):
        list(agent([]).run(gym.make("CartPole-v1"), seed=0))
    with pytest.raises(UnknownToolError, match="did you mean recall"):
        Agent(ScriptedModel([]), memory, tools=["recal"])


def test_decisions_carry_the_models_words() -> None:
    events: Iterator[Event] = agent([AHEAD] * 4).run(Corridor(), seed=0)
    decided = [e for e in events if isinstance(e, Decided)]
    assert [e.text for e in decided] == ['{"name":"ahead","arguments":{}}'] * 4


def test_an_action_may_have_any_value() -> None:
    class Waiting(Corridor):
        named_actions = {"wait": (None, "wait")}  # type: ignore[assignment]  # noqa: RUF012

        def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return "You waited.", 1.0, True, False, {}

    assert ending(list(agent([ToolCall(name="wait")]).run(Waiting(), seed=0))).ending == "solved"


def test_a_long_result_is_cut() -> None:
    @tool
    def page() -> str:
        """Give a page."""
        return "word " * 2000

    player = Agent(ScriptedModel([ToolCall(name="page"), *[AHEAD] * 4]), plugins=[page])
    seen: list[int] = []

    def watch(turn: Turn) -> ToolCall:
        seen.append(max(len(m.content) for m in turn.chat.messages))
        return ToolCall(name="page") if len(seen) == 1 else AHEAD

    player.model = ScriptedModel(watch)
    assert ending(list(player.run(Corridor(), seed=0))).ending == "solved"
    assert max(seen) == 801


def test_a_plugin_does_not_fake_a_write(memory: Memory) -> None:
    @tool
    def fake() -> Any:
        """Pretend."""
        from tools import ToolResult

        return ToolResult.ok("done", {"trace": 99, "facts": ["a"]})

    player = Agent(ScriptedModel([ToolCall(name="fake"), *[AHEAD] * 4]), memory, plugins=[fake])
    written = [e for e in player.run(Corridor(), seed=0) if isinstance(e, Wrote)]
    assert all(99 not in e.ids for e in written)


def test_worlds_without_a_seed_are_kept_apart(memory: Memory) -> None:
    class Nameless(Corridor):
        def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
            return super().reset(**options)[0], {}

    player = agent([AHEAD], memory, cycle=True)
    worlds = []
    for seed in (None, None, 4, 4):
        start = next(iter(player.run(Nameless(), seed=seed)))
        assert isinstance(start, Start)
        worlds.append(start.world)
    assert worlds[0] != worlds[1]
    assert worlds[2] == worlds[3]
