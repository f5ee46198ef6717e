"""Policies without a model: the baselines for a model's score."""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from agent.policies.follower import MissionFollower
from agent.policies.missions import goals_of
from memory.spatial import UNVISITED, Route
from tools import ToolCall, ToolSpec
from tools import names as tool_names

GOAL = "goal"


class RandomCaller:
    """Policy that makes random calls of offered tools; free text is made of words of the newest message."""

    def __init__(self) -> None:
        self._rngs: WeakKeyDictionary[Chat, random.Random] = WeakKeyDictionary()

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn."""
        rng = self._rngs.setdefault(turn.chat, random.Random(turn.chat.seed))  # noqa: S311
        spec = rng.choice(list(turn.offer))
        words = turn.chat.messages[-1].content.split()
        properties = spec.parameters["properties"]
        return ToolCall(name=spec.name, arguments={name: _any(s, words, rng) for name, s in properties.items()})


def _any(schema: Mapping[str, Any], words: list[str], rng: random.Random) -> Any:
    """Return a random value that satisfies a simple schema."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "boolean":
            return rng.random() < 0.5
        case "integer" | "number":
            return rng.randint(int(schema.get("minimum", 0)), int(schema.get("maximum", 9)))
        case "array":
            return []
        case _:
            return " ".join(rng.choices(words or ["nothing"], k=3))[: schema.get("maxLength", 40)]


class RouteFollower:
    """Policy that shows what the tools achieve alone: it asks the map for a route, follows it, and else explores.

    It goes to the ``goal`` if the map has it, and otherwise where ``explore`` leads.

    Args:
        find: Whether it calls ``find`` when that is offered.
    """

    def __init__(self, find: bool = False) -> None:
        self.find = find
        self._plans: WeakKeyDictionary[Chat, tuple[str, deque[str], int]] = WeakKeyDictionary()

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn.

        Raises:
            ModelError: There is no ``plan_route`` to ask.
        """
        offer = {spec.name: spec for spec in turn.offer}
        destination = (
            GOAL if GOAL in _goals(offer) else tool_names.EXPLORE if tool_names.EXPLORE in offer else UNVISITED
        )
        target, steps, route_message = self._plans.get(turn.chat, ("", deque(), 0))
        if target == destination and not steps:
            route_message = len(turn.chat.messages) - 1
            steps = deque(Route.parse_actions(turn.chat.messages[-1].content) or ())
            self._plans[turn.chat] = (target, steps, route_message)
        if target == destination and steps and steps[0] in offer and route_message >= turn.chat.start:
            return ToolCall(name=steps.popleft())
        if destination == tool_names.EXPLORE or destination in _goals(offer):
            self._plans[turn.chat] = (destination, deque(), 0)
            if self.find and tool_names.FIND in offer:
                return ToolCall(name=tool_names.FIND, arguments={"thing": GOAL})
            return ToolCall(name=tool_names.EXPLORE) if destination == tool_names.EXPLORE else _plan(destination)
        if "left" not in offer:
            raise ModelError("the script needs plan_route, or at least left: enable the memory's tools")
        return ToolCall(name="left")


class Script:
    """Policy that does missions in words that :class:`MissionFollower` knows, and otherwise goes to the goal.

    Args:
        macros: Whether it runs macros where they fit.
    """

    def __init__(self, macros: bool = False) -> None:
        self._missions, self._routes = MissionFollower(macros), RouteFollower()

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn."""
        understood = goals_of(turn.chat.mission) and tool_names.EXPLORE in {tool.name for tool in turn.chat.tools}
        return (self._missions if understood else self._routes)(turn)


def _plan(goal: str) -> ToolCall:
    return ToolCall(name=tool_names.PLAN_ROUTE, arguments={"goal": goal})


def _goals(offer: Mapping[str, ToolSpec]) -> Sequence[str]:
    if tool_names.PLAN_ROUTE not in offer:
        return ()
    schema: Mapping[str, Any] = offer[tool_names.PLAN_ROUTE].parameters["properties"]["goal"]
    goals: Sequence[str] = schema.get("enum", ())
    return goals
