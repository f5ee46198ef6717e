"""A script that does missions through the agent's tools; it reads the observations and asks the map, nothing else."""

import random
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from agent.chat import Chat
from agent.errors import ModelError
from agent.models.base import Turn
from agent.policies.missions import Goal, goals_of
from memory.procedural.program import fits
from memory.spatial import CUT, THERE, UNKNOWN, UNVISITED, Route, place_number
from tools import ToolCall, ToolSpec
from tools import names as tool_names

_AHEAD = re.compile(r"(?:see|,) (?:an? )?([\w ]+?) 1 step forward\b")
_IN_THE_WAY = re.compile(r"in the way: ([\w ]+) \((place \d+)\)")
_CARRIED = re.compile(r"You carry an? ([\w ]+)\.")
MAX_MACRO_FAILURES = 2
MAX_TURNS = 5
TWICE = 0.1
EXPLORE = "(explore)"


@dataclass
class _State:
    """The state of a script in one episode.

    Attributes:
        goals: Goals to reach, the current one first.
        route: Actions of the current route that are still to be done.
        told: Index of the message that held the route.
        cut: Whether only the first actions of the route were shown.
        target: What the route leads to.
        asked: What the last call asked the map for, until its answer is read.
        arrived: What was reached last; ``dropped <thing>`` after putting a thing down beside another.
        barred: Targets to which the map knows no route for now.
        in_the_way: Place of a thing that blocks the way, such as ``place 12``.
        puzzled: Thing and count of barred targets when the script last asked what is in the way.
        turns: Turns made to find a free cell for what is carried.
        macro: The macro call that was just made.
        failures: How often each macro call failed.
        given: The goals that :meth:`MissionFollower.pursue` was given.
    """

    goals: deque[Goal]
    route: deque[str] = field(default_factory=deque)
    told: int = 0
    cut: bool = False
    target: str = ""
    asked: str = ""
    arrived: str = ""
    barred: set[str] = field(default_factory=set)
    in_the_way: str = ""
    puzzled: tuple[str, int] = ("", 0)
    turns: int = 0
    macro: str = ""
    failures: dict[str, int] = field(default_factory=dict)
    given: tuple[Goal, ...] = ()


class MissionFollower:
    """Policy that goes to, picks up, opens, unlocks and puts down what the mission names, by routes over the map.

    It sees what a model sees: the words of the observation, and the offered tools with their choices.

    Args:
        macros: Whether it runs a macro when one is offered for the current goal.
        understand: Translates a mission into BabyAI's words, for worlds whose missions are in other words.
        find: Whether it calls ``find`` when that is offered, instead of ``plan_route`` and ``explore``.
    """

    def __init__(self, macros: bool = False, understand: Callable[[str], str] = str, find: bool = False) -> None:
        self.macros = macros
        self.find = find
        self.understand = understand
        self._states: WeakKeyDictionary[Chat, _State] = WeakKeyDictionary()

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn.

        Raises:
            ModelError: The mission is in words that the script does not know, or the map's tools are not offered.
        """
        state = self._states.get(turn.chat)
        if state is None:
            goals = goals_of(self.understand(turn.chat.mission))
            if not goals:
                raise ModelError(f"the script does not understand the mission {turn.chat.mission!r}")
            state = self._states[turn.chat] = _State(deque(goals))
        return _Move(turn, state, self.macros, self.find).choose()

    def pursue(self, turn: Turn, goals: Sequence[Goal]) -> ToolCall:
        """Return the next call towards these goals; they replace the mission's and may change from turn to turn."""
        state = self._states.get(turn.chat)
        if state is None or state.given != tuple(goals):
            state = self._states[turn.chat] = _State(deque(goals), given=tuple(goals))
        return _Move(turn, state, self.macros, self.find).choose()


