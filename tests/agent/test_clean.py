"""Text that is no valid Unicode ends no run, wherever it comes in."""

from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

from agent import Agent, AgentConfig, ScriptedModel
from memory import InvalidItemError, Memory, Provenance
from memory.clean import clean_data, clean_text, text_of
from tests.agent.corridor import ending
from tools import ToolCall, tool

BAD = ["\ud83d", "\udc00", "a\ud800b", "\udfff\ud800", "x" * 50 + "\ud83d", "Zoë \udcff", "李\ud800明"]


@pytest.mark.parametrize("text", BAD)
def test_a_lone_surrogate_becomes_a_mark(text: str) -> None:
    assert "\ufffd" in clean_text(text)
    assert clean_text(text).encode()
    assert clean_data({text: [text, 1, None]}) == {clean_text(text): [clean_text(text), 1, None]}


def test_good_text_stays_and_pairs_are_joined() -> None:
    for text in ("", "plain", "Zoë 李明 🎉", "a\0b"):
        assert clean_text(text) is text
    assert clean_text("\ud83c\udf89") == "🎉"


class Rude:
    def __str__(self) -> str:
        raise ValueError("no words")


def test_what_can_not_be_shown_is_named() -> None:
    assert text_of(Rude()) == "(Rude that can't be shown as text: ValueError)"


class Babble(gym.Env[str, int]):
    """Speaks badly everywhere."""

    named_actions = {"ahead": (0, "step ahead")}  # noqa: RUF012

    def __init__(self, text: str, raises: bool = False) -> None:
        self.text, self.raises = text, raises
        self.action_space, self.observation_space = spaces.Discrete(1), spaces.Text(100)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return f"You see {self.text}.", {"mission": f"find {self.text}", "world": f"world {self.text}"}

    def step(self, action: int) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.raises:
            raise RudeError
        return f"Still {self.text}.", float(self.steps > 2), self.steps > 2, False, {}


class RudeError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("text", BAD)
def test_a_whole_episode_of_bad_text(text: str, memory: Memory) -> None:
    @tool
    def shout() -> str:
        """Shout."""
        return text

    calls = [
        ToolCall(name="shout"),
        text,
        ToolCall(name="remember", arguments={"text": text}),
        *[ToolCall(name="ahead")] * 3,
    ]
    agent = Agent(ScriptedModel(calls), memory, plugins=[shout], config=AgentConfig())
    assert ending(list(agent.run(Babble(text)))).ending == "solved"


def test_an_environment_that_raises_what_can_not_be_shown_fails_in_words(memory: Memory) -> None:
    agent = Agent(ScriptedModel([ToolCall(name="ahead")]), memory, config=AgentConfig())
    end = ending(list(agent.run(Babble("x", raises=True))))
    assert (end.ending, "RudeError" in end.reason) == ("env_error", True)


@pytest.mark.parametrize("text", BAD)
def test_memories_take_it_clean(text: str, memory: Memory) -> None:
    number = memory.episodic.write(text + " seen", {"who": text}, origin=Provenance(text, text, text))
    trace = memory.episodic.get(number)
    assert trace.key == clean_text(text) + " seen"
    assert trace.provenance[0].doc_id == clean_text(text)
    assert memory.episodic.recall(text, 1)
    with pytest.raises(InvalidItemError, match="valid Unicode"):
        memory.relational.ask(text)


def test_a_harness_that_gives_no_valid_unicode(memory: Memory) -> None:
    """Half of an emoji, as a foreign harness may cut it, reaches neither embedder nor disk."""
    broken = "a \ud83d door"
    player = Agent(ScriptedModel([ToolCall(name="ahead")] * 3), memory)
    player.reset(broken, ["ahead", "back"])
    assert player.act(broken) == "ahead"
    assert player.act(f"another {broken}") == "ahead"
    player.close(broken, 1.0, True)
    assert 0.0 <= memory.episodic.novelty(broken) <= 1.0
    assert all("\ud83d" not in key for (key,) in memory.store.db.execute("SELECT key FROM traces"))
