"""The settings of the loop, the context in which an episode is played, and the counts kept while it is."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.logs.events import End, Ending, Start
from agent.models.base import Decision, Usage
from agent.shown import MAX_RESULT

MAX_DETAILS = 1200
"""Characters of descriptions of arguments that a prompt has room for: about 300 tokens."""


class AgentConfig(BaseModel):
    """Settings of the loop."""

    model_config = ConfigDict(extra="forbid")

    max_calls: int = Field(100, ge=1, description="Most decisions in one episode.")
    max_repeats: int = Field(8, ge=0, description="Same call with same result in a row before looping; 0 is off.")
    narrow_actions: bool = Field(True, description="Offer only actions that can have an effect now.")
    narrow_futile: bool = Field(
        True, description="Offer last or not at all what had no effect, till something changes."
    )
    max_details: int = Field(
        MAX_DETAILS,
        ge=0,
        description="Most characters of descriptions of arguments in the prompt; what is more is cut.",
    )
    max_result: int = Field(MAX_RESULT, ge=80, description="Longest result of a tool in characters; the rest is cut.")
    history: bool = Field(False, description="The conversation of earlier episodes in a world stays in the prompt.")
    env_timeout: float = Field(30.0, gt=0, description="Seconds for one step of the environment.")


@dataclass(frozen=True)
class EpisodeContext:
    """What an episode is played in.

    Attributes:
        env: Name of the environment.
        number: Number of the episode in its run.
        seed: Seed of the environment and of sampling.
        mission: What is to be done.
        world: Name of the map.
        action_names: Which tools are the environment's actions.
        optimal_steps: Fewest steps, if the environment knows them.
        kind: What the mission is about, if the environment says so.
        settings: What the environment was made with.
        label: What the memory calls the episode: the document in the provenance of what is written.
    """

    env: str
    number: int
    seed: int | None
    mission: str
    world: str
    action_names: Sequence[str]
    optimal_steps: int | None = None
    kind: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    def start(self, tools: list[dict[str, Any]], system: str) -> Start:
        """Make the first event of the episode's log.

        Args:
            tools: All tools, in OpenAI's format.
            system: The system message, tools not included.
        """
        return Start(
            turn=0,
            step=0,
            env=self.env,
            episode=self.number,
            seed=self.seed,
            mission=self.mission,
            world=self.world,
            tools=tools,
            system=system,
            optimal_steps=self.optimal_steps,
            kind=self.kind,
            settings=dict(self.settings),
        )


@dataclass
class EpisodeStats:
    """Totals of an episode so far."""

    turns: int = 0
    steps: int = 0
    total_reward: float = 0.0
    tool_calls: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    failed: int = 0
    writes: int = 0
    macro_actions: int = 0
    futile: int = 0
    usage: Usage = field(default_factory=Usage)
    model_seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    def add(self, decision: Decision) -> None:
        """Count the cost of one decision."""
        a, b = self.usage, decision.usage
        self.usage = Usage(a.prefill + b.prefill, a.decode + b.decode, a.forced + b.forced, a.dropped + b.dropped)
        self.model_seconds += decision.seconds

    def end(self, ending: Ending, reason: str) -> End:
        """Make the last event of the episode's log."""
        return End(
            turn=self.turns,
            step=self.steps,
            ending=ending,
            reason=reason,
            success=ending == "solved",
            steps=self.steps,
            total_reward=self.total_reward,
            model_calls=self.turns,
            tool_calls=dict(self.tool_calls),
            invalid_calls=self.invalid,
            failed_calls=self.failed,
            prefill_tokens=self.usage.prefill,
            decode_tokens=self.usage.decode,
            forced_tokens=self.usage.forced,
            writes=self.writes,
            macro_actions=self.macro_actions,
            futile_calls=self.futile,
            seconds=time.perf_counter() - self.began,
            model_seconds=self.model_seconds,
        )
