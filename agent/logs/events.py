"""What happens in an episode, as typed events; one JSON line each in ``events.jsonl``."""

import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

Ending = Literal["solved", "failed", "out_of_steps", "looping", "stopped", "model_error", "env_error"]
"""How an episode ended.

solved: the environment ended it with success. failed: the environment ended it without success.
out_of_steps: the environment's or the agent's budget is used up. looping: the same call had the
same result too often. stopped: the user or the caller stopped it. model_error: the model could not
decide. env_error: the environment raised, hung or gave no valid step.
"""

INGESTION = "ingestion"
"""Kind of an episode in which something is told and nothing asked."""

_FORMER_KINDS = {"listening": INGESTION}

TIMINGS = frozenset({"at", "seconds", "model_seconds"})
"""Fields that hold wall-clock times; all others are the same when a seed is run again."""


def current_kind(kind: str) -> str:
    """Return the name of a kind of mission today; logs of earlier releases may have another."""
    return _FORMER_KINDS.get(kind, kind)


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    at: float = Field(default_factory=time.time, description="Seconds since the epoch.")
    turn: int = Field(description="Decisions taken before this.")
    step: int = Field(description="Environment steps taken before this.")


class Start(_Event):
    """The start of an episode."""

    type: Literal["start"] = "start"
    env: str
    episode: int
    seed: int | None
    mission: str
    world: str = Field(description="Name of the map; the same when the world is entered again.")
    tools: list[dict[str, Any]] = Field(description="All tools, in OpenAI's format.")
    system: str = Field(description="The system message, tools not included.")
    optimal_steps: int | None
    kind: Annotated[str, AfterValidator(current_kind)] = Field(
        "", description="What the mission is about, if the environment says so."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="What the environment was made with.")


class Observed(_Event):
    """An observation from the environment."""

    type: Literal["observed"] = "observed"
    text: str
    reward: float
    terminated: bool
    truncated: bool
    note: str = Field("", description="What the agent's memory adds; the model reads it before the text.")
    shown: str | None = Field(None, description="What the model read of it; null inside a macro, and in older logs.")
    view: dict[str, Any] | None = None


class Decided(_Event):
    """An answer of the model."""

    type: Literal["decided"] = "decided"
    text: str = Field(description="The model's words.")
    name: str | None = Field(description="The tool called; null when the words are not a call.")
    arguments: dict[str, Any] | None
    surprise: float | None = Field(description="Of the newest observation, in [0, 1].")
    prefill_tokens: int
    decode_tokens: int
    forced_tokens: int
    dropped_messages: int
    seconds: float


class Ran(_Event):
    """A call of a tool or an action by a macro; the following events hold its result."""

    type: Literal["ran"] = "ran"
    macro: str = Field(description="The macro's call, such as go_to(red ball).")
    name: str
    arguments: dict[str, Any]


class Progressed(_Event):
    """What a tool says of a call that takes long, before it returns."""

    type: Literal["progressed"] = "progressed"
    name: str
    done: float = Field(description="From 0 to 1.")
    text: str


class Returned(_Event):
    """The result of a tool."""

    type: Literal["returned"] = "returned"
    name: str | None
    status: Literal["ok", "invalid", "failed"]
    text: str = Field(description="The whole result.")
    shown: str | None = Field(None, description="What the model read of it; null inside a macro, and in older logs.")
    data: Any = None


class Wrote(_Event):
    """A write into a memory."""

    type: Literal["wrote"] = "wrote"
    store: Literal["episodic", "relational", "spatial"]
    ids: list[int]
    text: str
    score: float | None = Field(None, description="The write gate's S, for traces.")
    surprise: float | None = None
    novelty: float | None = None
    reward: float | None = None


class End(_Event):
    """The end of an episode, with totals."""

    type: Literal["end"] = "end"
    ending: Ending
    reason: str
    success: bool
    steps: int
    total_reward: float
    model_calls: int
    tool_calls: dict[str, int]
    invalid_calls: int
    failed_calls: int
    prefill_tokens: int
    decode_tokens: int
    forced_tokens: int
    writes: int
    macro_actions: int = Field(0, description="Environment steps that macros took.")
    futile_calls: int = Field(0, description="Calls that changed nothing, or asked again what had been answered.")
    seconds: float
    model_seconds: float


Event = Start | Observed | Decided | Ran | Progressed | Returned | Wrote | End
PARSER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def conversation(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events as the model saw them: without the steps inside a macro, but with the macro's result."""
    calling: Decided | None = None
    inside = False
    for event in events:
        if isinstance(event, Decided):
            calling, inside = event, False
        elif isinstance(event, Ran):
            inside = True
        elif inside and isinstance(event, Returned) and calling is not None and event.name == calling.name:
            inside = False
        if not (inside and isinstance(event, Ran | Returned | Observed)):
            yield event


def untimed(event: Event) -> dict[str, Any]:
    """Return the event without wall-clock times, for comparing two runs."""
    return {key: value for key, value in event.model_dump().items() if key not in TIMINGS}