class _Move:
    """One decision of the script."""

    def __init__(self, turn: Turn, state: _State, macros: bool, find: bool) -> None:
        self.state = state
        self.macros = macros
        self.offer = {spec.name: spec for spec in turn.offer}
        self.find = find and tool_names.FIND in self.offer
        self.chat = turn.chat
        self.last = turn.chat.messages[-1].content
        observation = next((m.content for m in reversed(turn.chat.messages) if _is_observation(m.content)), "")
        self.ahead = ahead_in(observation)
        self.carrying = carried_in(observation)
        self.known = choices(self.offer, tool_names.PLAN_ROUTE, "goal")
        self.sought = state.goals[0].thing or UNKNOWN if state.goals else UNKNOWN

    def choose(self) -> ToolCall:
        """Return the next call."""
        if not {tool_names.EXPLORE, "left"} & set(self.offer):
            raise ModelError("the script needs plan_route and explore: enable the memory's tools")
        self._read()
        state = self.state
        while len(state.goals) > 1 and self._done(state.goals[0]):
            self._finish()
        if state.turns and self.carrying:
            return self._put_down()
        return self._macro(state.goals[0]) or (self._clear() if state.in_the_way else self._do(state.goals[0]))

    def _finish(self) -> None:
        self.state.goals.rotate(-1)  # kept at the end: if the world undoes it, it is done again
        self.state.route.clear()
        self.state.arrived = ""

    def _read(self) -> None:
        """Update the state with the answer to the last call."""
        state = self.state
        if state.macro and self.last.startswith(("failed: ", "invalid: ")):
            state.failures[state.macro] = state.failures.get(state.macro, 0) + 1
        if state.asked:
            actions = Route.parse_actions(self.last)
            elsewhere = self.find and self.last.startswith((f"{UNKNOWN}: ", f"{UNVISITED}: "))
            if elsewhere and state.asked != EXPLORE:
                state.barred.add(state.asked)
                state.asked = EXPLORE
            state.target, state.route = state.asked, deque(actions or ())
            state.told, state.cut = len(self.chat.messages) - 1, CUT in self.last
            if actions is None or self.last.startswith(f"{UNVISITED}: "):  # everything that can be seen was seen
                state.barred.add(state.asked)
                state.route.clear()
            elif not actions:
                state.arrived = state.asked
        state.asked = state.macro = ""

    def _macro(self, goal: Goal) -> ToolCall | None:
        if not self.macros or self.state.route:
            return None
        goal_words = {word for value in (goal.thing, goal.other) for word in value.split()}
        for call in choices(self.offer, tool_names.RUN_MACRO, "call"):
            words = set(re.findall(r"\w+", call.partition("(")[2]))
            if words <= goal_words and self.state.failures.get(call, 0) < MAX_MACRO_FAILURES:
                self.state.macro = call
                return ToolCall(name=tool_names.RUN_MACRO, arguments={"call": call})
        return None

    def _done(self, goal: Goal) -> bool:
        if goal.verb == "go to":
            return fits(goal.thing, self.ahead)
        if goal.verb == "pick up":
            return fits(goal.thing, self.carrying)
        if goal.verb == "open":
            return self.ahead.startswith("open ") and fits(goal.thing, self.ahead)
        return self.state.arrived == f"dropped {goal.thing}"

    def _do(self, goal: Goal) -> ToolCall:
        if goal.verb == "go to":
            return self._reach(goal.thing)
        if goal.verb == "pick up":
            return self._get(goal.thing)
        if goal.verb == "open":
            return self._open(goal.thing)
        if not fits(goal.thing, self.carrying):
            return self._get(goal.thing)
        return self._reach(f"beside {goal.other}", then="drop", mark=f"dropped {goal.thing}")

    def _get(self, thing: str) -> ToolCall:
        return self._reach(thing, then="pickup")

    def _open(self, door: str) -> ToolCall:
        names = [self.ahead, *self.known]
        locked = next((name for name in names if name.startswith("locked ") and fits(door, name)), "")
        if locked and self.carrying != f"{locked.split()[1]} key":
            return self._get(f"{locked.split()[1]} key")
        return self._reach(door, then="toggle")

    def _put_down(self) -> ToolCall:
        """Put down what is carried on a free cell that is not straight ahead."""
        state = self.state
        state.route.clear()
        state.turns += 1
        if state.turns > 1 and "drop" in self.offer:
            state.turns = 0
            return ToolCall(name="drop")
        if state.turns > MAX_TURNS:  # nothing is free here
            state.turns = 0
            return self._ask(tool_names.EXPLORE, EXPLORE)
        return ToolCall(name="left" if "left" in self.offer else "right")

    def _reach(self, target: str, then: str = "", mark: str = "") -> ToolCall:
        """Go to a thing and do the action ``then`` there; explore while the map does not have the thing."""
        state = self.state
        self.sought = target
        thing = target.removeprefix("beside ")
        place = place_number(target) is not None
        reached = state.arrived == target if place or thing != target else fits(thing, self.ahead)
        if reached and self.find and not place and asks_twice(self.chat):
            return self._ask(tool_names.FIND, target)
        if reached and then == "pickup" and self.carrying:
            return self._put_down()
        if reached and then in self.offer:
            state.route.clear()
            state.arrived = mark
            return ToolCall(name=then)
        known = place or not self.known or any(fits(thing, name) for name in self.known)
        if known and target not in state.barred:
            return self._follow(target) or self._ask(tool_names.PLAN_ROUTE, target, goal=target)
        if EXPLORE not in state.barred:
            step = self._follow(EXPLORE)
            if step is None:
                return self._ask(tool_names.EXPLORE, EXPLORE)
            if not state.route:
                state.barred.clear()
            return step
        return self._unblock(thing)

    def _follow(self, target: str) -> ToolCall | None:
        """Return the next action of the route to ``target``, or ``None`` if there is no route or it can't be done."""
        state = self.state
        if state.target != target or not state.route:
            return None
        if state.route[0] not in self.offer or state.told < self.chat.start:  # the route dropped out of the window
            state.route.clear()
            return None
        action = state.route.popleft()
        state.arrived = target if not state.route and not state.cut else ""
        return ToolCall(name=action)

    def _ask(self, tool: str, target: str, plainly: bool = False, **arguments: str) -> ToolCall:
        """Ask the map: with ``find`` if the script uses it, or with ``tool`` if not, or if ``plainly`` is set."""
        state = self.state
        state.asked, state.arrived = target, ""
        state.route.clear()
        if self.find and not plainly:
            return ToolCall(name=tool_names.FIND, arguments={"thing": self.sought if target == EXPLORE else target})
        return ToolCall(name=tool, arguments=arguments)

    def _unblock(self, thing: str) -> ToolCall:
        """Find out what is in the way when nothing more can be reached, and clear it."""
        state = self.state
        match = _IN_THE_WAY.search(self.last)
        named = match[1] if match else ""
        if not named and state.puzzled != (puzzle := (thing, len(state.barred))):
            state.puzzled = puzzle
            known = any(fits(thing, name) for name in self.known)
            return self._ask(tool_names.PLAN_ROUTE, thing if known else UNKNOWN, True, goal=thing if known else UNKNOWN)
        state.barred.clear()
        state.puzzled = ("", 0)
        if named.startswith("locked "):
            state.goals.appendleft(Goal("open", " ".join(named.split()[1:])))
            return self._do(state.goals[0])
        state.in_the_way = match[2] if match else ""
        if self.carrying:
            return self._put_down()
        if not named:
            return self._ask(tool_names.EXPLORE, EXPLORE)
        return self._clear()

    def _clear(self) -> ToolCall:
        """Pick up a thing that may be in the way."""
        state = self.state
        if self.carrying or state.in_the_way in state.barred:
            state.in_the_way = ""  # it is carried along, and put down before another thing is picked up
            state.barred.clear()
            return self._do(state.goals[0])
        return self._reach(state.in_the_way, then="pickup")


def asks_twice(chat: Chat) -> bool:
    """Return whether to ask, now and then, for the way to a thing that is already ahead.

    A model that is trained on these episodes then learns that answer too.
    """
    just_asked = chat.messages[-1].content.endswith(THERE)
    return not just_asked and random.Random(f"{chat.seed} {len(chat.messages)}").random() < TWICE  # noqa: S311


def _is_observation(text: str) -> bool:
    return "You see " in text


def ahead_in(observation: str) -> str:
    """Return what an observation says is one step ahead, or an empty text."""
    match = _AHEAD.search(observation.replace(" and 1 step forward", ""))
    return match[1] if match else ""


def carried_in(observation: str) -> str:
    """Return what an observation says is carried, or an empty text."""
    match = _CARRIED.search(observation)
    return match[1] if match else ""


def choices(offer: Mapping[str, ToolSpec], tool: str, argument: str) -> Sequence[str]:
    """Return the values that an argument of a tool is limited to; none if it is free or the tool is not offered."""
    if tool not in offer:
        return ()
    values: Sequence[str] = offer[tool].parameters["properties"][argument].get("enum", ())
    return values
