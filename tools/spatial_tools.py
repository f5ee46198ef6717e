"""The map and the macros as tools."""

import re
from typing import Annotated

from pydantic import Field

from memory import InvalidItemError, Memory, UnknownItemError
from memory.procedural import SymbolicState
from memory.spatial import Route
from tools.context import ToolContext
from tools.decorator import tool
from tools.macro_run import MacroRun, StateReader
from tools.types import ToolResult

Goal = Annotated[str, Field(min_length=1, max_length=60)]
MacroCall = Annotated[str, Field(min_length=1, max_length=80)]
SUGGESTED = 8
FOUND = 6
"""Most actions in one result of ``find``: a model still sees all of them until they are done, and then asks again."""


class SpatialTools:
    """The tools for routes, places of things, exploring and macros.

    Args:
        memory: The memory.
        k: How many places or macros an answer holds at most.
    """

    def __init__(self, memory: Memory, k: int = 3) -> None:
        self.memory = memory
        self.k = k
        self.context = ToolContext()
        self._reached: tuple[str, int | None] | None = None

    def update(self, context: ToolContext) -> None:
        """Set what the tools may know of the moment; the loop calls this after every observation."""
        self.context = context

    def state(self) -> SymbolicState:
        """Return what is known now, as macros see it."""
        return SymbolicState.of(self.context.view, self.memory.spatial.goals())

    def _goals(self) -> list[str]:
        return self.memory.spatial.goals()

    def _suggested(self) -> list[str]:
        if not len(self.memory.macros):
            return []
        return [match.call for match in self.memory.macros.suggest(self.context.mission, self.state(), SUGGESTED)]

    def route(self, goal: str) -> Route:
        """Return the route to a place or thing.

        Raises:
            UnknownItemError: No route is known.
        """
        return self.memory.spatial.plan(goal)

    @tool(choices={"goal": _goals})
    def plan_route(self, goal: Goal) -> ToolResult:
        """Actions that lead to a known place or thing."""
        try:
            return _told(self.route(goal))
        except UnknownItemError as error:
            return ToolResult.failed(str(error))

    def _observed(self) -> bool:
        return self.memory.spatial.place is not None

    @tool(when=_observed)
    def explore(self) -> ToolResult:
        """Actions that lead to where most is unknown."""
        try:
            return _told(self.memory.spatial.explore())
        except UnknownItemError as error:
            return ToolResult.failed(str(error))

    @tool(when=_observed)
    def find(self, thing: Goal) -> ToolResult:
        """Actions that lead to a thing, or to where it may be."""
        if self.memory.spatial.pose is None and thing in self.context.actions:
            return ToolResult.failed(f"{thing} is an action: call it")
        carrying = str((self.context.view or {}).get("carrying") or "")
        spare = not carrying or carrying.split()[-1] not in re.findall(r"\w+", self.context.mission.lower())
        spatial = self.memory.spatial
        try:
            route = spatial.find(thing, carrying, spare, self.context.actions)
        except UnknownItemError as error:
            return ToolResult.failed(str(error))
        moment = (thing, self.context.step)
        if not route.actions and moment == self._reached:
            route = self._next(thing) or route
        self._reached = moment
        told = _told(route, FOUND)
        if spatial.pose is None and not route.actions and (words := spatial.excerpt(thing)):
            return ToolResult.ok(f"{thing} is named here: {words}", told.data)  # being named is not being there
        return told

    def _next(self, thing: str) -> Route | None:
        """Return the way to what the mission names after a thing where one is, else to the unknown."""
        words = re.findall(r"\w+", self.context.mission.lower())
        noun = thing.split()[-1]
        rest = words[len(words) - words[::-1].index(noun) :] if noun in words else []
        try:
            named = [name for name in self._goals() if name.split()[-1] in rest and name.split()[-1] != noun]
            return self.route(named[0]) if named else self.memory.spatial.explore()
        except UnknownItemError:
            return None

    @tool(choices={"thing": _goals})
    def where_is(self, thing: Goal) -> ToolResult:
        """Where a thing was last seen."""
        try:
            spots = self.memory.spatial.where_is(thing)
        except UnknownItemError as error:
            return ToolResult.failed(str(error))
        sure = self.memory.spatial.confidence
        doubt = "" if sure >= 1.0 else f" (you know where you are with {sure:.0%})"
        lines = [f"{spot.what}: {_place(spot.place, spot.cost)}" for spot in spots[: self.k]]
        data = [
            {"what": spot.what, "place": spot.place, "map": spot.map, "cost": spot.cost, "at": spot.position}
            for spot in spots
        ]
        return ToolResult.ok("; ".join(lines) + doubt, data)

    def _has_macros(self) -> bool:
        return bool(self._suggested())

    @tool(when=_has_macros)
    def suggest_macro(self) -> ToolResult:
        """What worked before and would fit now."""
        matches = self.memory.macros.suggest(self.context.mission, self.state(), self.k)
        if not matches:
            return ToolResult.ok("no macro fits", [])
        lines = [f"{match.call}: {match.score:.0%} likely to work" for match in matches]
        return ToolResult.ok("; ".join(lines), [[match.call, round(match.score, 4)] for match in matches])

    @tool(choices={"call": _suggested})
    def run_macro(self, call: MacroCall) -> ToolResult:
        """Do at once what worked before."""
        macros, spatial = self.memory.macros, self.memory.spatial
        try:
            macro, values = macros.parse(call)
        except UnknownItemError as error:
            return ToolResult.failed(str(error))
        except InvalidItemError as error:
            return ToolResult.invalid(str(error))
        if macro.status == "rejected":
            return ToolResult.failed(f"{macro.name} was tried and did not work: it is not run")
        reader = StateReader(self.state, lambda: spatial.place, lambda: spatial.joins)
        return ToolResult("ok", "", program=MacroRun(macro, values, macros, reader))


def _told(route: Route, most: int | None = None) -> ToolResult:
    data = {"actions": list(route.actions[:most]), "cost": route.cost, "after": list(route.after[:most])}
    return ToolResult.ok(route.hinted(most), data)


def _place(place: int, cost: float | None) -> str:
    return f"place {place}, no known way" if cost is None else f"place {place}, {cost:.0f} steps away"
