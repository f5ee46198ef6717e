"""A policy without a model: asks the map for a route, follows it, explores where there is none.

It shows what the tools alone can do, beside which a model's score has to be read.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from memory.spatial import UNVISITED
from tools import ToolCall, ToolSpec

GOAL = "goal"


class RouteFollower:
    """Goes to the ``goal`` if the map has it, else to the nearest place it never stood on."""

    def __init__(self) -> None:
        self._plans: WeakKeyDictionary[Chat, tuple[str, deque[str]]] = WeakKeyDictionary()

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn.

        Raises:
            ModelError: There is no ``plan_route`` to ask.
        """
        offer = {spec.name: spec for spec in turn.offer}
        goals = _goals(offer)
        wanted = GOAL if GOAL in goals else UNVISITED
        target, steps = self._plans.get(turn.chat, ("", deque()))
        if target == wanted and not steps:
            steps = deque(_actions(turn.chat.messages[-1].content))
            self._plans[turn.chat] = (target, steps)
        if target == wanted and steps and steps[0] in offer:
            return ToolCall(name=steps.popleft())
        if wanted in goals:
            self._plans[turn.chat] = (wanted, deque())
            return ToolCall(name="plan_route", arguments={"goal": wanted})
        if "left" not in offer:
            raise ModelError("the script needs plan_route, or at least left: enable the memory's tools")
        return ToolCall(name="left")


def _goals(offer: Mapping[str, ToolSpec]) -> Sequence[str]:
    if "plan_route" not in offer:
        return ()
    schema: Mapping[str, Any] = offer["plan_route"].parameters["properties"]["goal"]
    found: Sequence[str] = schema.get("enum", ())
    return found


def _actions(hint: str) -> list[str]:
    """Read a hint such as ``goal: forward 3, left (4 steps)``; anything else gives no actions."""
    _, colon, rest = hint.partition(": ")
    words = rest.rpartition(" (")[0]
    actions: list[str] = []
    for part in words.split(", ") if colon and words else ():
        name, _, count = part.partition(" ")
        actions += [name] * (int(count) if count.isdigit() else 1)
    return actions
